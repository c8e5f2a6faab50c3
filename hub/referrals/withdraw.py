"""Consent withdrawn: grants close, what is queued stops, open Tasks end (gate D).

One transaction. What was already sent is listed in the answer and retracted.
"""

from hub.changes import By, update
from hub.consent.decide import Question, decide
from hub.database import Session
from hub.delivery import operate
from hub.directory.ask import StoredDirectory
from hub.disclosure import cases, grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import FOR_WITHDRAWN_SOURCE
from hub.disclosure.grants import Permit
from hub.fhir import dates
from hub.fhir.json import Resource
from hub.referrals import children, feed
from hub.referrals.advance import settle_parent
from hub.referrals.gates import consent_facts
from hub.referrals.knowledge import Knowledge
from hub.referrals.mirror import coded
from hub.referrals.moves import OPEN

_REASON = {"text": "同意の撤回 / consent withdrawn"}


def after_consent(
    session: Session, knowledge: Knowledge, by: By, consent: Resource
) -> list[str]:
    """After a Consent of a case was written: end the case if nothing permits it now.

    Returns the organisations that already hold a copy, for the answer.
    """
    holders: list[str] = []
    for case in cases.of_resource(session, "Consent", consent["id"]):
        if not _still_permitted(session, knowledge, by, case):
            holders += _withdraw(session, knowledge, by, case)
    return holders


def _still_permitted(
    session: Session, knowledge: Knowledge, by: By, case: Case
) -> bool:
    decided = decide(
        consent_facts(session, case),
        knowledge.programmes[case.programme].consent,
        Question(patient=f"Patient/{case.patient}", at=by.at),
    )
    return isinstance(decided, Permit)


def _withdraw(session: Session, knowledge: Knowledge, by: By, case: Case) -> list[str]:
    hub = By(knowledge.hub_actor(by.actor), by.at)
    source = [
        g
        for g in grants.held(session, case.id, case.source, by.at)
        if g["role"] == "source"
    ]
    grants.close_grants(session, case.id, "consent-withdrawn", by.at)
    sent = operate.withdraw(session, case.id, at=by.at)
    if source:
        # The sender keeps the news that it ended, and nothing about the person.
        permit = Permit(
            source[0]["basis"],
            case.source,
            FOR_WITHDRAWN_SOURCE,
            source[0]["consent"],
            "the sender's own referral ended by withdrawal",
        )
        grants.open_grant(session, case.id, permit, "source", by.at)
    directory = StoredDirectory(session)
    holders = sorted({message.organisation for message in sent})
    for task in children.of_case(session, case):
        if task["status"] not in OPEN:
            continue
        started = task["status"] in ("in-progress", "on-hold")
        task["status"] = "failed" if started else "cancelled"
        task["businessStatus"] = coded("consent-withdrawn")
        task["statusReason"] = _REASON
        task["lastModified"] = dates.instant(by.at)
        stored = update(session, hub, task, patient=case.patient).resource()
        desk = directory.desk(children.desk_of(stored))
        if desk is not None:
            feed.send_retraction(
                session, knowledge, hub, case, stored, desk.organisation
            )
        settle_parent(session, knowledge, hub, case, stored)
    return [h for h in holders if h != case.source]
