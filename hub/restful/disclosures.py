"""`Patient/[id]/$disclosures`: the account of who saw a person's data, and why.

For the person, given out by the organisation that sent the referral, or for a privacy
officer. It outlives a withdrawal: that is when somebody asks. As Parameters, or as a
Japanese PDF (`_format=application/pdf`). To have asked is itself recorded.
"""

from datetime import date
from typing import Any

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.directory.ask import StoredDirectory
from hub.disclosure import cases, grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import FOR_SOURCE, WHOLE, DataClass, codes
from hub.disclosure.grants import visible_to
from hub.fhir import dates
from hub.fhir.canonical import CASE_ID
from hub.fhir.json import encode
from hub.fhir.outcome import FhirError, issue
from hub.reports.account import Account, Asked, Disclosure, Opening, account
from hub.reports.account_sheet import account_pdf, disclosure_text, opening_text
from hub.reports.person import name_of
from hub.reports.terms import Terms
from hub.restful.answers import Answer
from hub.restful.call import Call, require_parameters, require_scope
from hub.restful.explain import organisation_part, text_part
from hub.restful.formats import is_pdf
from hub.restful.hub import Hub
from hub.store import resources as store

Part = dict[str, Any]
PDF = "application/pdf"


def disclosures(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET Patient/[id]/$disclosures, `start` and `end` (dates) optional.

    404 as for an unknown id unless the caller sent a referral of this person (scope
    `Patient.r`) or is a privacy officer (scope `AuditEvent.r`).
    """
    is_privacy = "privacy" in actor.roles and actor.may("r", "AuditEvent")
    if not is_privacy:
        require_scope(actor, "r", "Patient")
    given = require_parameters(call, "start", "end")
    since, until = _day(given, "start"), _day(given, "end")
    at = dates.now()
    with hub.database.transaction(write=False) as session:
        of_person = cases.of_patient(session, call.id)
        if not is_privacy:
            of_person = [c for c in of_person if _is_sender(session, actor, c)]
        if not of_person:
            raise FhirError(issue("HUB-REST-001"))
        classes = WHOLE if is_privacy else FOR_SOURCE
        asked = Asked(call.id, of_person, classes, since, until)
        made = account(session, asked, _name(session, actor, call.id), at)
        answer = _answer(hub, session, call, made)
        audit.record(
            session,
            actor,
            "operation",
            targets=[f"Patient/{call.id}"],
            patients=[f"Patient/{call.id}"],
            at=at,
        )
    return answer


def _is_sender(session: Session, actor: Actor, case: Case) -> bool:
    """The sender of the case; its grant shrinks with a withdrawal, and stays."""
    if case.source != actor.organisation:
        return False
    held = grants.held(session, case.id, actor.organisation)
    return any(one["role"] == "source" for one in held)


def _name(session: Session, actor: Actor, patient: str) -> str | None:
    """The person's name if the caller sees the person; an account needs none."""
    found = store.read(session, "Patient", patient, visible_to(actor))
    return name_of(found.resource()) if found and not found.deleted else None


def _day(given: dict[str, str], name: str) -> date | None:
    if name not in given:
        return None
    try:
        found = date.fromisoformat(given[name])
    except ValueError:
        found = date.max
    if found == date.max or given[name] != found.isoformat():
        raise FhirError(issue("HUB-SEARCH-002", parameter=name))
    return found


def _answer(hub: Hub, session: Session, call: Call, made: Account) -> Answer:
    terms = Terms(hub.knowledge.packages, session)
    if not is_pdf(call):
        return Answer(200, encode(_parameters(terms, made)))
    own = StoredDirectory(session).organisation(hub.knowledge.organisation)
    issuer = own.name if own else "つなぎハブ"
    pdf = account_pdf(made, terms, issuer, hub.settings.profiles / "print")
    name = {"Content-Disposition": f'attachment; filename="{made.file_name}"'}
    return Answer(200, pdf, name, PDF)


def _parameters(terms: Terms, made: Account) -> Part:
    parts: list[Part] = [
        {
            "name": "patient",
            "valueReference": {"reference": f"Patient/{made.patient}"},
        }
    ]
    for name, day in (("start", made.since), ("end", made.until)):
        if day is not None:
            parts.append({"name": name, "valueDate": day.isoformat()})
    for number in made.numbers:
        identifier = {"system": CASE_ID, "value": number}
        parts.append({"name": "referral", "valueIdentifier": identifier})
    parts += [_opening(terms, one) for one in made.openings]
    parts += [_disclosure(terms, one) for one in made.disclosures]
    return {"resourceType": "Parameters", "parameter": parts}


def _opening(terms: Terms, one: Opening) -> Part:
    parts = [
        organisation_part(one.organisation, terms.organisation(one.organisation)),
        *_classes(one.classes),
        *_why(one.basis, one.clause),
    ]
    if one.until is not None:
        parts.append({"name": "until", "valueInstant": dates.instant(one.until)})
    return {"name": "access", "part": [*parts, text_part(opening_text(terms, one))]}


def _disclosure(terms: Terms, one: Disclosure) -> Part:
    parts = [
        {"name": "date", "valueDate": one.day.isoformat()},
        organisation_part(one.organisation, terms.organisation(one.organisation)),
        {"name": "way", "valueCode": one.way},
        *_classes(one.classes),
        *_why(one.basis, one.clause),
        {"name": "first", "valueInstant": dates.instant(one.first)},
        {"name": "last", "valueInstant": dates.instant(one.last)},
        {"name": "count", "valueInteger": one.count},
        text_part(disclosure_text(terms, one)),
    ]
    return {"name": "disclosure", "part": parts}


def _classes(classes: DataClass) -> list[Part]:
    return [{"name": "class", "valueCode": code} for code in codes(classes)]


def _why(basis: str, clause: str) -> list[Part]:
    if not basis:
        return []
    return [
        {"name": "basis", "valueCode": basis},
        {"name": "clause", "valueString": clause},
    ]
