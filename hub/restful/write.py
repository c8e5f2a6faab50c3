"""create, update, patch, delete of one resource by HTTP."""

from hub.actor import Actor
from hub.changes import By
from hub.database import Session
from hub.fhir.json import Resource, decode_value
from hub.fhir.outcome import FhirError, Issue, issue
from hub.fhir.search import TRANSPORT
from hub.referrals import withdraw
from hub.restful import answers, replay
from hub.restful.answers import JSON_PATCH, Answer
from hub.restful.call import (
    Call,
    require_interaction,
    require_media,
    require_parameters,
)
from hub.restful.conditional import criteria, find_one, header_criteria
from hub.restful.formats import read_resource
from hub.restful.hub import Hub
from hub.restful.one import (
    create_one,
    delete_one,
    patch_one,
    require_unchanged,
    update_one,
)
from hub.restful.visible import record_read, require_visible
from hub.store.resources import Stored


def create(hub: Hub, actor: Actor, call: Call) -> Answer:
    """POST /T, conditional with If-None-Exist."""
    require_interaction(actor, "create", call.resource_type)
    resource = _body(hub, call)
    if any(name not in TRANSPORT for name, _ in call.query):
        # `POST /T?identifier=` meant as a condition would duplicate (rest.md §8).
        raise FhirError(issue("HUB-REST-014"))
    key = replay.key_of(call)
    with hub.database.transaction() as session:
        known = replay.find_created(session, actor, key, call.body)
        if known is not None:
            record_read(session, actor, "read", known)
            return answers.written(known, 201, hub.base, call.prefers)
        by, kind = By(actor), resource["resourceType"]
        condition = call.header("if-none-exist")
        if condition is not None:
            # Starlette reads headers as Latin-1: these are the bytes sent.
            query = header_criteria(hub, actor, kind, condition.encode("latin-1"))
            found = find_one(session, actor, kind, query)
            if found is not None:
                record_read(session, actor, "read", found)
                return answers.written(found, 200, hub.base, call.prefers)
        stored = create_one(hub, session, by, resource)
        replay.keep_created(session, actor, key, call.body, stored, by.at)
        told = _told(session, call, stored)
    _committed(hub, stored)
    return answers.written(stored, 201, hub.base, call.prefers, told)


def update(hub: Hub, actor: Actor, call: Call) -> Answer:
    """PUT /T/id."""
    require_interaction(actor, "update", call.resource_type)
    require_parameters(call)
    resource = _body(hub, call)
    if resource.get("id") != call.id:
        raise FhirError(issue("HUB-REST-011", f"{call.resource_type}.id"))
    with hub.database.transaction() as session:
        stored, created = update_one(hub, session, By(actor), resource, call.if_match)
        told = _told(session, call, stored)
    _committed(hub, stored)
    status = 201 if created else 200
    return answers.written(stored, status, hub.base, call.prefers, told)


def conditional_update(hub: Hub, actor: Actor, call: Call) -> Answer:
    """PUT /T?query: none matches, create; one, update; more, 412 (F6)."""
    require_interaction(actor, "update", call.resource_type)
    resource = _body(hub, call)
    query = criteria(hub, actor, call.resource_type, call.query)
    with hub.database.transaction() as session:
        by = By(actor)
        found = find_one(session, actor, call.resource_type, query)
        if resource.get("id") not in (None, found.id if found else None):
            raise FhirError(issue("HUB-REST-011", f"{call.resource_type}.id"))
        if found is None:
            require_interaction(actor, "create", call.resource_type)
            stored = create_one(hub, session, by, resource)
        else:
            resource["id"] = found.id
            stored, _ = update_one(hub, session, by, resource, call.if_match)
    _committed(hub, stored)
    return answers.written(stored, 200 if found else 201, hub.base, call.prefers)


def patch(hub: Hub, actor: Actor, call: Call) -> Answer:
    """PATCH /T/id with JSON Patch; the result is judged like an update."""
    require_interaction(actor, "patch", call.resource_type)
    require_parameters(call)
    require_media(call, (JSON_PATCH,), "HUB-REST-028")
    operations = decode_value(call.body, hub.settings.max_depth)
    with hub.database.transaction() as session:
        before = require_visible(session, actor, call.resource_type, call.id)
        by = By(actor)
        stored = patch_one(hub, session, by, before, operations, call.if_match)
        told = _told(session, call, stored)
    _committed(hub, stored)
    return answers.written(stored, 200, hub.base, call.prefers, told)


def delete(hub: Hub, actor: Actor, call: Call) -> Answer:
    """DELETE /T/id: of one's own draft; in a case a mistake is entered-in-error."""
    require_interaction(actor, "delete", call.resource_type)
    require_parameters(call)
    with hub.database.transaction() as session:
        before = require_visible(session, actor, call.resource_type, call.id)
        if not before.deleted:
            require_unchanged(before, call.if_match)
        delete_one(session, By(actor), before)
    return Answer(204)


def _body(hub: Hub, call: Call) -> Resource:
    resource = read_resource(hub, call)
    if resource["resourceType"] != call.resource_type:
        raise FhirError(issue("HUB-REST-011", "resourceType"))
    return resource


def _committed(hub: Hub, stored: Stored) -> None:
    """What follows a commit before it is acknowledged."""
    hub.wake()
    if stored.type == "Consent":
        # It may have been a withdrawal: anchored at once (security.md §4).
        hub.anchor()


def _told(session: Session, call: Call, stored: Stored) -> list[Issue]:
    """What goes with `Prefer: return=OperationOutcome` besides that it is stored."""
    if call.prefers != "OperationOutcome" or stored.type != "Consent":
        return []
    return withdraw.told(session, stored.resource())
