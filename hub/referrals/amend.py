"""A corrected sheet joins the case whose referral number it names (D-22).

Nobody is matched by name: the parent Task carries the number, as group identifier or
identifier. The corrected form enters the case beside the first one; routing, consent
and the Tasks stay as they are, and the desk in charge is told.
"""

from collections.abc import Mapping

from hub.actor import Actor
from hub.changes import By, update
from hub.database import Session
from hub.disclosure import cases, grants
from hub.disclosure.cases import Case
from hub.fhir import dates
from hub.fhir.canonical import CASE_ID, TASK_INPUT, questionnaire
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.questionnaires.consent import given
from hub.questionnaires.form import form
from hub.questionnaires.response import from_response
from hub.referrals.advance import after_task
from hub.referrals.gates import resource_of
from hub.referrals.knowledge import Knowledge

# A corrected form that is finished is one that was amended; an unfinished stays so.
_FINISHED = ("completed", "amended")


def named_number(task: Resource) -> str | None:
    """The referral number that a submitted parent Task names, if it names one."""
    group = task.get("groupIdentifier") or {}
    for one in (group, *task.get("identifier", ())):
        if one.get("system") == CASE_ID and one.get("value"):
            return str(one["value"])
    return None


def named_case(session: Session, actor: Actor, number: str, path: str) -> Case:
    """The sender's own open case of that number; 409 HUB-REF-022 for any other."""
    case = cases.named(session, actor.organisation, number)
    if case is None or not _is_source(session, case, actor):
        raise FhirError(issue("HUB-REF-022", path))
    return case


def present(session: Session, case: Case) -> Mapping[str, tuple[str, str]]:
    """What the case has already and a corrected sheet does not bring again.

    {type: (type, id)} of the person, the request, the parent Task, and the first
    Consent and relative.
    """
    found = {
        "Patient": ("Patient", case.patient),
        "ServiceRequest": ("ServiceRequest", case.service_request),
        "Task": ("Task", case.parent_task),
    }
    for kind, id in sorted(
        cases.members(session, case.id, ("Consent", "RelatedPerson"))
    ):
        found.setdefault(kind, (kind, id))
    return found


def corrected(
    knowledge: Knowledge, case: Case, response: Resource, path: str
) -> Resource | None:
    """The corrected form, marked as amended; None for another form.

    HUB-CON-006 when it says "no consent": a withdrawal is said by the Consent (G10).
    """
    intake = questionnaire(knowledge.programmes[case.programme].forms.intake)
    canonical = str(response.get("questionnaire", "")).partition("|")[0]
    definition = knowledge.packages.questionnaire(canonical)
    if definition is None or canonical != intake:
        return None
    shape, answers = form(definition), from_response(response, definition)
    if answers.get(shape.role("consent") or "") and not given(shape, answers):
        raise FhirError(issue("HUB-CON-006", f"{path}.item"))
    finished = response.get("status") in _FINISHED
    return {**response, "status": "amended"} if finished else response


def require_no_refusal(
    knowledge: Knowledge, case: Case, resource: Resource, path: str
) -> None:
    """HUB-CON-006 when a form of the case says "no consent" while a Consent stands."""
    if resource["resourceType"] == "QuestionnaireResponse":
        corrected(knowledge, case, resource, path)


def tell(
    session: Session, knowledge: Knowledge, by: By, case: Case, responses: list[str]
) -> None:
    """Name the corrected forms (references) on the Tasks and send them to the desk."""
    before = resource_of(session, "Task", case.parent_task)
    kind = {"coding": [{"system": TASK_INPUT, "code": "corrected-form"}]}
    inputs = [{"type": kind, "valueReference": {"reference": one}} for one in responses]
    after = {**before, "input": [*before.get("input", ()), *inputs]}
    after["lastModified"] = dates.instant(by.at)
    stored = update(session, by, after, patient=case.patient)
    after_task(session, knowledge, by, before, stored.resource())


def _is_source(session: Session, case: Case, actor: Actor) -> bool:
    held = grants.held(session, case.id, actor.organisation)
    return any(grant["role"] == "source" for grant in held)
