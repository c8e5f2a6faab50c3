"""What follows a move of a Task: the parent mirrors it, cases pass on, news goes out.

Called after the change is stored, in the same transaction.
"""

from hub.changes import By, update
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.cases import Case
from hub.fhir import dates
from hub.fhir.json import Resource
from hub.referrals import children, feed, transfer
from hub.referrals.knowledge import Knowledge
from hub.referrals.mirror import apply, coded, mirror
from hub.referrals.moves import ENDED, OPEN, business_status, find_move
from hub.referrals.records import move_provenance
from hub.referrals.rules import Place, place_of
from hub.store import resources as store
from hub.store.visibility import hub_sees_all


def after_task(
    session: Session, knowledge: Knowledge, by: By, before: Resource, after: Resource
) -> None:
    """Draw every consequence of a changed Task; nothing for a draft."""
    place = place_of(session, after)
    if place is None:
        return
    hub = By(knowledge.hub_actor(by.actor), by.at)
    move_provenance(session, hub, place.case, after, by.actor.organisation)
    if place.kind == "parent":
        _cascade(session, knowledge, hub, place.case, after)
    elif place.kind == "abort":
        _abort(session, knowledge, hub, place, after)
    else:
        _child_moved(session, knowledge, hub, place.case, before, after)


def _child_moved(
    session: Session,
    knowledge: Knowledge,
    hub: By,
    case: Case,
    before: Resource,
    after: Resource,
) -> None:
    move = find_move(before, after) if _moved(before, after) else None
    another = False
    if move is not None and move.transfers:
        transfer.pass_on(session, knowledge, hub, case, after)
    elif after["status"] == "rejected":
        another = transfer.ask_another(session, knowledge, hub, case, after)
    elif after["status"] == "accepted" and before["status"] != "accepted":
        _close_replaced(session, hub, case, after)
    if after["status"] == "entered-in-error":
        transfer.recall(session, knowledge, hub, case, after)
    settle_parent(session, knowledge, hub, case, after, another_candidate=another)


def settle_parent(
    session: Session,
    knowledge: Knowledge,
    hub: By,
    case: Case,
    changed: Resource,
    *,
    another_candidate: bool = False,
) -> None:
    """Let the parent follow its children, and tell the sender."""
    tasks = children.of_case(session, case)
    current = next((t for t in tasks if t["id"] == changed["id"]), changed)
    parent = _parent(session, case)
    mirrored = mirror(parent, tasks, current, another_candidate=another_candidate)
    after = apply(parent, mirrored)
    if _state(after) != _state(parent):
        after["lastModified"] = dates.instant(hub.at)
        parent = update(session, hub, after, patient=case.patient).resource()
    feed.send_status(session, knowledge, hub, case, [parent, *tasks])
    if parent["status"] in ENDED:
        _end(session, hub, case)


def _cascade(
    session: Session, knowledge: Knowledge, hub: By, case: Case, parent: Resource
) -> None:
    """The sender cancelled or recalled the parent: its open children follow."""
    if parent["status"] not in ("cancelled", "entered-in-error"):
        for task in children.of_case(session, case):
            if task["status"] in OPEN:
                _hand_on_inputs(session, knowledge, hub, case, parent, task)
        return
    for task in children.of_case(session, case):
        recalled = parent["status"] == "entered-in-error"
        if task["status"] in OPEN or recalled:
            task["status"] = parent["status"]
            task["statusReason"] = parent["statusReason"]
            task.pop("businessStatus", None)
            task["lastModified"] = dates.instant(hub.at)
            stored = update(session, hub, task, patient=case.patient).resource()
            transfer.recall(session, knowledge, hub, case, stored)
    feed.send_status(
        session, knowledge, hub, case, [parent, *children.of_case(session, case)]
    )
    _end(session, hub, case)


def _hand_on_inputs(
    session: Session,
    knowledge: Knowledge,
    hub: By,
    case: Case,
    parent: Resource,
    task: Resource,
) -> None:
    """The sender's answer or phone call, new among the parent's inputs (move 3)."""
    new = [one for one in parent.get("input", ()) if one not in task.get("input", ())]
    if not new:
        return
    task["input"] = [*task.get("input", ()), *new]
    waiting = {"awaiting-information"}
    if children.has_phone_call(task):
        waiting.add("awaiting-phone")
    codings = [
        coding
        for coding in (task.get("businessStatus") or {}).get("coding", ())
        if coding.get("code") not in waiting
    ]
    task.pop("businessStatus", None)
    if codings:
        task["businessStatus"] = {"coding": codings}
    task["lastModified"] = dates.instant(hub.at)
    stored = update(session, hub, task, patient=case.patient).resource()
    transfer.tell_recipient(session, knowledge, hub, case, stored)
    settle_parent(session, knowledge, hub, case, stored)


def _abort(
    session: Session, knowledge: Knowledge, hub: By, place: Place, abort: Resource
) -> None:
    """The recipient agreed to stop: the child ends as failed (move 16)."""
    if abort["status"] not in ("accepted", "completed"):
        return
    target = str(abort["focus"]["reference"]).removeprefix("Task/")
    for task in children.of_case(session, place.case):
        if task["id"] == target and task["status"] in OPEN:
            task["status"] = "failed"
            task["statusReason"] = abort.get("statusReason") or abort.get(
                "reasonCode", {"text": "送り手の依頼により中止 / stopped on request"}
            )
            task["businessStatus"] = coded("provider-unable")
            stored = update(session, hub, task, patient=place.case.patient).resource()
            settle_parent(session, knowledge, hub, place.case, stored)


def _close_replaced(session: Session, hub: By, case: Case, accepted: Resource) -> None:
    """Warm transfer: the old Task ends when the new one is accepted (move 9)."""
    old_id = children.replaced_by(accepted)
    for task in children.of_case(session, case):
        if task["id"] == old_id and task["status"] in OPEN:
            task["status"] = "failed" if task["status"] != "received" else "rejected"
            task["businessStatus"] = coded("transferred")
            task["statusReason"] = {"text": "移管先が受理 / accepted by the new desk"}
            task["lastModified"] = dates.instant(hub.at)
            update(session, hub, task, patient=case.patient)
            transfer.narrow_former(session, hub, case, task)


def _end(session: Session, hub: By, case: Case) -> None:
    cases.close(session, case.id, hub.at)


def _parent(session: Session, case: Case) -> Resource:
    stored = store.read(session, "Task", case.parent_task, hub_sees_all)
    if stored is None:
        raise LookupError("a case without its parent Task")
    return stored.resource()


def _moved(before: Resource, after: Resource) -> bool:
    return before["status"] != after["status"] or business_status(
        before
    ) != business_status(after)


def _state(task: Resource) -> tuple[object, ...]:
    return tuple(
        str(task.get(key))
        for key in ("status", "businessStatus", "statusReason", "output")
    )
