"""A submitted referral before anything is stored: read, checked, gated, routed.

Everything that can refuse it happens here, so that a refusal leaves nothing behind
(workflow.md §2, gate A).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from hub.actor import Actor
from hub.consent.decide import Question, decide
from hub.consent.read import ConsentFacts, read
from hub.database import Session
from hub.directory.ask import StoredDirectory
from hub.directory.values import Organisation
from hub.disclosure.classes import WHOLE
from hub.disclosure.grants import Permit
from hub.fhir.canonical import questionnaire
from hub.fhir.dates import JST
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, Issue, issue
from hub.programmes.choose import choose
from hub.programmes.programme import Programme
from hub.questionnaires.consent import given
from hub.questionnaires.form import form
from hub.questionnaires.response import from_response
from hub.referrals.children import has_phone_call
from hub.referrals.facts import codings
from hub.referrals.knowledge import Knowledge
from hub.referrals.route import route
from hub.routing.outcome import Decision

NEEDS_SUPPORT = "needs-community-support"
# A form that its author gave up or takes back says nothing.
_VOID = ("entered-in-error", "stopped")


@dataclass(frozen=True, slots=True)
class Parts:
    """The resources of a referral by reference, with the index of their entry."""

    resources: Mapping[str, Resource]
    index: Mapping[str, int]

    def of(self, resource_type: str) -> list[tuple[str, Resource]]:
        """(reference, resource) of one type, in the order sent."""
        return [
            (reference, resource)
            for reference, resource in self.resources.items()
            if resource["resourceType"] == resource_type
        ]

    def path(self, reference: str, element: str = "") -> str:
        """The FHIRPath of an element of one entry of the Bundle."""
        base = f"Bundle.entry[{self.index.get(reference, 0)}].resource"
        return f"{base}.{element}" if element else base


@dataclass(frozen=True, slots=True)
class Submission:
    """A referral that may be stored: all references as they will be stored."""

    programme: Programme
    parts: Parts
    patient: str
    service_request: str
    task: str
    form: str
    consents: tuple[ConsentFacts, ...]
    decision: Decision
    permit: Permit


def is_submission(parts: Parts) -> bool:
    """True when the Bundle creates a ServiceRequest: then it is a new referral."""
    return bool(parts.of("ServiceRequest"))


def check(
    session: Session,
    knowledge: Knowledge,
    actor: Actor,
    parts: Parts,
    at: datetime,
) -> Submission:
    """Judge a submission; raises FhirError with every reason of the first gate hit."""
    request_ref, request = _one(parts, "ServiceRequest")
    task_ref, task = _one(parts, "Task")
    _require_own(parts, actor, request_ref, request)
    _require_own(parts, actor, task_ref, task)
    _require_in_force(parts, request_ref, request)
    directory = StoredDirectory(session)
    source = directory.organisation(actor.organisation)
    programme = _programme(source, knowledge, parts, request, _day(at))
    _require_programme(source, programme, parts, request_ref, request)
    if programme.phone_call == "required" and not has_phone_call(task):
        raise FhirError(issue("HUB-REF-026", parts.path(task_ref, "input")))
    patient_ref = _require_one_subject(parts, request_ref, request, task_ref, task)
    form_ref = _form(parts, programme)
    consents = _consents(parts)
    wording = source.wording_version if source else None
    question = Question(patient=patient_ref, at=at, wording_version=wording)
    _require_agreement_with_sheet(knowledge, parts, form_ref, consents)
    _permit(decide(consents, programme.consent, question))
    if source is None:
        raise FhirError(issue("HUB-REF-012", parts.path(request_ref, "requester")))
    decision = route(
        directory, programme, source, parts.resources[patient_ref], request, _day(at)
    )
    stated = [*codings(request), *_answered(parts.resources[form_ref])]
    decision = replace(decision, priority=programme.priority(stated))
    desk = _require_desk(parts, request_ref, decision)
    permit = _permit(
        decide(
            consents,
            programme.consent,
            Question(
                patient=patient_ref,
                at=at,
                recipient=f"Organization/{desk.organisation}",
                desk=f"HealthcareService/{desk.id}",
                classes=WHOLE,
                wording_version=wording,
            ),
        )
    )
    return Submission(
        programme,
        parts,
        patient_ref,
        request_ref,
        task_ref,
        form_ref,
        consents,
        decision,
        permit,
    )


def _one(parts: Parts, resource_type: str) -> tuple[str, Resource]:
    found = parts.of(resource_type)
    if len(found) != 1:
        raise FhirError(issue("HUB-REF-010", "Bundle.entry"))
    if resource_type == "Task" and found[0][1].get("status") != "requested":
        raise FhirError(issue("HUB-REF-010", parts.path(found[0][0], "status")))
    return found[0]


def _require_in_force(parts: Parts, reference: str, request: Resource) -> None:
    """Nobody is contacted on a draft, on what was revoked, or on a "do not"."""
    if request.get("status") != "active" or request.get("doNotPerform") is True:
        raise FhirError(issue("HUB-REF-030", parts.path(reference, "status")))


def _require_own(parts: Parts, actor: Actor, reference: str, sent: Resource) -> None:
    """Nobody asks in the name of another organisation.

    The requester may be left out, or named by its code as an identifier; a name to be
    shown (`display`) alone is nobody's.
    """
    if not (requester := sent.get("requester")):
        return
    number = (requester.get("identifier") or {}).get("value")
    named = {requester.get("reference"), f"Organization/{number}" if number else None}
    if named - {None} != {actor.reference}:
        raise FhirError(issue("HUB-REF-011", parts.path(reference, "requester")))


def _programme(
    source: Organisation | None,
    knowledge: Knowledge,
    parts: Parts,
    request: Resource,
    on: date,
) -> Programme:
    form = next((f.get("questionnaire") for _, f in _forms(parts)), None)
    return choose(
        knowledge.programmes,
        next(iter(request.get("instantiatesCanonical", ())), None),
        form,
        source.programmes if source else (),
        on,
    )


def _require_programme(
    source: Organisation | None,
    programme: Programme,
    parts: Parts,
    reference: str,
    request: Resource,
) -> None:
    kind = source.kind if source else ""
    if kind not in programme.source_kinds:
        raise FhirError(issue("HUB-REF-012", parts.path(reference, "requester")))
    stated = any(
        coding.get("code") == NEEDS_SUPPORT
        for concept in request.get("reasonCode", ())
        for coding in concept.get("coding", ())
    )
    if programme.needs_statement(kind) and not stated:
        raise FhirError(issue("HUB-REF-013", parts.path(reference, "reasonCode")))


def _require_one_subject(
    parts: Parts, request_ref: str, request: Resource, task_ref: str, task: Resource
) -> str:
    subject = str((request.get("subject") or {}).get("reference", ""))
    if parts.resources.get(subject, {}).get("resourceType") != "Patient":
        raise FhirError(issue("HUB-REF-017", parts.path(request_ref, "subject")))
    if (task.get("for") or {}).get("reference", subject) != subject:
        raise FhirError(issue("HUB-REF-017", parts.path(task_ref, "for")))
    if (task.get("focus") or {}).get("reference") != request_ref:
        raise FhirError(issue("HUB-REF-010", parts.path(task_ref, "focus")))
    for reference, answers in _forms(parts):
        if (answers.get("subject") or {}).get("reference", subject) != subject:
            raise FhirError(issue("HUB-REF-017", parts.path(reference, "subject")))
    return subject


def _forms(parts: Parts) -> list[tuple[str, Resource]]:
    return parts.of("QuestionnaireResponse")


def _form(parts: Parts, programme: Programme) -> str:
    found = [
        reference
        for reference, answers in _forms(parts)
        if _is_filled(answers, programme)
    ]
    if not found:
        raise FhirError(issue("HUB-REF-020", "Bundle.entry"))
    if len(found) > 1:
        raise FhirError(issue("HUB-REF-031", parts.path(found[1])))
    return found[0]


def _is_filled(answers: Resource, programme: Programme) -> bool:
    canonical = str(answers.get("questionnaire", "")).partition("|")[0]
    return (
        canonical == questionnaire(programme.forms.intake)
        and answers.get("status") not in _VOID
    )


def _consents(parts: Parts) -> tuple[ConsentFacts, ...]:
    relatives = dict(parts.of("RelatedPerson"))
    return tuple(
        read(consent, reference, relatives)
        for reference, consent in parts.of("Consent")
    )


def _answered(response: Resource) -> Iterator[tuple[str, str]]:
    """(system, code) of every coded answer of a form, however deep (LL-08)."""
    for item in response.get("item", ()):
        yield from _answered(item)
        for answer in item.get("answer", ()):
            coding = answer.get("valueCoding") or {}
            yield coding.get("system", ""), coding.get("code", "")
            yield from _answered(answer)


def _require_agreement_with_sheet(
    knowledge: Knowledge,
    parts: Parts,
    form_ref: str,
    consents: tuple[ConsentFacts, ...],
) -> None:
    """A sheet that names nobody who gave one of the Consents: deny (G10)."""
    response = parts.resources[form_ref]
    questionnaire = knowledge.packages.questionnaire(
        str(response["questionnaire"]).partition("|")[0]
    )
    if questionnaire is None or not consents:
        return
    shape, answers = form(questionnaire), from_response(response, questionnaire)
    if not answers.get(shape.role("consent") or ""):
        return
    givers = {c.giver for c in consents if c.status == "active"}
    if not given(shape, answers) & givers:
        raise FhirError(issue("HUB-CON-006", parts.path(form_ref, "item")))


def _permit(decided: Permit | list[Issue]) -> Permit:
    if isinstance(decided, Permit):
        return decided
    raise FhirError(*decided)


def _require_desk(parts: Parts, request_ref: str, decision: Decision) -> Any:
    if decision.advise:
        raise FhirError(issue("HUB-REF-014", parts.path(request_ref)))
    if decision.initial is None:
        raise FhirError(no_desk(decision, parts.path(request_ref)))
    return decision.initial


_WHY_NO_DESK = {"municipality": "HUB-REF-032", "agreement": "HUB-REF-033"}


def no_desk(decision: Decision, expression: str | None = None) -> Issue:
    """Why there is nobody to send to: one code for each common reason."""
    id_ = _WHY_NO_DESK.get("+".join(decision.missing), "HUB-REF-015")
    missing, english = decision.missing_words
    return issue(id_, expression, missing=missing, english=english)


def _day(at: datetime) -> date:
    return at.astimezone(JST).date()
