"""create, update, patch, delete of one resource: each a list that reads aloud."""

from datetime import timedelta
from typing import Any

import jsonpatch

from hub import changes
from hub.actor import Actor
from hub.changes import Belonging, By
from hub.database import Session
from hub.disclosure import cases, grants
from hub.disclosure.classes import DIRECTORY_TYPES, class_of
from hub.disclosure.grants import visible_to
from hub.fhir import dates, references, search
from hub.fhir.json import Resource, decode, decode_value, encode
from hub.fhir.outcome import FhirError, Issue, issue, operation_outcome
from hub.referrals import withdraw
from hub.referrals.advance import after_new_task, after_task
from hub.referrals.rules import (
    require_author,
    require_consent_change,
    require_new_task,
    require_task_change,
)
from hub.referrals.withdraw import after_consent
from hub.restful import answers
from hub.restful.answers import Answer
from hub.restful.call import Call, pairs, require_interaction, require_json
from hub.restful.checks import require_rules, require_valid
from hub.restful.hub import Hub
from hub.restful.read import patient_of, require_visible
from hub.store import resources as store
from hub.store.resources import Stored
from hub.store.search import match

_JSON_PATCH = ("application/json-patch+json",)
_DRAFT_DAYS = 7
# References that say which case a resource is about, before its subject does.
_CASE_TYPES = (
    "Task",
    "EpisodeOfCare",
    "ServiceRequest",
    "QuestionnaireResponse",
    "CarePlan",
    "Encounter",
    "Consent",
)


def create(hub: Hub, actor: Actor, call: Call) -> Answer:
    """POST /T, conditional with If-None-Exist."""
    resource = _body(call)
    if call.query:
        # `POST /T?identifier=` meant as a condition would duplicate (rest.md §8).
        raise FhirError(issue("HUB-REST-014"))
    by = By(actor)
    with hub.database.transaction() as session:
        condition = call.header("if-none-exist")
        found = None
        if condition is not None:
            found = conditional(
                hub, session, actor, resource["resourceType"], condition
            )
        stored = found or create_one(hub, session, by, resource)
        told = _told(session, call, stored)
    hub.wake()
    location = f"{hub.base}/{stored.reference}/_history/{stored.version}"
    return _written(call, stored, 200 if found else 201, location, told)


def update(hub: Hub, actor: Actor, call: Call) -> Answer:
    """PUT /T/id."""
    resource = _body(call)
    if resource.get("id") != call.id:
        raise FhirError(issue("HUB-REST-011", f"{call.resource_type}.id"))
    with hub.database.transaction() as session:
        stored, created = update_one(hub, session, By(actor), resource, call.if_match)
        told = _told(session, call, stored)
    hub.wake()
    location = f"{hub.base}/{stored.reference}/_history/{stored.version}"
    return _written(call, stored, 201 if created else 200, location, told)


def patch(hub: Hub, actor: Actor, call: Call) -> Answer:
    """PATCH /T/id with JSON Patch; the result is judged like an update."""
    require_interaction(actor, "patch", call.resource_type)
    require_json(call, _JSON_PATCH)
    operations = decode_value(call.body, hub.settings.max_depth)
    with hub.database.transaction() as session:
        before = require_visible(session, actor, call.resource_type, call.id)
        after = _patched(before.resource(), operations)
        if after.get("id") != call.id or after["resourceType"] != call.resource_type:
            raise FhirError(issue("HUB-REST-019"))
        after.pop("meta", None)
        stored, _ = update_one(hub, session, By(actor), after, call.if_match)
        told = _told(session, call, stored)
    hub.wake()
    return _written(call, stored, 200, None, told)


def delete(hub: Hub, actor: Actor, call: Call) -> Answer:
    """DELETE /T/id: of one's own draft; in a case a mistake is entered-in-error."""
    require_interaction(actor, "delete", call.resource_type)
    with hub.database.transaction() as session:
        before = require_visible(session, actor, call.resource_type, call.id)
        if not before.deleted:
            if cases.of_resource(session, before.type, before.id):
                raise FhirError(issue("HUB-REF-016", before.type))
            changes.delete(session, By(actor), before.type, before.id, call.if_match)
    return Answer(204)


def create_one(
    hub: Hub, session: Session, by: By, resource: Resource, id: str | None = None
) -> Stored:
    """The pipeline of one new resource outside a referral submission."""
    kind = resource["resourceType"]
    require_interaction(by.actor, "create", kind)
    require_valid(hub.knowledge, resource)
    require_rules(hub.knowledge, resource)
    if kind in DIRECTORY_TYPES:
        return changes.create(session, by, resource, id=id)
    belonging = require_permit(hub, session, by, resource)
    stored = changes.create(session, by, resource, belonging, id=id)
    if not belonging.cases:
        expires = by.at + timedelta(days=_DRAFT_DAYS)
        key = (stored.type, stored.id)
        cases.keep_draft(session, key, by.actor.organisation, expires)
    elif kind == "Consent":
        after_consent(session, hub.knowledge, by, stored.resource())
    elif kind == "Task":
        after_new_task(session, hub.knowledge, by, stored.resource())
    return stored


def update_one(
    hub: Hub, session: Session, by: By, resource: Resource, expected: int | None
) -> tuple[Stored, bool]:
    """The pipeline of one update; the second value says that it created."""
    kind, id = resource["resourceType"], resource["id"]
    require_interaction(by.actor, "update", kind)
    before = store.read(session, kind, id, visible_to(by.actor))
    if before is None or before.deleted:
        return _update_as_create(hub, session, by, resource), True
    if kind == "Task" and expected is None:
        raise FhirError(issue("HUB-REST-009"))
    if expected is not None and expected != before.version:
        raise FhirError(issue("HUB-REST-008"))
    require_valid(hub.knowledge, resource)
    require_rules(hub.knowledge, resource)
    old = before.resource()
    if kind == "Task":
        resource = require_task_change(session, hub.knowledge, by, old, resource)
        resource["lastModified"] = dates.instant(by.at)
    elif kind == "Consent":
        require_consent_change(session, by.actor, old, resource)
    elif kind not in DIRECTORY_TYPES:
        require_author(session, by.actor, old)
    patient = patient_of(session, kind, id)
    stored = changes.update(
        session, by, resource, expected=before.version, patient=patient
    )
    if kind == "Task":
        after_task(session, hub.knowledge, by, old, stored.resource())
    elif kind == "Consent":
        after_consent(session, hub.knowledge, by, stored.resource())
    return stored, False


def require_permit(hub: Hub, session: Session, by: By, resource: Resource) -> Belonging:
    """Which case a new resource enters: one the actor may write, else refuse.

    With `TSUNAGI_DRAFTS=on` a resource of no case is kept as its author's draft.
    """
    kind = resource["resourceType"]
    found = _case_of(session, by.actor, resource)
    if found is not None:
        case = cases.find(session, found)
        if case is None or case.closed_at is not None:
            raise FhirError(issue("HUB-REF-023", kind))
        if kind == "Task":
            require_new_task(session, by.actor, resource, case)
        by_recipient = by.actor.organisation != case.source
        data_class = class_of(resource, by_recipient=by_recipient)
        return Belonging((found,), data_class, case.patient)
    if hub.settings.keeps_drafts and kind != "Task":
        return Belonging()
    raise FhirError(issue("HUB-CON-012", kind))


def conditional(
    hub: Hub, session: Session, actor: Actor, type: str, condition: str
) -> Stored | None:
    """The one match of If-None-Exist in the caller's view; 412 when several."""
    asked = pairs(condition.rpartition("?")[2].encode())
    query = search.conditional(type, asked, hub.declared, base_url=hub.base)
    found = match(session, type, query, visible_to(actor))
    if len(found) > 1:
        raise FhirError(issue("HUB-REST-012"))
    return found[0] if found else None


def _update_as_create(hub: Hub, session: Session, by: By, resource: Resource) -> Stored:
    """Only for the directory; an unknown and a hidden case id look alike (405)."""
    kind = resource["resourceType"]
    if kind not in DIRECTORY_TYPES:
        raise FhirError(issue("HUB-REST-004"))
    require_interaction(by.actor, "create", kind)
    require_valid(hub.knowledge, resource)
    require_rules(hub.knowledge, resource)
    return changes.create(session, by, resource, id=resource["id"])


def _case_of(session: Session, actor: Actor, resource: Resource) -> str | None:
    """The case a new resource is about, among those the actor takes part in."""
    patients = []
    for _path, element in references.walk(resource):
        target = references.split(element["reference"])
        if target is None:
            continue
        if target[0] == "Patient":
            patients.append(target[1])
        elif target[0] in _CASE_TYPES:
            for case in cases.of_resource(session, *target):
                if _takes_part(session, case.id, actor):
                    return case.id
    for patient in patients:
        writable = grants.writable_cases(session, actor.organisation, patient)
        if writable:
            return writable[0]
    return None


def _takes_part(session: Session, case_id: str, actor: Actor) -> bool:
    held = grants.held(session, case_id, actor.organisation)
    return any(grant["role"] in ("recipient", "source") for grant in held)


def _body(call: Call) -> Resource:
    require_json(call)
    resource = decode(call.body)
    if resource["resourceType"] != call.resource_type:
        raise FhirError(issue("HUB-REST-011", "resourceType"))
    return resource


def _patched(before: Resource, operations: Any) -> Resource:
    try:
        after = jsonpatch.apply_patch(before, operations)
    except (
        jsonpatch.JsonPatchException,
        jsonpatch.JsonPointerException,
        TypeError,
        KeyError,
        IndexError,
    ):
        raise FhirError(issue("HUB-REST-019")) from None
    if not isinstance(after, dict) or "resourceType" not in after:
        raise FhirError(issue("HUB-REST-019"))
    return after


def _told(session: Session, call: Call, stored: Stored) -> list[Issue]:
    """What `Prefer: return=OperationOutcome` answers: at least that it is stored."""
    if call.prefers != "OperationOutcome":
        return []
    found = [issue("HUB-REF-030", stored.type, severity="information")]
    if stored.type == "Consent":
        found += withdraw.told(session, stored.resource())
    return found


def _written(
    call: Call, stored: Stored, status: int, location: str | None, told: list[Issue]
) -> Answer:
    headers = answers.version_headers(stored, location)
    if call.prefers == "minimal":
        return Answer(status, headers=headers)
    if told:
        return Answer(status, encode(operation_outcome(told)), headers)
    return Answer(status, stored.body, headers)
