"""Observations of a form's answers (SDC observation-based extraction)."""

from collections.abc import Iterator

from hub.fhir.answers import text_of, value_of
from hub.fhir.json import Resource
from hub.questionnaires.extraction import Context, belongs
from hub.questionnaires.form import OBSERVATION_CATEGORY, PART, mark, marks


def observations(context: Context, item: Resource) -> Iterator[Resource]:
    """One Observation for each answer that was understood."""
    link = item["linkId"]
    for index, answer in enumerate(context.given(link)):
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
            "effectiveDateTime": context.when(),
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
    context: Context, observation: Resource, item: Resource, answer: Resource
) -> None:
    """Add the children beneath an answer: its text in words, or components."""
    components: list[Resource] = []
    for child in item.get("item", []):
        part = mark(child, PART)
        given = context.given(child["linkId"])
        if not part or not belongs(child, answer, item):
            continue
        if part == "text" and given:
            concept = observation.get("valueCodeableConcept", {})
            concept["text"] = context.text(child["linkId"])
        elif part == "component":
            label = context.form.label(child["linkId"])
            components += [
                {"code": {"coding": child["code"], "text": label}, **_value(one)}
                for one in given
                if value_of(one) is not None
            ]
    if components:
        observation["component"] = components
