"""Check a QuestionnaireResponse against its Questionnaire (R4; SDC enableWhen).

Nothing refuses because an optional item is empty (KG-18). What contradicts itself on
the paper (KG-19, KG-20, the weekday, the order of asking) warns and never refuses.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from hub.fhir.answers import code_of, key_of, value_of, written_of
from hub.fhir.json import Resource
from hub.fhir.outcome import Issue, issue
from hub.questionnaires import consent
from hub.questionnaires.enable import Node, enabled
from hub.questionnaires.form import (
    EXCLUSIVE,
    MAX_OCCURS,
    WEEKDAY_OF,
    Form,
    form,
    mark,
    option,
)

_KEYS = {
    "boolean": ("valueBoolean",),
    "decimal": ("valueDecimal",),
    "integer": ("valueInteger",),
    "date": ("valueDate",),
    "dateTime": ("valueDateTime",),
    "time": ("valueTime",),
    "string": ("valueString",),
    "text": ("valueString",),
    "url": ("valueUri",),
    "choice": (
        "valueCoding",
        "valueString",
        "valueInteger",
        "valueDate",
        "valueTime",
        "valueReference",
    ),
    "open-choice": ("valueCoding", "valueString"),
    "attachment": ("valueAttachment",),
    "reference": ("valueReference",),
    "quantity": ("valueQuantity",),
}
_SUNDAY_FIRST = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(slots=True)
class _Check:
    form: Form
    nodes: list[Node] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def add(self, id_: str, at: str, *, warn: bool = False, **fields: object) -> None:
        severity = "warning" if warn else "error"
        self.issues.append(issue(id_, at, severity=severity, **fields))  # type: ignore[arg-type]


def check(
    response: Resource,
    questionnaire: Resource,
    base_expression: str = "QuestionnaireResponse",
) -> list[Issue]:
    """Everything that is wrong with a response, errors and warnings.

    `base_expression` is the FHIRPath of the response itself; each issue's expression
    continues it (`….item[0].item[3].answer[0].value`). Errors are HUB-FORM-001…-006
    and -014…-016, warnings -007…-013.
    """
    found = _Check(form(questionnaire))
    canonical = str(response.get("questionnaire", "")).partition("|")[0]
    if canonical != questionnaire["url"]:
        found.add("HUB-FORM-014", f"{base_expression}.questionnaire")
        return found.issues
    _items(found, response.get("item", []), None, base_expression, ())
    on = enabled(found.form, found.nodes)
    if response.get("status") in {"completed", "amended"}:
        _required(found, on, base_expression)
    _disabled(found, on)
    _weekdays(found)
    consented = consent.findings(found.form, found.nodes, base_expression)
    return [*found.issues, *consented]


def _items(
    found: _Check,
    items: list[Resource],
    parent: str | None,
    at: str,
    scope: tuple[int, ...],
) -> None:
    counted = Counter(str(item.get("linkId")) for item in items)
    seen: Counter[str] = Counter()
    for index, item in enumerate(items):
        here = f"{at}.item[{index}]"
        link = str(item.get("linkId"))
        definition = found.form.items.get(link)
        if definition is None or found.form.parents.get(link) != parent:
            found.add("HUB-FORM-001", f"{here}.linkId")
            continue
        seen[link] += 1
        is_group = definition["type"] == "group"
        if seen[link] > 1 and not (is_group and definition.get("repeats")):
            label = found.form.label(link)
            found.add("HUB-FORM-002", here, label=label)
            continue
        turn = (*scope, index) if is_group and counted[link] > 1 else scope
        _item(found, item, definition, here, turn)


def _item(
    found: _Check, item: Resource, definition: Resource, at: str, scope: tuple[int, ...]
) -> None:
    link = definition["linkId"]
    answers = item.get("answer", [])
    heading = definition["type"] in {"group", "display"}
    if answers and heading:
        found.add("HUB-FORM-015", f"{at}.answer", label=found.form.label(link))
        return
    found.nodes.append(Node(link, tuple(answers), at, scope, item))
    if heading:
        _items(found, item.get("item", []), link, at, scope)
        return
    _count(found, definition, answers, at)
    for index, answer in enumerate(answers):
        here = f"{at}.answer[{index}]"
        _answer(found, definition, answer, here)
        _items(found, answer.get("item", []), link, here, scope)


def _count(
    found: _Check, definition: Resource, answers: list[Resource], at: str
) -> None:
    limit = mark(definition, MAX_OCCURS) if definition.get("repeats") else 1
    if limit is not None and len(answers) > limit:
        label = found.form.label(definition["linkId"])
        found.add("HUB-FORM-005", f"{at}.answer", label=label, limit=limit)
    codes = {code_of(a) for a in answers}
    if len(answers) > 1 and codes & _exclusive(definition):
        label = found.form.label(definition["linkId"])
        found.add("HUB-FORM-008", at, warn=True, label=label)


def _exclusive(definition: Resource) -> set[str | None]:
    return {
        one["valueCoding"]["code"]
        for one in definition.get("answerOption", [])
        if mark(one, EXCLUSIVE)
    }


def _answer(found: _Check, definition: Resource, answer: Resource, at: str) -> None:
    key = key_of(answer)
    if key is None:
        if not answer.get("item"):
            found.add("HUB-FORM-016", at)
        return
    label = found.form.label(definition["linkId"])
    keys = _KEYS[definition["type"]]
    if key not in keys:
        expected = " / ".join(keys)
        found.add("HUB-FORM-003", f"{at}.value", label=label, expected=expected)
        return
    if value_of(answer) is None and written_of(answer) is not None:
        return  # written, not understood: the text is kept (decision D-10)
    if definition["type"] == "choice" and not _is_option(definition, answer):
        found.add("HUB-FORM-004", f"{at}.value", label=label)


def _is_option(definition: Resource, answer: Resource) -> bool:
    if "answerOption" not in definition:
        return True  # a value set is the terminology's to check
    value = value_of(answer)
    if not isinstance(value, dict):
        return any(value in one.values() for one in definition["answerOption"])
    printed = option(definition, code_of(answer))
    return printed is not None and value.get("system") == printed["valueCoding"].get(
        "system"
    )


def _required(found: _Check, on: set[int], at: str) -> None:
    answered = {
        found.nodes[n].link
        for n in on
        if any(key_of(a) for a in found.nodes[n].answers)
    }
    present = {found.nodes[n].link for n in on}
    for link, definition in found.form.items.items():
        parent = found.form.parents.get(link)
        asked = parent is None or parent in present
        if definition.get("required") and link not in answered and asked:
            if definition.get("enableWhen"):
                continue  # asked for only with another answer; it warns at most
            found.add("HUB-FORM-006", f"{at}.item", label=found.form.label(link))


def _disabled(found: _Check, on: set[int]) -> None:
    for index, node in enumerate(found.nodes):
        if index not in on and node.is_answered:
            label = found.form.label(node.link)
            found.add("HUB-FORM-007", node.at, warn=True, label=label)


def _weekdays(found: _Check) -> None:
    for node in found.nodes:
        source = mark(found.form.items[node.link], WEEKDAY_OF)
        for day in _days(found, source) if source else ():
            wrong = [a for a in node.answers if code_of(a) not in {None, day}]
            if wrong:
                found.add("HUB-FORM-009", node.at, warn=True)


def _days(found: _Check, link: str) -> Iterator[str]:
    for node in found.nodes:
        if node.link == link:
            for answer in node.answers:
                value = value_of(answer)
                try:
                    day = date.fromisoformat(str(value))
                except ValueError:
                    continue
                yield _SUNDAY_FIRST[day.isoweekday() % 7]


def link_at(response: Resource, expression: str) -> str | None:
    """The linkId that an issue's expression points into: for the column of a sheet.

    `expression` continues from the response (`….item[0].item[3].answer[0].value`).
    """
    node: Resource = response
    link = None
    for step in expression.split("."):
        name, _, rest = step.partition("[")
        index = int(rest.rstrip("]")) if rest.rstrip("]").isdigit() else None
        if name not in {"item", "answer"} or index is None:
            continue
        inside = node.get(name, [])
        if index >= len(inside):
            return link
        node = inside[index]
        link = str(node["linkId"]) if name == "item" else link
    return link
