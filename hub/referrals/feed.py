"""What follows a change: messages to the receiver and to the sender's status feed."""

from collections.abc import Iterable

from hub.changes import By
from hub.database import Session
from hub.delivery import outbox
from hub.delivery.connector import Kind
from hub.directory.ask import StoredDirectory
from hub.disclosure import cases, grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import FOR_WITHDRAWN_SOURCE, DataClass
from hub.fhir.json import Resource
from hub.referrals import messages
from hub.referrals.knowledge import Knowledge
from hub.store import resources as store
from hub.store.visibility import hub_sees_all

# What a receiver gets, in an order in which references point backwards. Binaries and
# documents are read here, under its own access: large, and not to be rewritten.
SENT_TYPES = (
    "Patient",
    "RelatedPerson",
    "DocumentReference",
    "Consent",
    "QuestionnaireResponse",
    "Encounter",
    "Condition",
    "Observation",
    "RiskAssessment",
    "CarePlan",
    "CareTeam",
    "Communication",
    "Appointment",
    "FamilyMemberHistory",
    "ClinicalImpression",
    "Composition",
    "List",
    "ServiceRequest",
    "EpisodeOfCare",
)


def send_referral(
    session: Session,
    knowledge: Knowledge,
    by: By,
    case: Case,
    task: Resource,
    organisation: str,
    grant_id: str,
    classes: DataClass,
) -> None:
    """Queue the referral for its receiver, if that has an endpoint to push to.

    A receiver without one polls `Task?owner=…`; nothing is queued for it.
    """
    if not _has_endpoint(session, organisation):
        return
    resources = [*_contents(session, case, classes), task]
    body = messages.transaction(resources, knowledge.base)
    _queue(session, by, "referral", case, task, organisation, grant_id, body)


def send_status(
    session: Session,
    knowledge: Knowledge,
    by: By,
    case: Case,
    tasks: Iterable[Resource],
) -> None:
    """Queue the Tasks as they are for the sender, under the sender's own grant.

    A sender that may see the status alone (after a withdrawal) gets no more.
    """
    if not _has_endpoint(session, case.source):
        return
    for held in grants.held(session, case.id, case.source, by.at):
        if held["role"] == "source":
            shown = list(tasks)
            is_bare = held["classes"] == int(FOR_WITHDRAWN_SOURCE)
            made = messages.retraction if is_bare else messages.transaction
            _queue(
                session,
                by,
                "status",
                case,
                shown[0],
                case.source,
                held["id"],
                made(shown, knowledge.base),
            )
            return


def send_retraction(
    session: Session,
    knowledge: Knowledge,
    by: By,
    case: Case,
    tasks: list[Resource],
    organisation: str,
) -> None:
    """Queue the news that a Task ended, without a grant and without the person.

    `tasks` is that Task, then the one that asks for the copy back, if there is one.
    """
    if not _has_endpoint(session, organisation):
        return
    body = messages.retraction(tasks, knowledge.base)
    _queue(session, by, "retraction", case, tasks[0], organisation, None, body)


def _queue(
    session: Session,
    by: By,
    kind: Kind,
    case: Case,
    task: Resource,
    organisation: str,
    grant_id: str | None,
    body: bytes,
) -> None:
    outbox.add(
        session,
        kind=kind,
        case=case.id,
        subject=f"Task/{task['id']}",
        organisation=organisation,
        body=body,
        grant_id=grant_id,
        correlation_id=case.correlation,
        patients=[f"Patient/{case.patient}"],
        at=by.at,
    )


def _has_endpoint(session: Session, organisation: str) -> bool:
    """Asked before a message is made: composing one costs as much as storing it."""
    return StoredDirectory(session).endpoint_of(organisation) is not None


def _contents(session: Session, case: Case, given: DataClass) -> list[Resource]:
    members = cases.members(session, case.id, SENT_TYPES, given)
    found = store.read_many(session, members, hub_sees_all)
    sent = [stored.resource() for stored in found if not stored.deleted]
    return sorted(sent, key=lambda r: SENT_TYPES.index(r["resourceType"]))
