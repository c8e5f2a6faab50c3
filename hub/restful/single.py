"""One entry of a Bundle as an interaction of its own, in the caller's transaction."""

from dataclasses import dataclass, replace
from datetime import datetime

from hub.actor import Actor
from hub.changes import By
from hub.database import Session
from hub.fhir import dates
from hub.fhir.outcome import FhirError, Issue, issue
from hub.fhir.search import Member
from hub.fhir.search_values import date_range
from hub.restful import answers
from hub.restful.answers import Answer
from hub.restful.bundle import Entry, query_pairs
from hub.restful.call import is_known, parameters, require_interaction, version_of
from hub.restful.conditional import criteria, find_one, header_criteria
from hub.restful.history import Asked, history_bundle
from hub.restful.hub import Hub
from hub.restful.linking import Linker
from hub.restful.one import (
    create_one,
    delete_one,
    patch_one,
    require_unchanged,
    update_one,
)
from hub.restful.patching import from_entry
from hub.restful.privacy import read_audit
from hub.restful.read import part, shown_of
from hub.restful.search import Place, found_at, place_within
from hub.restful.visible import (
    record_read,
    record_unmatched,
    require_version,
    require_visible,
)
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
    linker: Linker | None = None,
) -> Done:
    """Do what the entry asks; its scope was checked.

    With a `linker` it is part of a transaction: what is posted and put was linked,
    what a patch brings in is linked by it.
    """
    if entry.is_read:
        done = _get(hub, session, by, entry)
        return done if entry.method == "GET" else replace(done, answer=None)
    if entry.method == "DELETE":
        return _delete(hub, session, by, entry)
    if entry.method == "PATCH":
        return _patch(hub, session, by, entry, linker)
    if entry.method == "PUT":
        return _put(hub, session, by, entry, is_linked=linker is not None)
    return _post(hub, session, by, entry, id, is_linked=linker is not None)


def target(hub: Hub, session: Session, by: By, entry: Entry) -> Stored | None:
    """What a PATCH or DELETE is about; by condition None when there is nothing.

    404 for an id that is not there, 412 when the condition matches several.
    """
    if entry.id is not None:
        return require_visible(session, by.actor, entry.type, entry.id)
    query = criteria(hub, by.actor, entry.type, query_pairs(entry))
    found = find_one(session, by.actor, entry.type, query)
    if found is None and entry.method == "PATCH":
        raise FhirError(issue("HUB-REST-001", entry.path))
    if found is None:
        record_unmatched(session, by.actor, "delete", entry.type, query)
    return found


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


def _patch(
    hub: Hub, session: Session, by: By, entry: Entry, linker: Linker | None
) -> Done:
    operations = from_entry(hub, entry.body, entry.path)
    before = target(hub, session, by, entry)
    if before is None:
        raise FhirError(issue("HUB-REST-001", entry.path))
    expected = version_of(entry.if_match, "request.ifMatch")
    after = patch_one(hub, session, by, before, operations, expected, linker=linker)
    return Done(OK, after)


def _delete(hub: Hub, session: Session, by: By, entry: Entry) -> Done:
    before = target(hub, session, by, entry)
    if before is None:
        return Done(NO_CONTENT)
    if not before.deleted:
        require_unchanged(before, version_of(entry.if_match, "request.ifMatch"))
    return Done(NO_CONTENT, delete_one(hub, session, by, before))


def _get(hub: Hub, session: Session, by: By, entry: Entry) -> Done:
    query = list(query_pairs(entry))
    if entry.is_history:
        asked = Asked(entry.type or None, entry.id)
        bundle = history_bundle(hub, session, by.actor, asked, tuple(query))
        return Done(OK, answer=answers.of_json(bundle))
    if entry.id is None or entry.within:
        place = place_of(hub, by.actor, entry)
        found = found_at(hub, session, by.actor, place, query)
        return Done(OK, answer=answers.of_json(found))
    if entry.type == "AuditEvent":
        parameters(tuple(query))
        return Done(OK, answer=read_audit(hub, session, by.actor, entry.id))
    shown = shown_of(tuple(query))
    stored = _read(session, by, entry)
    if stored.deleted:
        raise FhirError(issue("HUB-REST-010", entry.path))
    since = _instant(entry)
    is_old = since is not None and stored.last_updated <= since
    if is_known(stored, entry.if_none_match, None) or (
        entry.if_none_match is None and is_old
    ):
        return Done("304 Not Modified", stored)
    return Done(OK, stored, part(None, stored, shown))


def place_of(hub: Hub, actor: Actor, entry: Entry) -> Place:
    """Where a GET entry searches: a type, a compartment, or several types."""
    if entry.within:
        within = Member(entry.type, entry.id or "")
        return place_within(hub, actor, within, entry.within)
    return Place(entry.type, entry.type)


def _read(session: Session, by: By, entry: Entry) -> Stored:
    id = entry.id or ""
    if entry.version is None:
        stored = require_visible(session, by.actor, entry.type, id)
    else:
        stored = require_version(session, by.actor, entry.type, id, entry.version)
    record_read(session, by.actor, str(entry.interaction), stored)
    return stored


def _instant(entry: Entry) -> datetime | None:
    """request.ifModifiedSince, an instant in a Bundle; 400 when it is none."""
    if entry.if_modified_since is None:
        return None
    try:
        return dates.from_micros(date_range(entry.if_modified_since)[0])
    except ValueError:
        path = f"{entry.path}.request.ifModifiedSince"
        raise FhirError(issue("HUB-REST-014", path)) from None
