"""Conditions of a form's answers (`form-extract` marks, see `form.py`)."""

from collections.abc import Iterator
from typing import Any

from hub.fhir.answers import code_of, value_of
from hub.fhir.json import Resource
from hub.questionnaires.extraction import Context, belongs, excludes
from hub.questionnaires.form import MAPS_TO, PART, mark, marks, option

_UNCONFIRMED = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
            "code": "unconfirmed",
        }
    ]
}


def conditions(context: Context, link: str, how: dict[str, Any]) -> Iterator[Resource]:
    """One Condition for each answer, or one for all when the mark states its code."""
    item = context.form.items[link]
    stated = [
        answer
        for answer in context.given(link)
        if value_of(answer) is not None and not excludes(item, answer)
    ]
    if not stated:
        return
    if "code" in how:
        # One condition, however many answers describe it.
        yield _condition(context, link, 0, how, _coded(context, item, stated, how))
        return
    for index, answer in enumerate(stated):
        yield _condition(context, link, index, how, _named(context, item, answer))


def _coded(
    context: Context, item: Resource, stated: list[Resource], how: dict[str, Any]
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


def _instead(context: Context, how: dict[str, Any]) -> Resource | None:
    """The code to use when another answer makes the usual one untrue."""
    rule = {
        part["url"]: next(v for k, v in part.items() if k.startswith("value"))
        for part in how.get("instead", [])
    }
    given = {code_of(a) for a in context.given(rule.get("question"))}
    return rule["code"] if rule and rule["answer"]["code"] in given else None


def _named(context: Context, item: Resource, answer: Resource) -> Resource:
    coding = value_of(answer)
    coded = {"coding": [coding]} if isinstance(coding, dict) else {}
    return {**coded, "text": _answer_text(context, item, answer)}


def _answer_text(context: Context, item: Resource, answer: Resource) -> str:
    for child in item.get("item", []):
        if mark(child, PART) == "text" and belongs(child, answer, item):
            words = context.text(child["linkId"])
            if words:
                return words
    value = value_of(answer)
    return str(value.get("display", "")) if isinstance(value, dict) else str(value)


def _condition(
    context: Context, link: str, index: int, how: dict[str, Any], code: Resource
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
