"""Answers of one form to the transaction Bundle that enters by the one door.

Everything in it follows from the content: the same row of the same source gives the
same Bundle ids and the same submission identifier, so that sent twice it makes no
second referral. Without a consent there is no Bundle (KG-04).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from hub.fhir import canonical
from hub.fhir.answers import Answers, code_of, text_of, value_of
from hub.fhir.dates import instant
from hub.fhir.json import Resource, encode
from hub.fhir.outcome import FhirError, Issue, issue
from hub.questionnaires import consent
from hub.questionnaires.check import check, link_at
from hub.questionnaires.form import PRIORITY, Form, form, mark, option
from hub.questionnaires.person import family, patient
from hub.questionnaires.response import to_response

_HL7 = "http://terminology.hl7.org/CodeSystem"
_TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends: the id of its Organization, and the consent form it registered.

    `explanations` are the item numbers of that wording that the consenting person was
    told (decision D-11); `wording_version` None means that none is registered.
    """

    organisation: str
    wording_version: str | None = None
    explanations: tuple[int, ...] = ()

    @property
    def reference(self) -> str:
        return f"Organization/{self.organisation}"


@dataclass(frozen=True, slots=True)
class Programme:
    """What the bundle needs of a programme: its id and what submitting states.

    `reasons` are codes of `referral-reason` (decision D-20), given by the caller for
    sources of a kind that must state them.
    """

    id: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Draft:
    form: Form
    answers: Answers
    extras: Mapping[str, Any]
    source: Source
    programme: Programme
    digest: str
    on: datetime

    def url(self, name: str) -> str:
        return "urn:uuid:" + str(
            uuid5(NAMESPACE_URL, f"{canonical.SUBMISSION_ID}|{self.digest}|{name}")
        )


def bundle(
    answers: Answers,
    extras: Mapping[str, Any],
    *,
    source: Source,
    programme: Programme,
    questionnaire: Resource,
    on: datetime,
) -> Resource:
    """Make the transaction Bundle of one referral.

    `extras` are what a sheet says beside the form: `postalCode` or `postalCodeText`,
    `nearestCentre`, `referralNumber`, `phoneCall`. Raises FhirError HUB-CON-001 (403)
    when nobody consents, or the consent cannot be read.
    """
    shape = form(questionnaire)
    givers = sorted(consent.given(shape, answers), reverse=True)
    if not givers:
        raise FhirError(issue("HUB-CON-001"))
    digest = submission_digest(
        answers, extras, source=source, programme=programme, form_url=shape.url
    )
    draft = _Draft(shape, answers, extras, source, programme, digest, on)
    entries = [("Patient", _patient(draft))]
    if "family" in givers:
        person = draft.url("Patient")
        entries.append(("RelatedPerson", family(shape, answers, person)))
    entries.append(("QuestionnaireResponse", _response(draft, questionnaire)))
    entries += [(f"Consent-{by}", _consent(draft, by)) for by in givers]
    entries += [("ServiceRequest", _request(draft)), ("Task", _task(draft))]
    return {
        "resourceType": "Bundle",
        "identifier": _submission(draft),
        "type": "transaction",
        "entry": [_entry(draft, name, resource) for name, resource in entries],
    }


def submission_digest(
    answers: Answers,
    extras: Mapping[str, Any],
    *,
    source: Source,
    programme: Programme,
    form_url: str,
) -> str:
    """What makes a submission the same one: who sends, and what the form says.

    How a value was written does not matter as long as it was understood: the same
    sheet as CSV and as Excel is one submission.
    """
    content = {
        "source": source.organisation,
        "programme": programme.id,
        "form": form_url,
        "answers": {link: answers[link] for link in sorted(answers)},
        "extras": {name: extras[name] for name in sorted(extras)},
    }
    return hashlib.sha256(encode(_meaning(content))).hexdigest()


def findings(
    response: Resource,
    questionnaire: Resource,
    *,
    row: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> list[Issue]:
    """Check the answers of a sheet; each issue names the row and, if known, the column.

    `headers` gives the column of a linkId (`mappings.sheets.read.Row.headers`).
    """
    located = []
    for found in check(response, questionnaire):
        link = link_at(response, found.expression or "")
        column = (headers or {}).get(link or "")
        located.append(replace(found, row=row, column=column))
    return located


def _meaning(value: Any) -> Any:
    """The content with keys in order and without the written form of values."""
    if isinstance(value, dict):
        return {
            key: _meaning(value[key])
            for key in sorted(value)
            if not (key.startswith("_value") and key[1:] in value)
        }
    if isinstance(value, list):
        return [_meaning(one) for one in value]
    return value


def _patient(draft: _Draft) -> Resource:
    return patient(draft.form, draft.answers, dict(draft.extras))


def _response(draft: _Draft, questionnaire: Resource) -> Resource:
    elements: Resource = {"subject": {"reference": draft.url("Patient")}}
    recorder = _written(draft, "recorder")
    if recorder:
        elements["author"] = {"display": recorder}
    return to_response(draft.answers, questionnaire, authored=draft.on, **elements)


def _consent(draft: _Draft, by: str) -> Resource:
    """One Consent a giver: a family's consent is not the person's (decision D-02).

    No date is invented (D-11): the sheet's mark says that, not when, it was given.
    """
    basis = {"system": canonical.LEGAL_BASIS, "code": f"consent-{by}"}
    giver = draft.url("Patient" if by == "person" else "RelatedPerson")
    made: Resource = {
        "resourceType": "Consent",
        "status": "active",
        "scope": _concept(f"{_HL7}/consentscope", "patient-privacy"),
        "category": [
            _concept("http://loinc.org", "59284-0"),
            {"coding": [basis]},
        ],
        "patient": {"reference": draft.url("Patient")},
        "performer": [{"reference": giver}],
        "organization": [{"reference": draft.source.reference}],
        "policyRule": _concept(f"{_HL7}/v3-ActCode", "OPTIN"),
        "provision": {
            "type": "permit",
            "purpose": [{"system": f"{_HL7}/v3-ActReason", "code": "COC"}],
        },
    }
    if wording := _wording(draft.source):
        made["extension"] = wording
    return made


def _wording(source: Source) -> list[Resource]:
    if source.wording_version is None:
        return []
    version = {
        "url": canonical.WORDING_VERSION,
        "valueString": source.wording_version,
    }
    told = [
        {"url": canonical.EXPLANATIONS, "valueInteger": number}
        for number in source.explanations
    ]
    return [version, *told]


def _request(draft: _Draft) -> Resource:
    made: Resource = {
        "resourceType": "ServiceRequest",
        "identifier": [_submission(draft)],
        "instantiatesCanonical": [canonical.plan_definition(draft.programme.id)],
        "status": "active",
        "intent": "order",
        "subject": {"reference": draft.url("Patient")},
        "authoredOn": instant(draft.on),
        "requester": {"reference": draft.source.reference},
        "supportingInfo": [{"reference": draft.url("QuestionnaireResponse")}],
    }
    if priority := _priority(draft):
        made["priority"] = priority
    if draft.programme.reasons:
        made["reasonCode"] = [
            _concept(canonical.REFERRAL_REASON, code)
            for code in draft.programme.reasons
        ]
    if draft.extras.get("nearestCentre"):
        wish = {"url": canonical.NEAREST_CENTRE, "valueBoolean": True}
        made["extension"] = [wish]
    return made


def _task(draft: _Draft) -> Resource:
    made: Resource = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": _concept(_TASK_CODE, "fulfill"),
        "focus": {"reference": draft.url("ServiceRequest")},
        "for": {"reference": draft.url("Patient")},
        "authoredOn": instant(draft.on),
        "requester": {"reference": draft.source.reference},
    }
    if priority := _priority(draft):
        made["priority"] = priority
    if number := draft.extras.get("referralNumber"):
        # D-22: a corrected sheet joins a case only when it names it.
        made["groupIdentifier"] = {"system": canonical.CASE_ID, "value": number}
    called = draft.extras.get("phoneCall") or _written(draft, "phone-call")
    if called:
        kind = _concept(canonical.TASK_INPUT, "phone-call")
        made["input"] = [{"type": kind, "valueString": called}]
    return made


def _priority(draft: _Draft) -> str | None:
    """The priority that an answer carries (LL-08: the dedicated account)."""
    for link, given in draft.answers.items():
        item = draft.form.items.get(link, {})
        for answer in given:
            printed = option(item, code_of(answer)) if value_of(answer) else None
            if printed and (priority := mark(printed, PRIORITY)):
                return str(priority)
    return None


def _written(draft: _Draft, role: str) -> str:
    link = draft.form.role(role)
    return "・".join(text_of(a) for a in draft.answers.get(link or "", []))


def _submission(draft: _Draft) -> Resource:
    return {"system": canonical.SUBMISSION_ID, "value": draft.digest}


def _entry(draft: _Draft, name: str, resource: Resource) -> Resource:
    request = {"method": "POST", "url": resource["resourceType"]}
    if resource["resourceType"] == "ServiceRequest":
        token = f"{canonical.SUBMISSION_ID}|{draft.digest}"
        request["ifNoneExist"] = f"identifier={token}"
    return {"fullUrl": draft.url(name), "resource": resource, "request": request}


def _concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}
