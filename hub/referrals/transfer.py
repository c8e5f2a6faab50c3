"""Pass a case on to another desk: gate C, the new Task, and who still sees what."""

from hub.changes import Belonging, By, create
from hub.database import Session
from hub.directory.ask import StoredDirectory
from hub.disclosure import grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import FOR_FORMER, DataClass
from hub.disclosure.grants import Permit
from hub.fhir import dates
from hub.fhir.canonical import STATUS_REASON
from hub.fhir.dates import JST
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.programmes.programme import Programme
from hub.referrals import children, feed
from hub.referrals.children import Asked, child_task
from hub.referrals.gates import require_permit, resource_of
from hub.referrals.knowledge import Knowledge
from hub.referrals.moves import OPEN, business_status
from hub.referrals.reach import is_in_class
from hub.referrals.records import grant_provenance, move_by_hub
from hub.referrals.route import route
from hub.routing.facts import Desk
from hub.routing.outcome import Decision


def pass_on(
    session: Session, knowledge: Knowledge, hub: By, case: Case, old: Resource
) -> None:
    """Moves 6, 7 and 9: a new child Task for the desk the recipient proposes.

    Without a proposal the router's desk of residence is taken, unless it rests on an
    unconfirmed row (D-21). Raises FhirError when there is no desk, the desk already
    had the case, the chain is too long, or consent does not cover it (KG-14).
    """
    tasks = children.of_case(session, case)
    if not _has_open_successor(tasks, old):
        desk = _receiving_desk(session, old)
        _require_new_desk(knowledge.programmes[case.programme], tasks, desk)
        _require_in_class(session, knowledge, case, hub, desk)
        reason = f"transfer by the desk in charge: {_coded_reason(old)}"
        _ask(session, knowledge, hub, case, old, desk, reason)
    if old["status"] not in OPEN:
        narrow_former(session, hub, case, old)


def _coded_reason(task: Resource) -> str:
    """The codes of a Task's reason; its text stays there, as it may name the person."""
    codings = (task.get("statusReason") or {}).get("coding", ())
    ours = [str(c["code"]) for c in codings if c.get("system") == STATUS_REASON]
    return ", ".join(ours) or "stated in text"


def ask_another(
    session: Session, knowledge: Knowledge, hub: By, case: Case, declined: Resource
) -> bool:
    """After a decline: ask the next desk the router knows, if there is one.

    Nobody else is asked while the desk that wanted to pass the case on still has it.
    """
    tasks = children.of_case(session, case)
    narrow_former(session, hub, case, declined, keep=None)
    if any(task["status"] in OPEN for task in tasks):
        return False
    programme = knowledge.programmes[case.programme]
    if _transfers(tasks) >= programme.max_transfers:
        return False
    decision = _route_again(session, knowledge, hub, case, children.desks(tasks))
    if decision.initial is None or decision.initial.id in children.desks(tasks):
        return False
    try:
        _ask(
            session, knowledge, hub, case, declined, decision.initial, "after a decline"
        )
    except FhirError:
        # Consent does not cover the next desk: the sender must act instead.
        return False
    return True


def settle_predecessor(
    session: Session, hub: By, case: Case, declined: Resource
) -> None:
    """The desk asked by a warm transfer declined: the old one is in charge alone."""
    for task in children.of_case(session, case):
        if (
            task["id"] == children.replaced_by(declined)
            and task["status"] in OPEN
            and business_status(task) == "transferring"
        ):
            del task["businessStatus"]
            move_by_hub(session, hub, case, task)


def narrow_former(
    session: Session,
    hub: By,
    case: Case,
    task: Resource,
    keep: DataClass | None = FOR_FORMER,
) -> None:
    """A desk that passed the case on keeps what its monthly report needs (KG-09)."""
    desk = children.desk_in_charge(session, task)
    if desk is None or _still_in_charge(session, case, desk.organisation, task):
        return
    held = grants.held(session, case.id, desk.organisation, hub.at)
    given = next((g for g in held if g["role"] == "recipient"), None)
    if given is None:
        return
    grants.close_grants(
        session, case.id, "transferred", hub.at, desk.organisation, "recipient"
    )
    if keep is not None:
        permit = Permit(
            given["basis"],
            desk.organisation,
            keep,
            given["consent"],
            "former recipient: own report to the sender",
            dates.from_micros(given["ends"]) if given["ends"] else None,
        )
        grants.open_grant(session, case.id, permit, "former", hub.at)


def tell_recipient(
    session: Session, knowledge: Knowledge, hub: By, case: Case, task: Resource
) -> None:
    """Bring a changed Task (the sender's answer) to its desk under its grant."""
    desk = children.desk_in_charge(session, task)
    if desk is None:
        return
    for held in grants.held(session, case.id, desk.organisation, hub.at):
        if held["role"] == "recipient":
            feed.send_referral(
                session,
                knowledge,
                hub,
                case,
                task,
                desk.organisation,
                held["id"],
                DataClass(held["classes"]),
            )
            return


def _ask(
    session: Session,
    knowledge: Knowledge,
    hub: By,
    case: Case,
    old: Resource,
    desk: Desk,
    why: str,
) -> None:
    permit = require_permit(session, knowledge, hub, case, desk, onward=True)
    parent = resource_of(session, "Task", case.parent_task)
    asked = Asked(desk.id, desk.name, (), why, None, replaces=old["id"])
    task = child_task(parent, case.parent_task, case, asked, hub.at)
    place = Belonging((case.id,), DataClass.STATUS, case.patient)
    stored = create(session, hub, task, place)
    grant_id = grants.open_grant(session, case.id, permit, "recipient", hub.at)
    grant_provenance(session, hub, case, permit, why, stored.id)
    feed.send_referral(
        session,
        knowledge,
        hub,
        case,
        stored.resource(),
        desk.organisation,
        grant_id,
        permit.classes,
    )


def _receiving_desk(session: Session, old: Resource) -> Desk:
    named = children.proposed_desk(old) or children.input_desk(old)
    if named is None:
        raise FhirError(issue("HUB-REF-005", "Task.output"))
    desk = StoredDirectory(session).desk(named)
    if desk is None:
        raise FhirError(issue("HUB-REF-018", "Task.output"))
    return desk


def _require_new_desk(programme: Programme, tasks: list[Resource], desk: Desk) -> None:
    if desk.id in children.desks(tasks):
        raise FhirError(issue("HUB-REF-006", "Task.output"))
    if _transfers(tasks) >= programme.max_transfers:
        limit = programme.max_transfers
        raise FhirError(issue("HUB-REF-007", "Task.output", limit=limit))


def _transfers(tasks: list[Resource]) -> int:
    return sum(children.replaced_by(task) is not None for task in tasks)


def _require_in_class(
    session: Session, knowledge: Knowledge, case: Case, hub: By, desk: Desk
) -> None:
    """The consent names a class of recipients; a desk outside it needs a new one."""
    directory = StoredDirectory(session)
    programme = knowledge.programmes[case.programme]
    day = hub.at.astimezone(JST).date()
    if not is_in_class(directory, programme, case.source, desk, day):
        raise FhirError(issue("HUB-REF-029", "Task.output"))


def _route_again(
    session: Session, knowledge: Knowledge, hub: By, case: Case, left: set[str]
) -> Decision:
    directory = StoredDirectory(session)
    source = directory.organisation(case.source)
    if source is None:
        return Decision(missing=("source",))
    return route(
        directory,
        knowledge.programmes[case.programme],
        source,
        resource_of(session, "Patient", case.patient),
        resource_of(session, "ServiceRequest", case.service_request),
        hub.at.astimezone(JST).date(),
        left=frozenset(left),
    )


def _has_open_successor(tasks: list[Resource], old: Resource) -> bool:
    return any(
        children.replaced_by(task) == old["id"] and task["status"] in OPEN
        for task in tasks
    )


def _still_in_charge(
    session: Session, case: Case, organisation: str, left: Resource
) -> bool:
    return any(
        task["id"] != left["id"]
        and task["status"] in OPEN
        and (desk := children.desk_in_charge(session, task)) is not None
        and desk.organisation == organisation
        for task in children.of_case(session, case)
    )
