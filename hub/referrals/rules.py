"""May this actor make this change? The rules of Tasks and of authorship."""

from dataclasses import dataclass

from hub.actor import Actor
from hub.changes import By
from hub.database import Session
from hub.disclosure import cases, grants
from hub.disclosure.cases import Case
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, Issue, issue, require_none
from hub.referrals import children
from hub.referrals.children import (
    desk_in_charge,
    is_abort,
    is_child,
    is_recall,
    replaced_by,
)
from hub.referrals.confirm import recall_issues
from hub.referrals.gates import require_permit
from hub.referrals.knowledge import Knowledge
from hub.referrals.moves import (
    ENDED,
    OPEN,
    Role,
    additions_only,
    as_stored,
    changed_elements,
    check_move,
    with_unsaid,
)
from hub.store import resources as store
from hub.store.visibility import hub_sees_all

# What the sender may still take back itself; later it asks with an abort Task.
_BEFORE_START = ("requested", "received", "accepted")
_PARENT_ELEMENTS = frozenset({"status", "statusReason", "note", "input"})
_ABORT_ELEMENTS = frozenset({"status", "statusReason", "note", "output"})
_ABORT_MOVES = {
    "requested": ("received", "accepted", "rejected"),
    "received": ("accepted", "rejected"),
    "accepted": ("completed",),
}
_WITHDRAWN = ("inactive", "rejected", "entered-in-error")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Task stands in its case."""

    case: Case
    kind: str  # parent | child | abort | recall


def place_of(session: Session, task: Resource) -> Place | None:
    """The case and the kind of a stored Task; None for a draft."""
    found = cases.of_resource(session, "Task", task["id"])
    if not found:
        return None
    case = found[0]
    if task["id"] == case.parent_task:
        return Place(case, "parent")
    if is_recall(task):
        return Place(case, "recall")
    return Place(case, "child" if is_child(task, case) else "abort")


def require_task_change(
    session: Session, knowledge: Knowledge, by: By, before: Resource, after: Resource
) -> Resource:
    """Raise unless the actor may turn this Task into that one (workflow.md §3).

    Returns the Task as it is to be stored (moves.as_stored).
    """
    actor = by.actor
    place = place_of(session, before)
    if place is None:
        return after
    after = with_unsaid(before, after)
    roles = roles_of(session, actor, place, before)
    if place.kind == "child":
        records = _has_records(session, actor, place)
        require_none(check_move(before, after, roles, has_records=records))
        _require_officer(session, before, after)
        after = as_stored(before, after)
        _require_gate_b(session, knowledge, by, place.case, before, after)
    elif place.kind == "parent":
        require_none(_parent_issues(before, after, roles))
    elif place.kind == "recall":
        require_none(recall_issues(before, after, roles))
    else:
        require_none(_abort_issues(before, after, roles))
    return after


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
    desk = desk_in_charge(session, before)
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
    if place.kind != "parent":
        desk = desk_in_charge(session, task)
        if desk is not None and desk.organisation == actor.organisation:
            found.add("recipient")
    return frozenset(found)


def _require_officer(session: Session, before: Resource, after: Resource) -> None:
    """KG-23: the owner is narrowed to an officer of the desk in charge, or back."""
    owner = (after.get("owner") or {}).get("reference", "")
    if owner == (before.get("owner") or {}).get("reference"):
        return
    desk = f"HealthcareService/{children.desk_of(before)}"
    if owner != desk and not _is_officer(session, str(owner), desk):
        raise FhirError(issue("HUB-REF-025", "Task.owner"))


def _is_officer(session: Session, reference: str, desk: str) -> bool:
    kind, _, id = reference.partition("/")
    if kind != "PractitionerRole":
        return False
    stored = store.read(session, kind, id, hub_sees_all)
    if stored is None or stored.deleted:
        return False
    role = stored.resource()
    return role.get("active", True) is True and any(
        service.get("reference") == desk
        for service in role.get("healthcareService", ())
    )


def require_author(session: Session, actor: Actor, before: Resource) -> None:
    """A case resource is changed by the organisation that wrote it (COW)."""
    kind = before["resourceType"]
    author = cases.author_of(session, kind, before["id"])
    if author is not None and author != actor.organisation:
        raise FhirError(issue("HUB-REF-019", kind))


def require_consent_change(
    session: Session, actor: Actor, before: Resource, after: Resource
) -> None:
    """A Consent is its author's; others who take part may only withdraw it."""
    author = cases.author_of(session, "Consent", before["id"])
    if author is None or author == actor.organisation:
        return
    changed = changed_elements(before, with_unsaid(before, after))
    withdraws = after.get("status") in _WITHDRAWN and changed <= {"status"}
    if not withdraws or not _takes_part(session, actor, before["id"]):
        raise FhirError(issue("HUB-CON-016", "Consent"))


def _takes_part(session: Session, actor: Actor, consent: str) -> bool:
    return any(
        held["role"] in ("source", "recipient")
        for case in cases.of_resource(session, "Consent", consent)
        for held in grants.held(session, case.id, actor.organisation)
    )


def require_new_task(
    session: Session, actor: Actor, task: Resource, case: Case
) -> None:
    """The only Task a client adds to a case is the sender's request to stop (16).

    It names the child Task under way as its focus; its owner is that Task's desk,
    whatever the sender wrote.
    """
    if not is_abort(task) or actor.organisation != case.source:
        raise FhirError(issue("HUB-REF-002", "Task", who="ハブ"))
    focus = str((task.get("focus") or {}).get("reference", ""))
    under_way = {
        f"Task/{child['id']}": child
        for child in children.of_case(session, case)
        if child["status"] in ("in-progress", "on-hold")
    }
    stated = task.get("reasonCode") or task.get("statusReason")
    if focus not in under_way or not stated or task.get("status") != "requested":
        raise FhirError(issue("HUB-REF-028", "Task.focus"))
    desk = children.desk_of(under_way[focus])
    task["owner"] = {"reference": f"HealthcareService/{desk}"}
    task["extension"] = [children.desk_extension(desk)]


def _parent_issues(
    before: Resource, after: Resource, roles: frozenset[Role]
) -> list[Issue]:
    """The sender may cancel, recall, answer and annotate the parent; no more."""
    if "source" not in roles:
        return [issue("HUB-REF-002", "Task", who="送り手")]
    found = _parent_move_issues(before, after)
    found += _only(before, after, _PARENT_ELEMENTS) + additions_only(before, after)
    if after.get("status") != before["status"] and not after.get("statusReason"):
        found.append(issue("HUB-REF-003", "Task.statusReason"))
    return found


def _parent_move_issues(before: Resource, after: Resource) -> list[Issue]:
    status, wanted = before["status"], after.get("status")
    if wanted == status:
        if status in OPEN or not changed_elements(before, after):
            return []
    elif wanted == "entered-in-error" or (
        wanted == "cancelled" and status in _BEFORE_START
    ):
        return []
    elif wanted == "cancelled" and status in OPEN:
        return [issue("HUB-REF-027", "Task.status")]
    return [_no_such_move(status, wanted)]


def _abort_issues(
    before: Resource, after: Resource, roles: frozenset[Role]
) -> list[Issue]:
    """The desk accepts or declines the sender's request to stop."""
    if "recipient" not in roles:
        return [issue("HUB-REF-002", "Task", who="受け手の窓口")]
    status, wanted = before["status"], after.get("status")
    if wanted != status and wanted not in _ABORT_MOVES.get(status, ()):
        return [_no_such_move(status, wanted)]
    found = _only(before, after, _ABORT_ELEMENTS)
    if wanted == "rejected" and not after.get("statusReason"):
        found.append(issue("HUB-REF-003", "Task.statusReason"))
    return found


def _only(before: Resource, after: Resource, allowed: frozenset[str]) -> list[Issue]:
    return [
        issue("HUB-REF-004", f"Task.{key}", element=key)
        for key in sorted(changed_elements(before, after) - allowed)
    ]


def _no_such_move(status: str, wanted: object) -> Issue:
    # What was received may be any text: only known words are said back.
    shown = wanted if wanted in (*OPEN, *ENDED) else "?"
    return issue("HUB-REF-001", "Task.status", before=status, after=shown)


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
