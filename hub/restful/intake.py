"""POST /intake/{mapping}: a CSV or Excel sheet, each row a referral of its own.

Every row is reported: accepted with its Task, or refused with row, column, reason.
A row that fails leaves the others alone and nothing of itself behind.
"""

from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

from hub.actor import Actor
from hub.directory.ask import StoredDirectory
from hub.faults import retried
from hub.fhir import dates
from hub.fhir.json import Resource, decode, encode
from hub.fhir.outcome import FhirError, Issue, issue
from hub.referrals.route import to_json
from hub.restful import leaflet
from hub.restful.answers import Answer
from hub.restful.bundle import read_bundle
from hub.restful.call import Call, require_parameters, require_scope
from hub.restful.formats import require_acceptable
from hub.restful.hub import Hub
from hub.restful.refusals import Attempt, audit_refusal
from hub.restful.sheets import Judged, judge, read_sheet
from hub.restful.transaction import process, require_sound

# What one row may make: a client without one of these creates nothing by a sheet.
MADE = (
    "Patient",
    "RelatedPerson",
    "QuestionnaireResponse",
    "Consent",
    "ServiceRequest",
    "Task",
)


def intake(hub: Hub, actor: Actor, call: Call) -> Answer:
    """The handler; answers 200 with a JSON list, one object a row."""
    for resource_type in MADE:
        require_scope(actor, "c", resource_type)
    require_parameters(call)
    require_acceptable(call, ("json",))
    mapping = call.path["mapping"]
    rows = take(hub, actor, call.body, None if mapping == "auto" else mapping)
    hub.wake()
    return Answer(200, encode(rows), media_type="application/json")


def take(
    hub: Hub, actor: Actor, raw: bytes, mapping: str | None
) -> list[dict[str, Any]]:
    """Read, judge and store every row, each in its own transaction."""
    sheet = read_sheet(hub.knowledge.packages, raw, mapping)
    at = dates.now()
    with hub.database.transaction(write=False) as session:
        directory = StoredDirectory(session)
        source = directory.organisation(actor.organisation)
        if source is None:
            raise FhirError(issue("HUB-INT-004"))
        judged = list(judge(hub.knowledge, directory, source, sheet, at))
    return [_store(hub, actor, one) for one in judged]


def _store(hub: Hub, actor: Actor, judged: Judged) -> dict[str, Any]:
    if judged.bundle is None:
        audit_refusal(hub, actor, Attempt("transaction"), judged.issues)
        return describe(judged)
    try:
        answer = retried(partial(_process, hub, actor, judged.bundle))
    except FhirError as error:
        audit_refusal(hub, actor, Attempt("transaction"), error.issues)
        return describe(replace(judged, bundle=None, issues=error.issues))
    return {**describe(judged), **_stored(answer, is_joined=judged.is_correction)}


def _process(hub: Hub, actor: Actor, bundle: Resource) -> bytes:
    # A copy: what is stored is a changed Bundle, and the row may be tried again.
    tried = deepcopy(bundle)
    entries = read_bundle(tried, f"{hub.base}/", hub.settings.max_bundle_entries)
    require_sound(hub, actor, tried, entries)
    with hub.database.transaction() as session:
        return process(hub, session, actor, entries)


def describe(judged: Judged) -> dict[str, Any]:
    """`row`, `outcome`, `code`, `column`, `message`, `english`, `warnings`, `route`.

    A row that nobody consented to has the programme's `leaflet` beside (KG-04).
    """
    found = judged.issues[0] if judged.issues else _accepted(judged)
    route = to_json(judged.decision) if judged.decision else _NO_ROUTE
    return {
        "row": judged.number,
        "outcome": "accepted" if judged.is_accepted else "refused",
        "code": found.id,
        "column": found.column,
        "message": found.text,
        "english": found.english,
        "issues": [_told(one) for one in judged.issues],
        "warnings": [_told(one) for one in judged.warnings],
        "route": route,
        **_leaflet(judged),
    }


def _leaflet(judged: Judged) -> dict[str, Any]:
    """What the row is refused with when nobody consents (KG-04)."""
    if judged.leaflet is None or not leaflet.is_due(judged.issues):
        return {}
    return {"leaflet": leaflet.to_json(judged.leaflet)}


_NO_ROUTE: dict[str, Any] = {"initial": None, "residence": None, "trace": []}


def _accepted(judged: Judged) -> Issue:
    decision = judged.decision
    desk = decision.initial.name if decision and decision.initial else ""
    if decision and decision.onward:
        onward = decision.onward.name
        id = "HUB-INT-009" if decision.needs_confirmation else "HUB-INT-003"
        return issue(id, desk=desk, onward=onward, severity="information")
    return issue("HUB-INT-002", desk=desk, severity="information")


def _told(found: Issue) -> dict[str, Any]:
    return {
        "code": found.id,
        "severity": found.severity,
        "column": found.column,
        "message": found.text,
        "english": found.english,
    }


def _stored(answer: bytes, *, is_joined: bool) -> dict[str, Any]:
    """The parent Task's id, and whether the row was known or a correction."""
    responses = [entry["response"] for entry in decode(answer)["entry"]]
    told: dict[str, Any] = {}
    for response in responses:
        if response["location"].startswith("Task/"):
            told["task"] = response["location"].split("/")[1]
    is_known = all(response["status"].startswith("200") for response in responses)
    if is_known or is_joined:
        id = "HUB-INT-006" if is_known else "HUB-INT-008"
        found = issue(id, severity="information")
        told |= {"code": found.id, "message": found.text, "english": found.english}
    return told
