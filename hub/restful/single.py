"""One entry of a Bundle as an interaction of its own, in the caller's transaction."""

from dataclasses import dataclass

from hub.changes import By
from hub.database import Session
from hub.fhir.outcome import FhirError, Issue, issue
from hub.restful import answers
from hub.restful.answers import Answer
from hub.restful.bundle import Entry, query_pairs
from hub.restful.call import is_known, require_interaction, version_of
from hub.restful.conditional import criteria, find_one, header_criteria
from hub.restful.hub import Hub
from hub.restful.one import (
    create_one,
    delete_one,
    patch_one,
    require_unchanged,
    update_one,
)
from hub.restful.patching import from_entry
from hub.restful.privacy import read_audit
from hub.restful.search import searchset
from hub.restful.visible import record_read, require_visible
from hub.store.resources import Stored


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an entry: its version and status, or an answer with a body.

    `note` is a finding to tell beside it.
    """

    status: str
    stored: Stored | None = None
    answer: Answer | None = None
    note: Issue | None = None


CREATED, OK, NO_CONTENT = "201 Created", "200 OK", "204 No Content"


def run_alone(
    hub: Hub,
    session: Session,
    by: By,
    entry: Entry,
    id: str | None = None,
    *,
    is_linked: bool = False,
) -> Done:
    """Do what the entry asks; its scope was checked."""
    if entry.method == "GET":
        return _get(hub, session, by, entry)
    if entry.method == "DELETE":
        return _delete(session, by, entry)
    if entry.method == "PATCH":
        return _patch(hub, session, by, entry)
    if entry.method == "PUT":
        return _put(hub, session, by, entry, is_linked=is_linked)
    return _post(hub, session, by, entry, id, is_linked=is_linked)


def matched(hub: Hub, session: Session, by: By, entry: Entry) -> Stored | None:
    """The one resource that ifNoneExist of an entry matches, audited as read."""
    if entry.if_none_exist is None:
        return None
    raw = entry.if_none_exist.encode()
    query = header_criteria(hub, by.actor, entry.type, raw)
    found = find_one(session, by.actor, entry.type, query)
    if found is not None:
        record_read(session, by.actor, "read", found)
    return found


def _post(
    hub: Hub, session: Session, by: By, entry: Entry, id: str | None, *, is_linked: bool
) -> Done:
    found = matched(hub, session, by, entry)
    if found is not None:
        return Done(OK, found)
    stored = create_one(hub, session, by, entry.body, id, is_linked=is_linked)
    return Done(CREATED, stored)


def _put(hub: Hub, session: Session, by: By, entry: Entry, *, is_linked: bool) -> Done:
    resource, expected = entry.body, version_of(entry.if_match, "request.ifMatch")
    if entry.id is None:
        query = criteria(hub, by.actor, entry.type, query_pairs(entry))
        found = find_one(session, by.actor, entry.type, query)
        if resource.get("id") not in (None, found.id if found else None):
            raise FhirError(issue("HUB-REST-011", f"{entry.path}.resource.id"))
        if found is None:
            require_interaction(by.actor, "create", entry.type)
            made = create_one(hub, session, by, resource, is_linked=is_linked)
            return Done(CREATED, made)
        resource["id"] = found.id
    stored, created = update_one(
        hub, session, by, resource, expected, is_linked=is_linked
    )
    return Done(CREATED if created else OK, stored)


def _patch(hub: Hub, session: Session, by: By, entry: Entry) -> Done:
    operations = from_entry(hub, entry.body, entry.path)
    before = require_visible(session, by.actor, entry.type, entry.id or "")
    expected = version_of(entry.if_match, "request.ifMatch")
    return Done(OK, patch_one(hub, session, by, before, operations, expected))


def _delete(session: Session, by: By, entry: Entry) -> Done:
    before = require_visible(session, by.actor, entry.type, entry.id or "")
    if not before.deleted:
        require_unchanged(before, version_of(entry.if_match, "request.ifMatch"))
    return Done(NO_CONTENT, delete_one(session, by, before))


def _get(hub: Hub, session: Session, by: By, entry: Entry) -> Done:
    if entry.id is None:
        asked = list(query_pairs(entry))
        found = searchset(hub, session, by.actor, entry.type, asked)
        return Done(OK, answer=answers.of_json(found))
    if entry.type == "AuditEvent":
        return Done(OK, answer=read_audit(session, by.actor, entry.id))
    stored = require_visible(session, by.actor, entry.type, entry.id)
    record_read(session, by.actor, "read", stored)
    if stored.deleted:
        raise FhirError(issue("HUB-REST-010", entry.path))
    if is_known(stored, entry.if_none_match, None):
        return Done("304 Not Modified", stored)
    return Done(OK, stored, answers.of_resource(stored))
