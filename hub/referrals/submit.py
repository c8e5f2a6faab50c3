"""Open the case of a referral that was accepted at the door (architecture.md §3, 4).

Called in the submission's transaction, after its entries are stored: the case, the
sender's grant, what `$extract` makes of the form, the child Task, the recipient's
grant, and the messages that leave.
"""

import uuid
from dataclasses import replace

from hub import audit
from hub.changes import Belonging, By, create
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.cases import Case
from hub.disclosure.classes import FOR_SOURCE, DataClass
from hub.disclosure.grants import open_first_grant
from hub.fhir import dates
from hub.fhir.canonical import CASE_ID, PATIENT_ID
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.questionnaires.extract import extract
from hub.referrals import feed
from hub.referrals.children import Asked, child_task, has_phone_call
from hub.referrals.gates import record_permit
from hub.referrals.knowledge import Knowledge
from hub.referrals.mirror import coded
from hub.referrals.records import grant_provenance
from hub.referrals.submission import Submission


def complete(
    session: Session, submission: Submission, knowledge: Knowledge, by: By
) -> str:
    """Fill what the sender leaves to the hub, before anything is stored.

    The parent Task's owner and group identifier, and an identifier for a person
    without a hospital number (handbook D-12). Returns the correlation id, which is
    the referral number: one that another case of the sender has is not given twice.
    """
    task = submission.parts.resources[submission.task]
    given = (task.get("groupIdentifier") or {}).get("value")
    wanted = given or by.actor.correlation_id
    is_free = wanted and not cases.is_numbered(session, by.actor.organisation, wanted)
    correlation = str(wanted if is_free else uuid.uuid4())
    task["groupIdentifier"] = {"system": CASE_ID, "value": correlation}
    hub = f"Organization/{knowledge.organisation}"
    if (task.get("owner") or {}).get("reference") not in (None, hub):
        raise FhirError(
            issue("HUB-REST-029", submission.parts.path(submission.task, "owner"))
        )
    task["owner"] = {**task.get("owner", {}), "reference": hub}
    task.setdefault("for", {"reference": submission.patient})
    task.setdefault("requester", {"reference": by.actor.reference})
    task["lastModified"] = dates.instant(by.at)
    task.setdefault("authoredOn", dates.instant(by.at))
    task["priority"] = priority_of(submission, task)
    task.pop("businessStatus", None)
    waiting = _waiting(submission, task)
    if waiting:
        task["businessStatus"] = coded(*waiting)
    patient = submission.parts.resources[submission.patient]
    if not patient.get("identifier"):
        patient["identifier"] = [{"system": PATIENT_ID, "value": str(uuid.uuid4())}]
    return correlation


def new_case(submission: Submission, source: str, correlation: str, by: By) -> Case:
    """The case of a submission; its id is the EpisodeOfCare's."""
    return Case(
        id=str(uuid.uuid4()),
        programme=submission.programme.id,
        source=source,
        correlation=correlation,
        patient=_id(submission.patient),
        service_request=_id(submission.service_request),
        parent_task=_id(submission.task),
        consent=f"{submission.permit.consent}/_history/1",
        provided_at=by.at,
        closed_at=None,
    )


def open_case(
    session: Session, knowledge: Knowledge, by: By, case: Case, submission: Submission
) -> Resource:
    """Write what the hub adds and queue what leaves; returns the child Task.

    The submission's own resources are stored and placed in the case already.
    """
    hub = By(knowledge.hub_actor(by.actor), by.at)
    place = Belonging((case.id,), DataClass.STATUS, case.patient)
    episode = _episode(case, knowledge.organisation, by)
    create(session, hub, episode, place, id=case.id)
    source_permit = replace(
        submission.permit,
        recipient=case.source,
        classes=FOR_SOURCE,
        consent=case.consent,
        clause="feedback to the sender",
    )
    open_first_grant(session, case.id, source_permit, "source", by.at)
    _record_receipt(session, by, case)
    _extract(session, knowledge, hub, case, submission)
    return ask(session, knowledge, hub, case, submission)


def ask(
    session: Session, knowledge: Knowledge, hub: By, case: Case, submission: Submission
) -> Resource:
    """Send the request to the desk that routing chose: child Task, grant, messages."""
    decision, parent = submission.decision, submission.parts.resources[submission.task]
    desk = decision.initial
    if desk is None:  # submission.check refused before
        raise LookupError("a submission without a desk")
    onward = decision.onward
    asked = Asked(
        desk=desk.id,
        desk_name=desk.name,
        business=tuple(_waiting(submission, parent)),
        trace="\n".join(step.ja for step in decision.trace),
        onward=(onward.id, onward.name) if onward else None,
        is_certain=not decision.needs_confirmation,
        priority=priority_of(submission, parent),
    )
    task = child_task(parent, case.parent_task, case, asked, hub.at)
    stored = create(
        session, hub, task, Belonging((case.id,), DataClass.STATUS, case.patient)
    )
    permit = replace(submission.permit, consent=case.consent)
    record_permit(session, hub, case, permit)
    grant_id = open_first_grant(session, case.id, permit, "recipient", hub.at)
    grant_provenance(session, hub, case, permit, asked.trace, stored.id)
    child = stored.resource()
    feed.send_referral(
        session,
        knowledge,
        hub,
        case,
        child,
        desk.organisation,
        grant_id,
        permit.classes,
    )
    parent = {**parent, "id": case.parent_task}
    feed.send_status(session, knowledge, hub, case, [parent, child])
    return child


def _record_receipt(session: Session, by: By, case: Case) -> None:
    """The sender disclosed a person to the hub (BALP, PrivacyDisclosure.Recipient)."""
    audit.record(
        session,
        by.actor,
        "receive",
        at=by.at,
        targets=[f"EpisodeOfCare/{case.id}"],
        patients=[f"Patient/{case.patient}"],
    )


def priority_of(submission: Submission, task: Resource) -> str:
    """Decided by the programme when it has rules (LL-08), else the sender's own."""
    decided = str(submission.decision.priority)
    stated = str(task.get("priority", decided))
    return decided if submission.programme.priorities else stated


def _waiting(submission: Submission, parent: Resource) -> list[str]:
    found: list[str] = []
    if submission.decision.business_status:
        found.append(submission.decision.business_status)
    if submission.programme.phone_call != "off" and not has_phone_call(parent):
        found.append("awaiting-phone")
    return found


def _extract(
    session: Session, knowledge: Knowledge, hub: By, case: Case, submission: Submission
) -> None:
    form = submission.parts.resources[submission.form]
    questionnaire = knowledge.packages.questionnaire(str(form["questionnaire"]))
    if questionnaire is None:
        return
    place = Belonging((case.id,), DataClass.REFERRAL, case.patient)
    for resource in extract(
        {**form, "id": _id(submission.form)},
        questionnaire,
        patient=submission.patient,
        authored=hub.at,
        source=f"Organization/{case.source}",
    ):
        create(session, hub, resource, place, id=resource["id"])


def _episode(case: Case, organisation: str, by: By) -> Resource:
    return {
        "resourceType": "EpisodeOfCare",
        "identifier": [{"system": CASE_ID, "value": case.correlation}],
        "status": "active",
        "patient": {"reference": f"Patient/{case.patient}"},
        "managingOrganization": {"reference": f"Organization/{organisation}"},
        "referralRequest": [{"reference": f"ServiceRequest/{case.service_request}"}],
        "period": {"start": dates.instant(by.at)},
    }


def _id(reference: str) -> str:
    return reference.partition("/")[2]
