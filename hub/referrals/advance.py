"""What follows a move of a Task: the parent mirrors it, cases pass on, news goes out.

Called after the change is stored, in the same transaction.
"""

from hub.changes import By, update
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.cases import Case
from hub.fhir import dates
from hub.fhir.json import Resource
from hub.referrals import children, feed, recall, transfer
from hub.referrals.gates import resource_of
from hub.referrals.knowledge import Knowledge
from hub.referrals.mirror import apply, coded, mirror
from hub.referrals.moves import ENDED, OPEN, business_status, find_move
from hub.referrals.records import move_by_hub, move_provenance
from hub.referrals.rules import Place, place_of

_EPISODE = {
    "completed": "finished",
    "failed": "finished",
    "entered-in-error": "entered-in-error",
}


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
    elif place.kind == "recall":
        asked_by = by.actor.organisation
        recall.confirmed(session, knowledge, hub, place.case, after, asked_by)
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
    if move is None:
        _answered(session, knowledge, hub, case, before, after)
    elif move.transfers:
        transfer.pass_on(session, knowledge, hub, case, after)
    elif after["status"] == "rejected":
        another = transfer.ask_another(session, knowledge, hub, case, after)
        transfer.settle_predecessor(session, hub, case, after)
    elif after["status"] == "accepted":
        _close_replaced(session, hub, case, after)
    elif after["status"] in ("cancelled", "entered-in-error"):
        recall.take_back(session, knowledge, hub, case, after)
    settle_parent(session, knowledge, hub, case, after, another_candidate=another)


def after_new_task(
    session: Session, knowledge: Knowledge, by: By, task: Resource
) -> None:
    """The sender asks to stop (move 16): the desk is told."""
    place = place_of(session, task)
    if place is not None and place.kind == "abort":
        hub = By(knowledge.hub_actor(by.actor), by.at)
        move_provenance(session, hub, place.case, task, by.actor.organisation)
        transfer.tell_recipient(session, knowledge, hub, place.case, task)


def _answered(
    session: Session,
    knowledge: Knowledge,
    hub: By,
    case: Case,
    before: Resource,
    after: Resource,
) -> None:
    """The sender put its answer into the child Task itself."""
    if before.get("input", ()) != after.get("input", ()):
        _no_longer_waits(session, knowledge, hub, case, after)


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
    parent = resource_of(session, "Task", case.parent_task)
    mirrored = mirror(parent, tasks, current, another_candidate=another_candidate)
    after = apply(parent, mirrored)
    if _state(after) != _state(parent):
        after["lastModified"] = dates.instant(hub.at)
        parent = update(session, hub, after, patient=case.patient).resource()
    if parent["status"] == "entered-in-error":
        tasks += children.recalls_of(session, case)
    feed.send_status(session, knowledge, hub, case, [parent, *tasks])
    if parent["status"] in ENDED:
        _end(session, hub, case, parent)


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
        recalled = parent["status"] == "entered-in-error" != task["status"]
        if task["status"] in OPEN or recalled:
            task["status"] = parent["status"]
            task["statusReason"] = parent["statusReason"]
            task.pop("businessStatus", None)
            stored = move_by_hub(session, hub, case, task)
            recall.take_back(session, knowledge, hub, case, stored)
    tasks = [*children.of_case(session, case), *children.recalls_of(session, case)]
    feed.send_status(session, knowledge, hub, case, [parent, *tasks])
    _end(session, hub, case, parent)


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
    stored = _no_longer_waits(session, knowledge, hub, case, task)
    settle_parent(session, knowledge, hub, case, stored)


def _no_longer_waits(
    session: Session, knowledge: Knowledge, hub: By, case: Case, task: Resource
) -> Resource:
    """The child Task without what its new inputs answer; its desk is told."""
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
    stored = move_by_hub(session, hub, case, task)
    transfer.tell_recipient(session, knowledge, hub, case, stored)
    return stored


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
            task["statusReason"] = abort.get("reasonCode") or abort["statusReason"]
            task.pop("businessStatus", None)
            stored = move_by_hub(session, hub, place.case, task)
            settle_parent(session, knowledge, hub, place.case, stored)


def _close_replaced(session: Session, hub: By, case: Case, accepted: Resource) -> None:
    """Warm transfer: the old Task ends when the new one is accepted (move 9)."""
    old_id = children.replaced_by(accepted)
    for task in children.of_case(session, case):
        if task["id"] == old_id and task["status"] in OPEN:
            task["status"] = "failed" if task["status"] != "received" else "rejected"
            task["businessStatus"] = coded("transferred")
            task["statusReason"] = {"text": "移管先が受理 / accepted by the new desk"}
            move_by_hub(session, hub, case, task)
            transfer.narrow_former(session, hub, case, task)


def _end(session: Session, hub: By, case: Case, parent: Resource) -> None:
    """Close the case, and say so in its EpisodeOfCare."""
    cases.close(session, case.id, hub.at)
    episode = resource_of(session, "EpisodeOfCare", case.id)
    status = _EPISODE.get(parent["status"], "cancelled")
    if episode["status"] != status:
        episode["status"] = status
        episode["period"] = {**episode["period"], "end": dates.instant(hub.at)}
        update(session, hub, episode, patient=case.patient)


def _moved(before: Resource, after: Resource) -> bool:
    return before["status"] != after["status"] or business_status(
        before
    ) != business_status(after)


def _state(task: Resource) -> tuple[object, ...]:
    return tuple(
        str(task.get(key))
        for key in ("status", "businessStatus", "statusReason", "output")
    )
