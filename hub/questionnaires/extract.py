"""$extract: the clinical resources a form's answers become, driven by its marks.

What the hub adds beside the sender's own Patient, RelatedPerson and Consent:
Observation (SDC observation-based extraction), Condition, Encounter, Communication
(`form-extract` marks, see `form.py`). Nothing is made of an answer that is empty,
could not be read, or says that there is nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from hub.fhir.answers import code_of, text_of, value_of
from hub.fhir.dates import instant
from hub.fhir.json import Resource
from hub.questionnaires.conditions import conditions
from hub.questionnaires.extraction import Context, excludes, extracts
from hub.questionnaires.form import OBSERVATION, form, maps_to, mark
from hub.questionnaires.observations import observations
from hub.questionnaires.response import from_response

_HL7 = "http://terminology.hl7.org/CodeSystem"
_ACT_CODE = f"{_HL7}/v3-ActCode"
_ENCOUNTER_STATUS = "http://hl7.org/fhir/encounter-status"
_UNKNOWN_CLASS = {"system": f"{_HL7}/v3-NullFlavor", "code": "UNK"}


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
    context = Context(
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
            made += observations(context, item)
        for how in extracts(item):
            if how["resource"] == "Condition":
                made += conditions(context, link, how)
            elif how["resource"] == "Communication":
                made += _communications(context, link)
    return made


def _encounters(context: Context) -> Iterator[Resource]:
    for link, item in context.form.items.items():
        for how in extracts(item):
            if how["resource"] == "Encounter":
                yield from _encounter(context, link, how)


def _encounter(context: Context, link: str, how: dict[str, str]) -> Iterator[Resource]:
    start = next((value_of(a) for a in context.given(how.get("start"))), None)
    state = next(iter(context.given(how.get("state"))), None)
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


def _hospitalization(context: Context, how: dict[str, str]) -> Resource:
    outlook = next(iter(context.given(how.get("disposition"))), None)
    stay: Resource = {}
    if outlook:
        detail = context.text(how.get("disposition-text"))
        words = f"{text_of(outlook)}（{detail}）" if detail else text_of(outlook)
        coding = value_of(outlook)
        coded = {"coding": [coding]} if coding else {}
        stay["dischargeDisposition"] = {**coded, "text": words}
    if destination := context.text(how.get("destination")):
        stay["destination"] = {"display": destination}
    return stay


def _communications(context: Context, link: str) -> Iterator[Resource]:
    """What was told or handed over: completed, or not done when the form says so."""
    item = context.form.items[link]
    for index, answer in enumerate(context.given(link)):
        value = value_of(answer)
        if not isinstance(value, dict):
            continue
        yield {
            "resourceType": "Communication",
            "id": context.new_id(link, index),
            "status": "not-done" if excludes(item, answer) else "completed",
            "category": [
                {"coding": item["code"], "text": context.form.label(link)},
            ],
            "subject": {"reference": context.patient},
            "about": [{"reference": context.response}],
            "payload": [{"contentString": value.get("display", value["code"])}],
        }
