"""Valid resources of invented people, to be made wrong in one place by a test."""

import copy
from typing import Any

from hub.fhir.outcome import Issue
from hub.validation import validate

_UUID = "urn:uuid:00000000-0000-4000-8000-00000000000"
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


def a_patient(**over: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:oid:1.2.392.100495", "value": "0001"}],
        "name": [{"family": "見本", "given": ["花子"]}],
        "gender": "female",
        "birthDate": "1990-02-28",
    } | over


def a_consent(**over: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                    "code": "patient-privacy",
                }
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/1"},
        "dateTime": "2026-04-01T10:00:00+09:00",
        "policyRule": {"text": "様式2"},
        "provision": {
            "type": "permit",
            "period": {"start": "2026-04-01", "end": "2027-03-31"},
        },
    } | over


def a_service_request(**over: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"text": "支援の依頼"},
        "subject": {"reference": "Patient/1"},
        "requester": {"reference": "Organization/4619999917"},
    } | over


def a_task(**over: Any) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": "ServiceRequest/1"},
        "authoredOn": "2026-04-01T10:00:00+09:00",
        "lastModified": "2026-04-01T10:00:00+09:00",
        "input": [{"type": {"text": "受理日"}, "valueDate": "2026-04-01"}],
    } | over


def a_response(**over: Any) -> dict[str, Any]:
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": "https://tsunagi-hub.example/fhir/Questionnaire/k1",
        "item": [
            {"linkId": "1", "text": "氏名", "answer": [{"valueString": "見本 花子"}]},
            {"linkId": "2", "item": [{"linkId": "2.1"}]},
        ],
    } | over


def url(number: int) -> str:
    return f"{_UUID}{number}"


def an_entry(number: int, resource: dict[str, Any], **over: Any) -> dict[str, Any]:
    return {
        "fullUrl": url(number),
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"]},
    } | over


def a_transaction(**over: Any) -> dict[str, Any]:
    subject = {"reference": url(0)}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            an_entry(0, a_patient()),
            an_entry(1, a_service_request(subject=subject)),
            an_entry(2, a_consent(patient=subject)),
        ],
    } | over


def a_document(**over: Any) -> dict[str, Any]:
    composition = {
        "resourceType": "Composition",
        "id": "c",
        "status": "final",
        "type": {"text": "連絡票"},
        "subject": {"reference": "Patient/p"},
        "date": "2026-04-30",
        "author": [{"display": "見本保健所"}],
        "title": "連絡票",
        "section": [{"title": "対象者", "entry": [{"reference": "Patient/p"}]}],
    }
    return {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "https://hub.example/doc", "value": "1"},
        "timestamp": "2026-04-30T00:00:00Z",
        "entry": [
            {
                "fullUrl": "https://hub.example/fhir/Composition/c",
                "resource": composition,
            },
            {
                "fullUrl": "https://hub.example/fhir/Patient/p",
                "resource": a_patient(id="p"),
            },
        ],
    } | over


def found(resource: Any, **options: Any) -> list[tuple[str, str | None]]:
    """(id, expression) of each issue; the resource itself is left as it was."""
    before = copy.deepcopy(resource)
    issues = validate(resource, **options)
    assert resource == before
    return [(i.id, i.expression) for i in issues]


def rules(resource: Any) -> list[tuple[str, str | None]]:
    """(key of the invariant, expression) of each finding of HUB-VAL-030."""
    return [(_key(i), i.expression) for i in validate(resource)]


def _key(issue: Issue) -> str:
    assert issue.id == "HUB-VAL-030", issue
    return issue.english.rpartition("(")[2].removesuffix(").")
