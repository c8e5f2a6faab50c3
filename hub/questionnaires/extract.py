"""$extract: the clinical resources a form's answers become, driven by its marks.

What the hub adds beside the sender's own Patient, RelatedPerson and Consent:
Observation (SDC observation-based extraction), Condition, Encounter, Communication
(`form-extract` marks, see `form.py`). Nothing is made of an answer that is empty,
could not be read, or says that there is nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from hub.fhir.answers import Answers, code_of, text_of, value_of
from hub.fhir.canonical import RESOURCE_ID
from hub.fhir.dates import instant
from hub.fhir.json import Resource
from hub.questionnaires.form import (
    EXCLUSIVE,
    EXTRACT,
    MAPS_TO,
    OBSERVATION,
    OBSERVATION_CATEGORY,
    PART,
    Form,
    form,
    maps_to,
    mark,
    marks,
    option,
)
from hub.questionnaires.response import from_response

_HL7 = "http://terminology.hl7.org/CodeSystem"
_ACT_CODE = f"{_HL7}/v3-ActCode"
_ENCOUNTER_STATUS = "http://hl7.org/fhir/encounter-status"
_UNKNOWN_CLASS = {"system": f"{_HL7}/v3-NullFlavor", "code": "UNK"}
_UNCONFIRMED = {
    "coding": [{"system": f"{_HL7}/condition-ver-status", "code": "unconfirmed"}]
}


@dataclass(frozen=True, slots=True)
class _Context:
    form: Form
    answers: Answers
    response: str
    patient: str
    encounter: str | None
    authored: str
    source: str | None

    def new_id(self, link: str, index: int) -> str:
        """The same response gives the same ids, so extracting twice adds nothing."""
        name = f"{RESOURCE_ID}|{self.response}|{link}|{index}"
        return str(uuid5(NAMESPACE_URL, name))


def extract(
    response: Resource,
    questionnaire: Resource,
    *,
    patient: str,
    authored: datetime,
    encounter: str | None = None,
    source: str | None = None,
) -> list[Resource]:
    """Make the resources of a response, an Encounter first, each with its id.

    `patient`, `encounter` and `source` (an Organization) are references; without
    `encounter` one is made when the form states a visit, and the others name it.
    Ids are UUIDs made from the response's id (which it must have) and the item.
    `authored` is used where the form states no date of the visit.
    """
    shape = form(questionnaire)
    context = _Context(
        form=shape,
        answers=from_response(response, questionnaire),
        response=f"QuestionnaireResponse/{response['id']}",
        patient=patient,
        encounter=encounter,
        authored=instant(authored),
        source=source,
    )
    made = list(_encounters(context)) if encounter is None else []
    if made:
        context = replace(context, encounter=f"Encounter/{made[0]['id']}")
    for link, item in shape.items.items():
        if mark(item, OBSERVATION):
            made += _observations(context, item)
        for how in _extracts(item):
            if how["resource"] == "Condition":
                made += _conditions(context, link, how)
            elif how["resource"] == "Communication":
                made += _communications(context, link)
    return made


def _extracts(item: Resource) -> Iterator[dict[str, Any]]:
    """The `form-extract` marks of an item, each as {name: value or extensions}."""
    for extension in item.get("extension", []):
        if extension["url"] == EXTRACT:
            yield {
                part["url"]: part.get("extension")
                or next(v for k, v in part.items() if k.startswith("value"))
                for part in extension["extension"]
            }


def _given(context: _Context, link: str | None) -> list[Resource]:
    return context.answers.get(link, []) if link else []


def _text(context: _Context, link: str | None) -> str:
    return "・".join(text_of(a) for a in _given(context, link))


def _encounters(context: _Context) -> Iterator[Resource]:
    for link, item in context.form.items.items():
        for how in _extracts(item):
            if how["resource"] == "Encounter":
                yield from _encounter(context, link, how)


def _encounter(context: _Context, link: str, how: dict[str, str]) -> Iterator[Resource]:
    start = next((value_of(a) for a in _given(context, how.get("start"))), None)
    state = next(iter(_given(context, how.get("state"))), None)
    if start is None and state is None:
        return
    item = context.form.items[how["state"]] if "state" in how else {}
    code = code_of(state) if state else None
    status = maps_to(item, code, _ENCOUNTER_STATUS) or {"code": "unknown"}
    encounter: Resource = {
        "resourceType": "Encounter",
        "id": context.new_id(link, 0),
        "status": status["code"],
        "class": maps_to(item, code, _ACT_CODE) or _UNKNOWN_CLASS,
        "subject": {"reference": context.patient},
    }
    if start:
        encounter["period"] = {"start": start}
    if stay := _hospitalization(context, how):
        encounter["hospitalization"] = stay
    if context.source:
        encounter["serviceProvider"] = {"reference": context.source}
    yield encounter


def _hospitalization(context: _Context, how: dict[str, str]) -> Resource:
    outlook = next(iter(_given(context, how.get("disposition"))), None)
    stay: Resource = {}
    if outlook:
        detail = _text(context, how.get("disposition-text"))
        words = f"{text_of(outlook)}（{detail}）" if detail else text_of(outlook)
        coding = value_of(outlook)
        coded = {"coding": [coding]} if coding else {}
        stay["dischargeDisposition"] = {**coded, "text": words}
    if destination := _text(context, how.get("destination")):
        stay["destination"] = {"display": destination}
    return stay


def _observations(context: _Context, item: Resource) -> Iterator[Resource]:
    link = item["linkId"]
    for index, answer in enumerate(_given(context, link)):
        value = value_of(answer)
        if value is None:
            continue
        observation: Resource = {
            "resourceType": "Observation",
            "id": context.new_id(link, index),
            "status": "final",
            "category": marks(item, OBSERVATION_CATEGORY),
            "code": {"coding": item["code"], "text": context.form.label(link)},
            "subject": {"reference": context.patient},
            "effectiveDateTime": _when(context),
            **_value(answer),
            "derivedFrom": [{"reference": context.response}],
        }
        _complete(context, observation, item, answer)
        if context.encounter:
            observation["encounter"] = {"reference": context.encounter}
        if context.source:
            observation["performer"] = [{"reference": context.source}]
        yield {k: v for k, v in observation.items() if v != []}


def _value(answer: Resource) -> Resource:
    """An answer as `Observation.value[x]`."""
    value = value_of(answer)
    if "valueCoding" in answer:
        text = {"text": value["display"]} if "display" in value else {}
        return {"valueCodeableConcept": {"coding": [value], **text}}
    key = next(k for k in answer if k.startswith("value"))
    if key == "valueDate":
        return {"valueDateTime": value}
    if key == "valueDecimal":
        return {"valueQuantity": {"value": value}}
    if key in {"valueReference", "valueAttachment", "valueUri"}:
        return {"valueString": text_of(answer)}
    return {key: value}


def _complete(
    context: _Context, observation: Resource, item: Resource, answer: Resource
) -> None:
    """Add the children beneath an answer: its text in words, or components."""
    components: list[Resource] = []
    for child in item.get("item", []):
        part = mark(child, PART)
        given = _given(context, child["linkId"])
        if not part or not _belongs(child, answer, item):
            continue
        if part == "text" and given:
            concept = observation.get("valueCodeableConcept", {})
            concept["text"] = _text(context, child["linkId"])
        elif part == "component":
            label = context.form.label(child["linkId"])
            components += [
                {"code": {"coding": child["code"], "text": label}, **_value(one)}
                for one in given
                if value_of(one) is not None
            ]
    if components:
        observation["component"] = components


def _belongs(child: Resource, answer: Resource, item: Resource) -> bool:
    """True when a child is asked for because of this answer."""
    wanted = {
        when["answerCoding"]["code"]
        for when in child.get("enableWhen", [])
        if when["question"] == item["linkId"] and "answerCoding" in when
    }
    return not wanted or code_of(answer) in wanted


def _conditions(
    context: _Context, link: str, how: dict[str, Any]
) -> Iterator[Resource]:
    item = context.form.items[link]
    stated = [a for a in _given(context, link) if _is_finding(item, a)]
    if not stated:
        return
    if "code" in how:
        # One condition, however many answers describe it.
        yield _condition(context, link, 0, how, _coded(context, item, stated, how))
        return
    for index, answer in enumerate(stated):
        yield _condition(context, link, index, how, _named(context, item, answer))


def _is_finding(item: Resource, answer: Resource) -> bool:
    """False for what was not understood, and for なし and 不明."""
    if value_of(answer) is None:
        return False
    printed = option(item, code_of(answer))
    return printed is None or not mark(printed, EXCLUSIVE)


def _coded(
    context: _Context, item: Resource, stated: list[Resource], how: dict[str, Any]
) -> Resource:
    texts = [_answer_text(context, item, answer) for answer in stated]
    other = _instead(context, how)
    if other:
        return {"coding": [other], "text": "・".join(texts)}
    mapped = [
        coding
        for answer in stated
        for coding in marks(option(item, code_of(answer)) or {}, MAPS_TO)
    ]
    return {"coding": [how["code"], *mapped], "text": "・".join(texts)}


def _instead(context: _Context, how: dict[str, Any]) -> Resource | None:
    """The code to use when another answer makes the usual one untrue."""
    rule = {
        part["url"]: next(v for k, v in part.items() if k.startswith("value"))
        for part in how.get("instead", [])
    }
    given = {code_of(a) for a in _given(context, rule.get("question"))}
    return rule["code"] if rule and rule["answer"]["code"] in given else None


def _named(context: _Context, item: Resource, answer: Resource) -> Resource:
    coding = value_of(answer)
    coded = {"coding": [coding]} if isinstance(coding, dict) else {}
    return {**coded, "text": _answer_text(context, item, answer)}


def _answer_text(context: _Context, item: Resource, answer: Resource) -> str:
    for child in item.get("item", []):
        if mark(child, PART) == "text" and _belongs(child, answer, item):
            words = _text(context, child["linkId"])
            if words:
                return words
    value = value_of(answer)
    return str(value.get("display", "")) if isinstance(value, dict) else str(value)


def _condition(
    context: _Context, link: str, index: int, how: dict[str, Any], code: Resource
) -> Resource:
    condition: Resource = {
        "resourceType": "Condition",
        "id": context.new_id(f"{link}#condition", index),
        "verificationStatus": _UNCONFIRMED,
        "category": [{"coding": [how["category"]]}],
        "code": code,
        "subject": {"reference": context.patient},
        "recordedDate": context.authored,
        "evidence": [{"detail": [{"reference": context.response}]}],
    }
    if context.encounter and how["category"]["code"] == "encounter-diagnosis":
        condition["encounter"] = {"reference": context.encounter}
    return condition


def _communications(context: _Context, link: str) -> Iterator[Resource]:
    """What was told or handed over: completed, or not done when the form says so."""
    item = context.form.items[link]
    for index, answer in enumerate(_given(context, link)):
        value = value_of(answer)
        if not isinstance(value, dict):
            continue
        yield {
            "resourceType": "Communication",
            "id": context.new_id(link, index),
            "status": "completed" if _is_done(item, answer) else "not-done",
            "category": [
                {"coding": item["code"], "text": context.form.label(link)},
            ],
            "subject": {"reference": context.patient},
            "about": [{"reference": context.response}],
            "payload": [{"contentString": value.get("display", value["code"])}],
        }


def _is_done(item: Resource, answer: Resource) -> bool:
    """The form marks the answer that means "not done" as its excluding one."""
    printed = option(item, code_of(answer))
    return printed is None or not mark(printed, EXCLUSIVE)


def _when(context: _Context) -> str:
    link = context.form.role("visit-date")
    day = next((value_of(a) for a in _given(context, link)), None)
    return str(day) if day else context.authored
