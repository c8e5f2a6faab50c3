"""create, update, patch, delete of one resource by HTTP."""

from hub.actor import Actor
from hub.changes import By
from hub.database import Session
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, Issue, issue
from hub.fhir.search import TRANSPORT
from hub.referrals import withdraw
from hub.restful import answers, contents, replay
from hub.restful.answers import Answer
from hub.restful.call import (
    Call,
    require_interaction,
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
from hub.restful.patching import read_patch
from hub.restful.provenance import keep_provenance, read_provenance
from hub.restful.visible import record_read, record_unmatched, require_visible
from hub.store.resources import Stored


def create(hub: Hub, actor: Actor, call: Call) -> Answer:
    """POST /T, conditional with If-None-Exist."""
    require_interaction(actor, "create", call.resource_type)
    resource, spoken = _body(hub, call), read_provenance(hub, call)
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
        keep_provenance(hub, session, by, spoken, stored)
        replay.keep_created(session, actor, key, call.body, stored, by.at)
        told = _told(session, call, stored)
    _committed(hub, stored)
    return answers.written(stored, 201, hub.base, call.prefers, told)


def update(hub: Hub, actor: Actor, call: Call) -> Answer:
    """PUT /T/id."""
    require_interaction(actor, "update", call.resource_type)
    require_parameters(call)
    resource, spoken = _body(hub, call), read_provenance(hub, call)
    if resource.get("id") != call.id:
        raise FhirError(issue("HUB-REST-011", f"{call.resource_type}.id"))
    with hub.database.transaction() as session:
        by = By(actor)
        stored, created = update_one(hub, session, by, resource, call.if_match)
        keep_provenance(hub, session, by, spoken, stored)
        told = _told(session, call, stored)
    _committed(hub, stored)
    status = 201 if created else 200
    return answers.written(stored, status, hub.base, call.prefers, told)


def conditional_update(hub: Hub, actor: Actor, call: Call) -> Answer:
    """PUT /T?query: none matches, create; one, update; more, 412 (F6)."""
    require_interaction(actor, "update", call.resource_type)
    resource, spoken = _body(hub, call), read_provenance(hub, call)
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
        keep_provenance(hub, session, by, spoken, stored)
        told = _told(session, call, stored)
    _committed(hub, stored)
    status = 200 if found else 201
    return answers.written(stored, status, hub.base, call.prefers, told)


def patch(hub: Hub, actor: Actor, call: Call) -> Answer:
    """PATCH /T/id; the result is judged like an update."""
    require_interaction(actor, "patch", call.resource_type)
    require_parameters(call)
    operations, spoken = read_patch(hub, call), read_provenance(hub, call)
    with hub.database.transaction() as session:
        before = require_visible(session, actor, call.resource_type, call.id)
        by = By(actor)
        stored = patch_one(hub, session, by, before, operations, call.if_match)
        keep_provenance(hub, session, by, spoken, stored)
        told = _told(session, call, stored)
    _committed(hub, stored)
    return answers.written(stored, 200, hub.base, call.prefers, told)


def conditional_patch(hub: Hub, actor: Actor, call: Call) -> Answer:
    """PATCH /T?query: one match, or 404 and 412 (R4 http.html#patch)."""
    require_interaction(actor, "patch", call.resource_type)
    operations, spoken = read_patch(hub, call), read_provenance(hub, call)
    query = criteria(hub, actor, call.resource_type, call.query)
    with hub.database.transaction() as session:
        before = find_one(session, actor, call.resource_type, query)
        if before is None:
            raise FhirError(issue("HUB-REST-001"))
        by = By(actor)
        stored = patch_one(hub, session, by, before, operations, call.if_match)
        keep_provenance(hub, session, by, spoken, stored)
        told = _told(session, call, stored)
    _committed(hub, stored)
    return answers.written(stored, 200, hub.base, call.prefers, told)


def conditional_delete(hub: Hub, actor: Actor, call: Call) -> Answer:
    """DELETE /T?query: one match or none, 204; more, 412.

    R4 http.html#delete: without a match an ordinary delete of what is not there,
    which succeeds. So hidden and absent stay alike, too.
    """
    require_interaction(actor, "delete", call.resource_type)
    query = criteria(hub, actor, call.resource_type, call.query)
    with hub.database.transaction() as session:
        before = find_one(session, actor, call.resource_type, query)
        if before is None:
            record_unmatched(session, actor, "delete", call.resource_type, query)
        else:
            require_unchanged(before, call.if_match)
            delete_one(hub, session, By(actor), before)
    return answers.deleted(call.prefers)


def delete(hub: Hub, actor: Actor, call: Call) -> Answer:
    """DELETE /T/id: of one's own draft; in a case a mistake is entered-in-error."""
    require_interaction(actor, "delete", call.resource_type)
    require_parameters(call)
    with hub.database.transaction() as session:
        before = require_visible(session, actor, call.resource_type, call.id)
        if not before.deleted:
            require_unchanged(before, call.if_match)
        delete_one(hub, session, By(actor), before)
    return answers.deleted(call.prefers)


def _body(hub: Hub, call: Call) -> Resource:
    if contents.is_native(call):
        return contents.received(call, hub.settings.max_body_bytes)
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
