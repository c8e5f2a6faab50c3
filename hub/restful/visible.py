"""One resource as an actor may see it, and the audit row of its reading."""

from urllib.parse import urlencode

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.grants import visible_to
from hub.fhir import dates
from hub.fhir.outcome import FhirError, issue
from hub.fhir.search import Query
from hub.store import resources as store
from hub.store.resources import Stored
from hub.store.stored import from_row
from hub.store.tables import resource


def require_visible(session: Session, actor: Actor, type: str, id: str) -> Stored:
    """The stored resource if the actor may see it; else 404, as for an unknown id."""
    stored = store.read(session, type, id, visible_to(actor))
    if stored is None:
        raise FhirError(issue("HUB-REST-001"))
    return stored


def read_and_record(session: Session, actor: Actor, type: str, id: str) -> Stored:
    """`require_visible` and the one AuditEvent of it (F17), for the read of a resource.

    One statement finds the resource and whom it is about.
    """
    row = store.read_row(session, _WITH_PERSON, (type, id), visible_to(actor))
    if row is None:
        raise FhirError(issue("HUB-REST-001"))
    stored = from_row(session, row)
    patient = row.patient or (id if type == "Patient" else None)
    _record(session, actor, "read", stored, patient)
    return stored


# Built once: asked on every read.
_WITH_PERSON = store.CURRENT.add_columns(cases.patient_of(resource).label("patient"))


def require_version(
    session: Session, actor: Actor, type: str, id: str, version: int
) -> Stored:
    """That version if the actor may see the resource; else 404."""
    stored = store.vread(session, type, id, version, visible_to(actor))
    if stored is None:
        raise FhirError(issue("HUB-REST-001"))
    return stored


def patient_of(session: Session, type: str, id: str) -> str | None:
    """Whom a resource is about (Patient id), for the audit row."""
    found = cases.of_resource(session, type, id)
    if found:
        return found[0].patient
    return id if type == "Patient" else None


def record_read(
    session: Session, actor: Actor, interaction: str, stored: Stored
) -> None:
    """Exactly one AuditEvent of a read, vread or history (F17)."""
    patient = patient_of(session, stored.type, stored.id)
    _record(session, actor, interaction, stored, patient)


def _record(
    session: Session,
    actor: Actor,
    interaction: str,
    stored: Stored,
    patient: str | None,
) -> None:
    audit.record(
        session,
        actor,
        interaction,
        targets=[f"{stored.reference}/_history/{stored.version}"],
        patients=[f"Patient/{patient}"] if patient else [],
        at=dates.now(),
    )


def record_unmatched(
    session: Session, actor: Actor, interaction: str, type: str, query: Query
) -> None:
    """One AuditEvent of a conditional act that found nothing to act on (F17)."""
    asked = f"{type}?{urlencode(query.understood)}"
    audit.record(session, actor, interaction, query=asked, at=dates.now())
