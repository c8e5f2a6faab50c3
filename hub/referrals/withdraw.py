"""Consent withdrawn, narrowed or run out: what gate D does (workflow.md §5).

One transaction: grants close, what is queued stops and loses its body, open Tasks
end, holders of a copy are told, and the audit rows of all this are sealed. The answer
lists who already holds a copy; the parent Task keeps that list as outputs `holder`.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from hub.actor import Actor
from hub.audit.seal import seal_now
from hub.changes import By
from hub.consent.decide import Question, decide
from hub.consent.read import ConsentFacts
from hub.database import Session
from hub.delivery import operate
from hub.disclosure import cases, grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import FOR_WITHDRAWN_SOURCE, DataClass
from hub.disclosure.grants import Permit
from hub.fhir import dates
from hub.fhir.canonical import STATUS_REASON
from hub.fhir.json import Resource
from hub.fhir.outcome import Issue, issue
from hub.referrals import children, feed
from hub.referrals.advance import settle_parent
from hub.referrals.gates import asked_of, consent_facts, resource_of, versioned
from hub.referrals.knowledge import Knowledge
from hub.referrals.mirror import coded
from hub.referrals.moves import OPEN
from hub.referrals.recall import holders, list_holders, pushed_to
from hub.referrals.records import move_by_hub
from hub.referrals.stopped import record_attempts

_STARTED = ("in-progress", "on-hold")


def after_consent(
    session: Session, knowledge: Knowledge, by: By, consent: Resource
) -> None:
    """After a Consent of a case was written: ask for every grant of the case again.

    When nothing permits the case any more it ends; else the grants that lost their
    permit close, and the others end when their permit now ends.
    """
    for case in cases.of_resource(session, "Consent", consent["id"]):
        facts = consent_facts(session, case)
        if not _is_permitted(knowledge, case, facts, by.at):
            _withdraw(session, knowledge, by, case, "consent-withdrawn")
        else:
            _ask_again(session, knowledge, by, case, facts)


def expire(session: Session, knowledge: Knowledge, at: datetime) -> int:
    """End the cases whose consent has run out by `at`; how many.

    Their grants ended by themselves, at midnight in Japan for a day: this only tells
    the Tasks, the sender and those who hold a copy. To be called now and then.
    """
    by = By(knowledge.hub_actor(Actor(knowledge.organisation, "")), at)
    ended = 0
    for case_id in grants.expired(session, at):
        case = cases.find(session, case_id)
        if case is None:
            continue
        facts = consent_facts(session, case)
        if not _is_permitted(knowledge, case, facts, at):
            _withdraw(session, knowledge, by, case, "consent-expired")
            ended += 1
    return ended


def told(session: Session, consent: Resource) -> list[Issue]:
    """What the answer to a withdrawal says: who already holds a copy; else nothing."""
    found: list[Issue] = []
    for case in cases.of_resource(session, "Consent", consent["id"]):
        parent = resource_of(session, "Task", case.parent_task)
        codes = (parent.get("businessStatus") or {}).get("coding", ())
        if any(coding.get("code") == "consent-withdrawn" for coding in codes):
            found += _told(parent)
    return found


def _told(parent: Resource) -> list[Issue]:
    held = children.references(parent, "output", "holder")
    if not held:
        return [issue("HUB-CON-023", "Consent", severity="information")]
    return [
        issue("HUB-CON-022", "Consent", severity="warning", organisation=one)
        for one in held
    ]


def _is_permitted(
    knowledge: Knowledge, case: Case, facts: list[ConsentFacts], at: datetime
) -> bool:
    rule = knowledge.programmes[case.programme].consent
    question = Question(patient=f"Patient/{case.patient}", at=at)
    return isinstance(decide(facts, rule, question), Permit)


def _ask_again(
    session: Session,
    knowledge: Knowledge,
    by: By,
    case: Case,
    facts: list[ConsentFacts],
) -> None:
    """Close the grants of desks that the consent no longer names; limit the others."""
    programme = knowledge.programmes[case.programme]
    asked: dict[str, Permit | list[Issue]] = {}
    for task in children.of_case(session, case):
        desk = children.desk_in_charge(session, task)
        if desk is None:
            continue
        onward = children.replaced_by(task) is not None
        question = asked_of(session, case, by.at, desk, onward=onward)
        decided = decide(facts, programme.consent, question)
        if task["status"] in OPEN and not isinstance(decided, Permit):
            _close_desk(session, knowledge, by, case, task, desk.organisation)
        asked[desk.organisation] = decided
    general = decide(
        facts,
        programme.consent,
        Question(patient=f"Patient/{case.patient}", at=by.at),
    )
    for held in grants.all_held(session, case.id, by.at):
        decided = asked.get(held["organisation"], general)
        decided = general if held["role"] == "source" else decided
        if isinstance(decided, Permit):
            _fit(session, case, held, decided, by.at)
        else:
            grants.close_grants(
                session,
                case.id,
                "consent-withdrawn",
                by.at,
                held["organisation"],
                held["role"],
            )


def _fit(
    session: Session, case: Case, held: dict[str, Any], decided: Permit, at: datetime
) -> None:
    """A grant follows its permit: it ends earlier, or another goes on longer (G7).

    The row that was opened from one consent is never lengthened by the next: what goes
    on rests on the new one, and says so.
    """
    ends = dates.micros(decided.ends) if decided.ends else None
    if held["ends"] is None or (ends is not None and ends < held["ends"]):
        grants.limit_grant(session, held["id"], decided)
    elif ends is None or ends > held["ends"]:
        permit = replace(
            decided,
            recipient=held["organisation"],
            classes=DataClass(held["classes"]),
            consent=versioned(session, decided.consent),
            clause=held["clause"],
        )
        grants.open_grant(session, case.id, permit, held["role"], at)


def _close_desk(
    session: Session,
    knowledge: Knowledge,
    by: By,
    case: Case,
    task: Resource,
    organisation: str,
) -> None:
    """The consent stands, but not for this desk: its part of the case ends."""
    hub = By(knowledge.hub_actor(by.actor), by.at)
    had_it = organisation in pushed_to(session, case)
    grants.close_grants(session, case.id, "consent-withdrawn", by.at, organisation)
    record_attempts(session, hub, case, organisation)
    operate.withdraw(session, case.id, organisation, at=by.at)
    ended = _end_task(session, hub, case, task, "consent-withdrawn")
    if had_it:
        feed.send_retraction(session, knowledge, hub, case, [ended], organisation)
    settle_parent(session, knowledge, hub, case, ended)
    seal_now(session)


def _withdraw(
    session: Session, knowledge: Knowledge, by: By, case: Case, why: str
) -> None:
    if case.closed_at is not None and not _is_seen(session, case, by.at):
        return
    hub = By(knowledge.hub_actor(by.actor), by.at)
    given = grants.explain(session, case.id)
    held = holders(session, case, knowledge.organisation)
    had_it = pushed_to(session, case)
    grants.close_grants(session, case.id, why, by.at)
    record_attempts(session, hub, case)
    operate.withdraw(session, case.id, at=by.at)
    _leave_status(session, by, case, given)
    ended = [
        _end_task(session, hub, case, task, why)
        for task in children.of_case(session, case)
        if task["status"] in OPEN
    ]
    _retract(session, knowledge, hub, case, had_it)
    list_holders(session, hub, case, held)
    if ended:
        # What had begun has failed, also where another desk had not begun.
        furthest = max(ended, key=lambda task: task["status"] == "failed")
        settle_parent(session, knowledge, hub, case, furthest)
    # Withdrawn means sealed: the row cannot vanish with a crash of the sealer.
    seal_now(session)


def _is_seen(session: Session, case: Case, at: datetime) -> bool:
    """Whether anybody still sees more of a case than that it ended."""
    return any(
        held["classes"] != int(FOR_WITHDRAWN_SOURCE)
        for held in grants.all_held(session, case.id, at)
    )


def _leave_status(
    session: Session, by: By, case: Case, given: list[dict[str, object]]
) -> None:
    """The sender keeps the news that it ended, and nothing about the person."""
    own = next(row for row in given if row["role"] == "source")
    permit = Permit(
        str(own["basis"]),
        case.source,
        FOR_WITHDRAWN_SOURCE,
        str(own["consent"]),
        "the sender's own referral ended by withdrawal",
    )
    grants.open_grant(session, case.id, permit, "source", by.at)


def _end_task(
    session: Session, hub: By, case: Case, task: Resource, why: str
) -> Resource:
    """Move 17; the reason is a code, so that nothing about the person is in it."""
    started = task["status"] in _STARTED
    task["status"] = "failed" if started else "cancelled"
    task["businessStatus"] = coded("consent-withdrawn")
    task["statusReason"] = {"coding": [{"system": STATUS_REASON, "code": why}]}
    return move_by_hub(session, hub, case, task)


def _retract(
    session: Session, knowledge: Knowledge, hub: By, case: Case, had_it: set[str]
) -> None:
    """Tell each desk that got something, also one that had passed the case on."""
    for task in children.of_case(session, case):
        desk = children.desk_in_charge(session, task)
        if desk is not None and desk.organisation in had_it:
            feed.send_retraction(
                session, knowledge, hub, case, [task], desk.organisation
            )
