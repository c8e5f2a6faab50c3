"""Consent asked again: gate B at acceptance, gate C at transfer (workflow.md §5)."""

from dataclasses import replace
from datetime import datetime

from hub import audit
from hub.changes import By
from hub.consent.again import change_issues, new_issues
from hub.consent.decide import Question, decide
from hub.consent.read import ConsentFacts, read
from hub.database import Session
from hub.directory.ask import StoredDirectory
from hub.disclosure import cases
from hub.disclosure.cases import Case
from hub.disclosure.classes import WHOLE
from hub.disclosure.grants import Permit
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, require_none
from hub.referrals.knowledge import Knowledge
from hub.routing.facts import Desk
from hub.store import resources as store
from hub.store.visibility import hub_sees_all


def consent_facts(session: Session, case: Case) -> list[ConsentFacts]:
    """Every Consent of a case as it now is."""
    relatives = relatives_of(session, case)
    return [
        read(resource_of(session, "Consent", id), f"Consent/{id}", relatives)
        for _, id in cases.members(session, case.id, ("Consent",))
    ]


def relatives_of(session: Session, case: Case) -> dict[str, Resource]:
    """The RelatedPersons of a case by reference."""
    return {
        f"RelatedPerson/{id}": resource_of(session, "RelatedPerson", id)
        for _, id in cases.members(session, case.id, ("RelatedPerson",))
    }


def require_dated(
    session: Session, case: Case, consent: Resource, at: datetime
) -> None:
    """422 HUB-CON-031 when a new or changed Consent allows more and has no later date.

    `consent` without an id is new.
    """
    known, relatives = consent_facts(session, case), relatives_of(session, case)
    reference = f"Consent/{consent.get('id', '')}"
    facts = read(consent, reference, relatives)
    before = next((one for one in known if one.reference == reference), None)
    require_none(
        new_issues(facts, known) if before is None else change_issues(before, facts, at)
    )


def require_permit(
    session: Session,
    knowledge: Knowledge,
    by: By,
    case: Case,
    desk: Desk,
    *,
    onward: bool,
) -> Permit:
    """The permit for one desk as the case's Consents now stand; FhirError if none."""
    decided = decide(
        consent_facts(session, case),
        knowledge.programmes[case.programme].consent,
        asked_of(session, case, by.at, desk, onward=onward),
    )
    if not isinstance(decided, Permit):
        raise FhirError(*decided)
    permit = replace(decided, consent=versioned(session, decided.consent))
    record_permit(session, by, case, permit)
    return permit


def record_permit(session: Session, by: By, case: Case, permit: Permit) -> None:
    """Audit a decision to disclose, beside the denials (BALP, AuthZconsent)."""
    audit.record(
        session,
        by.actor,
        "consent-permit",
        at=by.at,
        targets=[permit.consent],
        patients=[f"Patient/{case.patient}"],
        basis=permit.basis,
        recipient=permit.recipient,
    )


def asked_of(
    session: Session, case: Case, at: datetime, desk: Desk, *, onward: bool
) -> Question:
    """The question whether one desk may have the whole case."""
    source = StoredDirectory(session).organisation(case.source)
    return Question(
        patient=f"Patient/{case.patient}",
        at=at,
        recipient=f"Organization/{desk.organisation}",
        desk=f"HealthcareService/{desk.id}",
        classes=WHOLE,
        wording_version=source.wording_version if source else None,
        onward=onward,
    )


def versioned(session: Session, reference: str) -> str:
    """`Consent/<id>/_history/<version>` of a Consent as it is."""
    kind, _, id = reference.partition("/")
    stored = store.read(session, kind, id, hub_sees_all)
    return f"{reference}/_history/{stored.version if stored else 1}"


def resource_of(session: Session, kind: str, id: str) -> Resource:
    """A resource of a case as it is; the hub's own reading."""
    stored = store.read(session, kind, id, hub_sees_all)
    if stored is None:
        raise LookupError(f"{kind}/{id} is in a case but not in the store")
    return stored.resource()
