"""Who holds a copy of a case, and how it is taken back: stop, narrow, retract.

A copy is what was pushed to an organisation, or may have arrived there, and what an
organisation read through the API.
"""

from hub import audit
from hub.changes import By
from hub.database import Session
from hub.delivery import operate
from hub.disclosure import grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import FOR_RECALLED
from hub.disclosure.grants import Permit
from hub.fhir.json import Resource
from hub.referrals import children, feed
from hub.referrals.knowledge import Knowledge


def holders(session: Session, case: Case, at_hub: str) -> list[str]:
    """Organisations other than the sender and the hub that hold a copy, sorted."""
    concerned = {row["organisation"] for row in grants.explain(session, case.id)}
    pushed = pushed_to(session, case)
    return sorted(
        organisation
        for organisation in concerned - {case.source, at_hub}
        if organisation in pushed or _has_read(session, case, organisation)
    )


def pushed_to(session: Session, case: Case) -> set[str]:
    """Organisations to which something of the case was sent, or may have been."""
    return {
        message.organisation
        for message in operate.find(session, case=case.id, limit=1_000_000)
        if message.sends and message.kind != "retraction"
    }


def take_back(
    session: Session, knowledge: Knowledge, hub: By, case: Case, task: Resource
) -> None:
    """A child Task that the sender cancelled or recalled: its desk learns of it.

    What waits to be sent there is erased. Sent in error (move 18): the desk keeps the
    Task's status, so that it can see what to delete, and sees nothing else any more.
    """
    desk = children.desk_in_charge(session, task)
    if desk is None:
        return
    _erase_unsent(session, hub, case, desk.organisation)
    if task["status"] == "entered-in-error":
        _narrow(session, hub, case, desk.organisation)
    if desk.organisation in pushed_to(session, case):
        feed.send_retraction(session, knowledge, hub, case, task, desk.organisation)


def _erase_unsent(session: Session, hub: By, case: Case, organisation: str) -> None:
    waiting = [
        message.id
        for message in operate.find(
            session, case=case.id, organisation=organisation, limit=1_000_000
        )
        if message.kind == "referral" and message.status in ("queued", "dead")
    ]
    operate.cancel(session, waiting, at=hub.at)


def _narrow(session: Session, hub: By, case: Case, organisation: str) -> None:
    for held in grants.held(session, case.id, organisation, hub.at):
        if held["role"] == "source" or held["classes"] == int(FOR_RECALLED):
            continue
        grants.close_grants(
            session, case.id, "entered-in-error", hub.at, organisation, held["role"]
        )
        permit = Permit(
            held["basis"],
            organisation,
            FOR_RECALLED,
            held["consent"],
            "recall of what was sent in error",
        )
        grants.open_grant(session, case.id, permit, held["role"], hub.at)


def _has_read(session: Session, case: Case, organisation: str) -> bool:
    """True when a request of its clients succeeded; a refused one brought nothing."""
    asked = audit.Criteria(
        patient=(f"Patient/{case.patient}",),
        organisation=(organisation,),
        type=("rest",),
        outcome=("0",),
    )
    return bool(audit.find(session, asked, limit=1))
