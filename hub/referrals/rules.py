"""May this actor make this change? The rules of Tasks and of authorship."""

from dataclasses import dataclass

from hub.actor import Actor
from hub.changes import By
from hub.database import Session
from hub.directory.ask import StoredDirectory
from hub.disclosure import cases
from hub.disclosure.cases import Case
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, Issue, issue, require_none
from hub.referrals.children import desk_of, is_abort, is_child, replaced_by
from hub.referrals.gates import require_permit
from hub.referrals.knowledge import Knowledge
from hub.referrals.moves import ENDED, OPEN, Role, check_move


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Task stands in its case."""

    case: Case
    kind: str  # parent | child | abort


def place_of(session: Session, task: Resource) -> Place | None:
    """The case and the kind of a stored Task; None for a draft."""
    found = cases.of_resource(session, "Task", task["id"])
    if not found:
        return None
    case = found[0]
    if task["id"] == case.parent_task:
        return Place(case, "parent")
    return Place(case, "child" if is_child(task, case) else "abort")


def require_task_change(
    session: Session, knowledge: Knowledge, by: By, before: Resource, after: Resource
) -> None:
    """Raise unless the actor may turn this Task into that one (workflow.md §3)."""
    actor = by.actor
    place = place_of(session, before)
    if place is None:
        return
    roles = roles_of(session, actor, place, before)
    if place.kind == "child":
        records = _has_records(session, actor, place)
        require_none(check_move(before, after, roles, has_records=records))
        _require_gate_b(session, knowledge, by, place.case, before, after)
    elif place.kind == "parent":
        require_none(_parent_issues(before, after, roles))
    else:
        require_none(_abort_issues(before, after, roles))


def _require_gate_b(
    session: Session,
    knowledge: Knowledge,
    by: By,
    case: Case,
    before: Resource,
    after: Resource,
) -> None:
    """Acceptance asks consent again, as it stands at this moment."""
    if after["status"] != "accepted" or before["status"] == "accepted":
        return
    desk = StoredDirectory(session).desk(desk_of(before))
    if desk is None:
        raise FhirError(issue("HUB-REF-018", "Task.owner"))
    onward = replaced_by(before) is not None
    require_permit(session, knowledge, by, case, desk, onward=onward)


def roles_of(
    session: Session, actor: Actor, place: Place, task: Resource
) -> frozenset[Role]:
    """What the actor is towards a Task: source, recipient, hub; may be several."""
    found: set[Role] = set()
    if actor.is_hub:
        found.add("hub")
    if actor.organisation == place.case.source:
        found.add("source")
    owner = task["owner"]["reference"]
    desk = StoredDirectory(session).desk(desk_of(task))
    if owner == actor.reference or (desk and desk.organisation == actor.organisation):
        found.add("recipient")
    return frozenset(found)


def require_author(session: Session, actor: Actor, before: Resource) -> None:
    """A case resource is changed by the organisation that wrote it (COW)."""
    kind = before["resourceType"]
    author = cases.author_of(session, kind, before["id"])
    if author is not None and author != actor.organisation:
        raise FhirError(issue("HUB-REF-019", kind))


def require_new_task(actor: Actor, task: Resource, case: Case) -> None:
    """The only Task a client adds to a case is the sender's request to stop."""
    if not is_abort(task) or actor.organisation != case.source:
        raise FhirError(issue("HUB-REF-002", "Task", who="ハブ"))


def _parent_issues(
    before: Resource, after: Resource, roles: frozenset[Role]
) -> list[Issue]:
    """The sender may cancel, recall, answer and annotate the parent; no more."""
    if "source" not in roles:
        return [issue("HUB-REF-002", "Task", who="送り手")]
    if before["status"] != after.get("status") and (
        after.get("status") not in ("cancelled", "entered-in-error")
        or before["status"] in ENDED
    ):
        return [
            issue(
                "HUB-REF-001",
                "Task.status",
                before=before["status"],
                after=after["status"]
                if after.get("status") in (*OPEN, *ENDED)
                else "?",
            )
        ]
    allowed = {"status", "statusReason", "note", "input"}
    found: list[Issue] = []
    for key in sorted(before.keys() | after.keys()):
        if key in allowed or key in ("meta", "lastModified", "text"):
            continue
        if before.get(key) != after.get(key):
            found.append(issue("HUB-REF-004", f"Task.{key}", element=key))
    if after.get("status") != before["status"] and not after.get("statusReason"):
        found.append(issue("HUB-REF-003", "Task.statusReason"))
    return found


def _abort_issues(
    before: Resource, after: Resource, roles: frozenset[Role]
) -> list[Issue]:
    if "recipient" not in roles:
        return [issue("HUB-REF-002", "Task", who="受け手の窓口")]
    if before["status"] in ENDED or after.get("status") not in (
        "received",
        "accepted",
        "completed",
        "rejected",
    ):
        return [issue("HUB-REF-001", "Task.status", before=before["status"], after="?")]
    return []


def _has_records(session: Session, actor: Actor, place: Place) -> bool:
    types = (
        "QuestionnaireResponse",
        "Encounter",
        "RiskAssessment",
        "CarePlan",
        "Communication",
    )
    return any(
        cases.author_of(session, kind, id) == actor.organisation
        for kind, id in cases.members(session, place.case.id, types)
    )
