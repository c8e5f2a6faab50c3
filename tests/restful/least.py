"""The least that R4 asks of each type a client may create."""

import base64
from typing import Any

from tests.subscriptions.build import a_subscription

CODE: dict[str, Any] = {"text": "架空"}
SUBJECT = {"display": "架空"}
NOW = "2026-11-01T10:00:00+09:00"
_URL = "https://else.example/fhir"

LEAST: dict[str, dict[str, Any]] = {
    "Patient": {},
    "RelatedPerson": {"patient": SUBJECT},
    "QuestionnaireResponse": {"status": "completed"},
    "Consent": {
        "status": "draft",
        "scope": CODE,
        "category": [CODE],
        "policyRule": CODE,
    },
    "DocumentReference": {
        "status": "current",
        "content": [{"attachment": {"title": "架空"}}],
    },
    "ServiceRequest": {"status": "draft", "intent": "proposal", "subject": SUBJECT},
    "Encounter": {"status": "finished", "class": {"code": "AMB"}},
    "Condition": {"subject": SUBJECT},
    "Observation": {"status": "final", "code": CODE},
    "RiskAssessment": {"status": "final", "subject": SUBJECT},
    "CarePlan": {"status": "active", "intent": "plan", "subject": SUBJECT},
    "CareTeam": {},
    "Communication": {"status": "completed"},
    "Appointment": {
        "status": "proposed",
        "participant": [{"actor": SUBJECT, "status": "accepted"}],
    },
    "FamilyMemberHistory": {
        "status": "partial",
        "patient": SUBJECT,
        "relationship": CODE,
    },
    "ClinicalImpression": {"status": "completed", "subject": SUBJECT},
    "Group": {"type": "person", "actual": True},
    "List": {"status": "current", "mode": "working"},
    "MeasureReport": {
        "status": "complete",
        "type": "summary",
        "measure": f"{_URL}/Measure/a",
        "period": {"start": "2026-11-01"},
    },
    "Composition": {
        "status": "final",
        "type": CODE,
        "date": NOW,
        "author": [SUBJECT],
        "title": "架空",
    },
    "Bundle": {
        "type": "document",
        "identifier": {"system": _URL, "value": "1"},
        "timestamp": NOW,
        "entry": [
            {
                "fullUrl": "urn:uuid:0b5a2a3e-7f0e-4c3a-9a0f-5a1c8b0a7c11",
                "resource": {
                    "resourceType": "Composition",
                    "status": "final",
                    "type": CODE,
                    "date": NOW,
                    "author": [SUBJECT],
                    "title": "架空",
                },
            }
        ],
    },
    "Provenance": {
        "target": [SUBJECT],
        "recorded": NOW,
        "agent": [{"who": SUBJECT}],
    },
    "Binary": {
        "contentType": "text/plain",
        "data": base64.b64encode("架空".encode()).decode(),
    },
    "Organization": {"name": "架空"},
    "OrganizationAffiliation": {},
    "HealthcareService": {},
    "PractitionerRole": {},
    "Practitioner": {},
    "Location": {},
    "Endpoint": {
        "status": "active",
        "connectionType": {"code": "hl7-fhir-rest"},
        "payloadType": [CODE],
        "address": _URL,
    },
    "Questionnaire": {"status": "active"},
    "CodeSystem": {"status": "active", "content": "not-present"},
    "ValueSet": {"status": "active"},
    "ConceptMap": {"status": "active"},
    "StructureDefinition": {
        "url": f"{_URL}/StructureDefinition/a",
        "name": "A",
        "status": "active",
        "kind": "logical",
        "abstract": False,
        "type": f"{_URL}/StructureDefinition/a",
        "differential": {"element": [{"path": "A"}]},
    },
    "SearchParameter": {
        "url": f"{_URL}/SearchParameter/a",
        "name": "A",
        "status": "active",
        "description": "架空",
        "code": "a",
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.name",
    },
    "OperationDefinition": {
        "name": "A",
        "status": "active",
        "kind": "operation",
        "code": "a",
        "system": False,
        "type": True,
        "instance": False,
    },
    "CapabilityStatement": {
        "status": "active",
        "date": "2026-11-01",
        "kind": "requirements",
        "description": "架空",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server"}],
    },
    "Measure": {"status": "active"},
    "PlanDefinition": {"status": "active"},
    "Subscription": a_subscription("https://else.example/hook"),
}


def least(kind: str, **over: Any) -> dict[str, Any]:
    """A valid resource of a type, with what is to be different."""
    return {"resourceType": kind, **LEAST.get(kind, {}), **over}


def bound(kind: str, patient: str, base: str) -> dict[str, Any]:
    """The elements by which a resource belongs to the case of `Patient/<id>`.

    `base` is the hub's FHIR base: a document names its subject by an absolute URL.
    """
    to = {"reference": patient}
    others: dict[str, dict[str, Any]] = {
        "RelatedPerson": {"patient": to},
        "Consent": {"patient": to},
        "FamilyMemberHistory": {"patient": to},
        "Binary": {"securityContext": to},
        "Provenance": {"target": [to]},
        "Appointment": {"participant": [{"actor": to, "status": "accepted"}]},
        "Group": {"member": [{"entity": to}]},
        "MeasureReport": {"type": "individual", "subject": to},
        "Bundle": {"entry": document(f"{base}/{patient}")},
    }
    return others.get(kind, {"subject": to})


def document(patient: str, *more: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of a document about the Patient of this fullUrl."""
    first = LEAST["Bundle"]["entry"][0]
    about = {**first["resource"], "subject": {"reference": patient}}
    person = {"resourceType": "Patient", "id": patient.rpartition("/")[2]}
    return [
        {**first, "resource": about},
        {"fullUrl": patient, "resource": person},
        *more,
    ]
