"""One entry of a Bundle as an interaction of its own, in the caller's transaction."""

from hub import audit, changes
from hub.changes import By
from hub.database import Session
from hub.disclosure import cases
from hub.fhir import dates, search
from hub.fhir.outcome import FhirError, issue
from hub.restful import answers
from hub.restful.answers import Answer
from hub.restful.bundle import Entry, query_pairs
from hub.restful.call import version_of
from hub.restful.hub import Hub
from hub.restful.read import patient_of, require_visible
from hub.restful.search import run_search
from hub.restful.write import conditional, create_one, update_one
from hub.store.resources import Stored


def run_alone(
    hub: Hub, session: Session, by: By, entry: Entry, id: str | None
) -> Stored | Answer:
    """Do what the entry asks; scopes were checked."""
    if entry.method == "POST" and entry.resource is not None:
        if entry.if_none_exist is not None:
            found = conditional(hub, session, by.actor, entry.type, entry.if_none_exist)
            if found is not None:
                return found
        return create_one(hub, session, by, entry.resource, id)
    if entry.method == "PUT" and entry.resource is not None:
        expected = version_of(entry.if_match, "request.ifMatch")
        return update_one(hub, session, by, entry.resource, expected)[0]
    if entry.method == "DELETE":
        return _delete(session, by, entry)
    if entry.method == "GET":
        return _get(hub, session, by, entry)
    raise FhirError(issue("HUB-REST-014", f"{entry.path}.request.method"))


def _delete(session: Session, by: By, entry: Entry) -> Stored:
    id = entry.id or ""
    before = require_visible(session, by.actor, entry.type, id)
    if cases.of_resource(session, entry.type, id):
        raise FhirError(issue("HUB-REF-016", f"{entry.path}.request.url"))
    if before.deleted:
        return before
    return changes.delete(session, by, entry.type, id, None)


def _get(hub: Hub, session: Session, by: By, entry: Entry) -> Answer:
    if entry.id is None:
        query = search.parse(
            entry.type, query_pairs(entry), hub.declared, base_url=hub.base
        )
        return answers.of_json(run_search(hub, session, by.actor, entry.type, query))
    stored = require_visible(session, by.actor, entry.type, entry.id)
    patient = patient_of(session, stored.type, stored.id)
    audit.record(
        session,
        by.actor,
        "read",
        targets=[f"{stored.reference}/_history/{stored.version}"],
        patients=[f"Patient/{patient}"] if patient else [],
        at=dates.now(),
    )
    if stored.deleted:
        raise FhirError(issue("HUB-REST-010", entry.path))
    return answers.of_resource(stored)
