"""read, vread, history-instance: hidden equals absent (security.md G4)."""

from typing import Any

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.grants import visible_to
from hub.fhir import dates
from hub.fhir.json import decode
from hub.fhir.outcome import FhirError, issue
from hub.restful import answers
from hub.restful.answers import Answer
from hub.restful.call import Call, require_interaction
from hub.restful.hub import Hub
from hub.store import resources as store
from hub.store.resources import Stored


def read(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T/id."""
    require_interaction(actor, "read", call.resource_type)
    with hub.database.transaction(write=False) as session:
        if call.resource_type == "AuditEvent":
            return _read_audit(session, actor, call)
        stored = require_visible(session, actor, call.resource_type, call.id)
        _record_read(session, actor, "read", stored)
    if stored.deleted:
        raise FhirError(issue("HUB-REST-010"))
    if call.if_none_match == stored.version:
        return Answer(304, headers=answers.version_headers(stored))
    return answers.of_resource(stored)


def vread(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T/id/_history/v."""
    require_interaction(actor, "vread", call.resource_type)
    if not call.path["version"].isdecimal():
        raise FhirError(issue("HUB-REST-001"))
    with hub.database.transaction(write=False) as session:
        stored = store.vread(
            session,
            call.resource_type,
            call.id,
            int(call.path["version"]),
            visible_to(actor),
        )
        if stored is None:
            raise FhirError(issue("HUB-REST-001"))
        _record_read(session, actor, "vread", stored)
    if stored.deleted:
        raise FhirError(issue("HUB-REST-010"))
    return answers.of_resource(stored)


def history(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T/id/_history: newest first, a request and a response per entry."""
    require_interaction(actor, "history-instance", call.resource_type)
    with hub.database.transaction(write=False) as session:
        current = require_visible(session, actor, call.resource_type, call.id)
        page = store.history(
            session,
            call.resource_type,
            call.id,
            visible_to(actor),
            count=hub.settings.max_page_size,
        )
        _record_read(session, actor, "history-instance", current)
    here = f"{hub.base}/{current.reference}"
    bundle = {
        "resourceType": "Bundle",
        "type": "history",
        "total": page.total,
        "link": [{"relation": "self", "url": f"{here}/_history"}],
        "entry": [_history_entry(hub, one) for one in page.entries],
    }
    return answers.of_json(bundle)


def require_visible(session: Session, actor: Actor, type: str, id: str) -> Stored:
    """The stored resource if the actor may see it; else 404, as for an unknown id."""
    stored = store.read(session, type, id, visible_to(actor))
    if stored is None:
        raise FhirError(issue("HUB-REST-001"))
    return stored


def patient_of(session: Session, type: str, id: str) -> str | None:
    """Whom a case resource is about (Patient id), for the audit row."""
    found = cases.of_resource(session, type, id)
    return found[0].patient if found else None


def _record_read(
    session: Session, actor: Actor, interaction: str, stored: Stored
) -> None:
    patient = patient_of(session, stored.type, stored.id)
    audit.record(
        session,
        actor,
        interaction,
        targets=[f"{stored.reference}/_history/{stored.version}"],
        patients=[f"Patient/{patient}"] if patient else [],
        at=dates.now(),
    )


def _read_audit(session: Session, actor: Actor, call: Call) -> Answer:
    body = audit.read(session, call.id)
    if body is None or "privacy" not in actor.roles:
        raise FhirError(issue("HUB-REST-001"))
    targets = [f"AuditEvent/{call.id}"]
    audit.record(session, actor, "read", targets=targets, at=dates.now())
    return Answer(200, body)


def _history_entry(hub: Hub, stored: Stored) -> dict[str, Any]:
    method = stored.method
    status = {"DELETE": "204", "POST": "201", "PUT": "200"}[method]
    url = stored.type if method == "POST" else stored.reference
    entry: dict[str, Any] = {
        "fullUrl": f"{hub.base}/{stored.reference}",
        "request": {"method": method, "url": url},
        "response": {
            "status": status,
            "etag": stored.etag,
            "lastModified": dates.instant(stored.last_updated),
        },
    }
    if not stored.deleted:
        entry["resource"] = decode(stored.body)
    return entry
