"""Who holds a copy of a case, and how it is taken back: stop, narrow, ask, confirm.

A copy is what was pushed to an organisation, or may have arrived there, and what an
organisation read through the API. Each holder is asked by a Task of its own (`recall`)
to say what became of its copy: destroyed, returned, never held. It sees that Task and
nothing else of the case; a confirmation by telephone is recorded by the sender.
"""

from hub import audit
from hub.changes import Belonging, By, create, update
from hub.database import Session
from hub.delivery import operate
from hub.disclosure import grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import FOR_RECALLED, DataClass
from hub.disclosure.grants import Permit
from hub.fhir import dates
from hub.fhir.canonical import CASE_ID, STATUS_REASON, TASK_CODE
from hub.fhir.json import Resource
from hub.referrals import children, feed
from hub.referrals.gates import resource_of
from hub.referrals.knowledge import Knowledge
from hub.referrals.records import move_provenance
from hub.referrals.stopped import record_attempts
from hub.routing.facts import Desk

_SAID = (
    "誤って送られた情報です。写しを廃棄または返却し、"
    "どうしたかを出力 copy-disposition で知らせてください。"
)


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

    What waits to be sent there is erased. Sent in error (move 18): the desk's grants
    close, and when it holds a copy it is asked what becomes of that.
    """
    desk = children.desk_in_charge(session, task)
    if desk is None:
        return
    held = desk.organisation in holders(session, case, knowledge.organisation)
    pushed = desk.organisation in pushed_to(session, case)
    _erase_unsent(session, hub, case, desk.organisation)
    told = [task]
    if task["status"] == "entered-in-error":
        _narrow(session, hub, case, desk.organisation, holds=held)
        if held:
            told.append(_ask(session, hub, case, task, desk))
            list_holders(session, hub, case, [desk.organisation])
    if pushed:
        feed.send_retraction(session, knowledge, hub, case, told, desk.organisation)


def list_holders(session: Session, hub: By, case: Case, held: list[str]) -> None:
    """Name who holds a copy on the parent Task (output `holder`), each once."""
    parent = resource_of(session, "Task", case.parent_task)
    known = children.references(parent, "output", "holder")
    new = [one for one in held if one not in known]
    if not new:
        return
    parent["output"] = [
        *parent.get("output", ()),
        *(_organisation("holder", one) for one in new),
    ]
    update(session, hub, parent, patient=case.patient)


def confirmed(
    session: Session,
    knowledge: Knowledge,
    hub: By,
    case: Case,
    task: Resource,
    said_by: str,
) -> None:
    """A recall Task that was answered: who said so is noted, and the sender is told.

    `said_by` is the Organization (id) that moved it: the holder, or the sender that
    was told by telephone.
    """
    if task["status"] == "completed":
        output = [*task.get("output", ()), _organisation("confirmed-by", said_by)]
        told = {**task, "output": output, "lastModified": dates.instant(hub.at)}
        task = update(session, hub, told, patient=case.patient).resource()
    feed.send_status(session, knowledge, hub, case, [task])


def _ask(session: Session, hub: By, case: Case, task: Resource, desk: Desk) -> Resource:
    """The Task that asks a holder; nothing about the person is in it."""
    codes = (task.get("statusReason") or {}).get("coding", ())
    asked: Resource = {
        "resourceType": "Task",
        "groupIdentifier": {"system": CASE_ID, "value": case.correlation},
        "status": "requested",
        "statusReason": {
            "coding": [c for c in codes if c.get("system") == STATUS_REASON]
            or [{"system": STATUS_REASON, "code": "entered-in-error"}]
        },
        "intent": "order",
        "code": {"coding": [{"system": TASK_CODE, "code": "recall"}]},
        "description": _SAID,
        "focus": {"reference": f"Task/{task['id']}"},
        "authoredOn": dates.instant(hub.at),
        "lastModified": dates.instant(hub.at),
        "requester": {"reference": f"Organization/{case.source}"},
        "owner": {
            "reference": f"HealthcareService/{desk.id}",
            "display": desk.name,
        },
        "extension": [children.desk_extension(desk.id)],
    }
    place = Belonging((case.id,), DataClass.RECALL, case.patient)
    stored = create(session, hub, asked, place).resource()
    move_provenance(session, hub, case, stored, hub.actor.organisation)
    return stored


def _organisation(code: str, id: str) -> Resource:
    reference = {"reference": f"Organization/{id}"}
    return children.coded_value(code, {"valueReference": reference})


def _erase_unsent(session: Session, hub: By, case: Case, organisation: str) -> None:
    waiting = [
        message.id
        for message in operate.find(
            session, case=case.id, organisation=organisation, limit=1_000_000
        )
        if message.kind == "referral" and message.status in ("queued", "dead")
    ]
    record_attempts(session, hub, case, organisation)
    operate.cancel(session, waiting, at=hub.at)


def _narrow(
    session: Session, hub: By, case: Case, organisation: str, *, holds: bool
) -> None:
    """Close every grant of the desk's organisation; a holder keeps sight of the recall.

    Its own words may name the person, and so does what it was sent: it sees no status.
    """
    for held in grants.held(session, case.id, organisation, hub.at):
        if held["role"] == "source" or held["classes"] == int(FOR_RECALLED):
            continue
        grants.close_grants(
            session, case.id, "entered-in-error", hub.at, organisation, held["role"]
        )
        if not holds:
            continue
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
