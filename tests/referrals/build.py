"""Referrals as a sender writes them: transaction Bundles of invented people."""

import copy
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hub.fhir import canonical
from tests.running import Caller, RunningHub

HOSPITAL = "4619999917"
COOPERATING = "4619999925"
PSYCHIATRIC = "4619999933"
PROVIDER = "sns-kakuu"
NEAR = "鹿児島県鹿児島市山下町11-1"
FAR = "鹿児島県姶良市宮島町25"
OUTSIDE = "東京都千代田区霞が関1-2-1"
_HL7 = "http://terminology.hl7.org/CodeSystem"
_TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"
_GIVERS = {
    "person": "consent-person",
    "family": "consent-family",
    "nobody": "consent-none",
}


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def business(code: str) -> dict[str, Any]:
    return coded(canonical.BUSINESS_STATUS, code)


def reason(code: str = "other") -> dict[str, Any]:
    return coded(canonical.STATUS_REASON, code)


def entry(code: str, **value: Any) -> dict[str, Any]:
    """A Task.input or Task.output."""
    return {"type": coded(canonical.TASK_INPUT, code), **value}


PHONE_CALL = entry("phone-call", valueString="保健師に電話で連絡した")


def a_consent(giver: str, patient: str, relative: str, **over: Any) -> dict[str, Any]:
    performer = patient if giver == "person" else relative
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": coded(f"{_HL7}/consentscope", "patient-privacy"),
        "category": [coded("http://loinc.org", "59284-0")],
        "patient": {"reference": patient},
        "performer": [{"reference": performer}],
        "policyRule": coded(f"{_HL7}/v3-ActCode", "OPTIN"),
        "provision": {
            "type": "permit",
            "purpose": [{"system": f"{_HL7}/v3-ActReason", "code": "COC"}],
        },
    } | over


def explaining(*items: int) -> list[dict[str, Any]]:
    """The Consent extension that lists the explained items (様式2 説明事項)."""
    return [{"url": canonical.EXPLANATIONS, "valueInteger": item} for item in items]


@dataclass
class Referral:
    """One referral; `post` sends it. Everything may be changed before."""

    givers: Sequence[str] = ("person",)
    address: str | None = NEAR
    programme: str = "kagoshima"
    form: str = "k1"
    answers: list[dict[str, Any]] | None = None
    name: str = "見本 花子"
    inputs: Sequence[dict[str, Any]] = (PHONE_CALL,)
    consent: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    relationship: bool = True

    def bundle(self) -> dict[str, Any]:
        url = {
            kind: f"urn:uuid:{uuid.uuid4()}"
            for kind in (
                "Patient",
                "RelatedPerson",
                "QuestionnaireResponse",
                "ServiceRequest",
                "Task",
                *(f"Consent-{giver}" for giver in self.givers),
            )
        }
        resources: dict[str, dict[str, Any]] = {"Patient": self._patient()}
        if "family" in self.givers:
            resources["RelatedPerson"] = {
                "resourceType": "RelatedPerson",
                "patient": {"reference": url["Patient"]},
            }
            if self.relationship:
                resources["RelatedPerson"]["relationship"] = [{"text": "母"}]
        resources["QuestionnaireResponse"] = {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": canonical.questionnaire(self.form),
            "status": "completed",
            "subject": {"reference": url["Patient"]},
            "authored": "2026-04-01T10:00:00+09:00",
            **({"item": items} if (items := self._items()) else {}),
        }
        for giver in self.givers:
            made = a_consent(giver, url["Patient"], url.get("RelatedPerson", ""))
            resources[f"Consent-{giver}"] = made | copy.deepcopy(self.consent)
        resources["ServiceRequest"] = {
            "resourceType": "ServiceRequest",
            "instantiatesCanonical": [canonical.plan_definition(self.programme)],
            "status": "active",
            "intent": "order",
            "subject": {"reference": url["Patient"]},
            "supportingInfo": [{"reference": url["QuestionnaireResponse"]}],
        } | self.request
        resources["Task"] = {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "code": coded(_TASK_CODE, "fulfill"),
            "focus": {"reference": url["ServiceRequest"]},
            "for": {"reference": url["Patient"]},
            **({"input": list(self.inputs)} if self.inputs else {}),
        } | self.task
        return {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "fullUrl": url[kind],
                    "resource": resource,
                    "request": {"method": "POST", "url": resource["resourceType"]},
                }
                for kind, resource in resources.items()
            ],
        }

    def _patient(self) -> dict[str, Any]:
        patient: dict[str, Any] = {
            "resourceType": "Patient",
            "name": [{"text": self.name}],
        }
        if self.address:
            patient["address"] = [{"use": "home", "text": self.address}]
        return patient

    def _items(self) -> list[dict[str, Any]]:
        return [] if self.answers is None else self.answers


def answered(link: str, **value: Any) -> dict[str, Any]:
    return {"linkId": link, "answer": [value]}


@dataclass
class Sent:
    """A referral on its way: ids of its parts, and who acts on it."""

    hub: RunningHub
    source: Caller
    parent_id: str
    patient: str
    consents: list[str]
    form: str
    service_request: str
    case: str = ""

    def parent(self) -> dict[str, Any]:
        return self.source.read(f"/Task/{self.parent_id}")

    def children(self, caller: Caller | None = None) -> list[dict[str, Any]]:
        """The child Tasks that a caller sees, oldest first."""
        found = (caller or self.source).search(
            f"/Task?part-of=Task/{self.parent_id}&_sort=_lastUpdated&_count=50"
        )
        return sorted(found, key=lambda task: task["authoredOn"])

    def child(self, organisation: str | None = None) -> dict[str, Any]:
        """The youngest child Task, as its desk or the source sees it."""
        caller = self.hub.caller(organisation, "recipient") if organisation else None
        return self.children(caller)[-1]

    @property
    def refs(self) -> list[str]:
        """One resource of each data class."""
        return [
            f"Patient/{self.patient}",
            f"Consent/{self.consents[0]}",
            f"QuestionnaireResponse/{self.form}",
            f"ServiceRequest/{self.service_request}",
            f"Task/{self.parent_id}",
        ]


def sent(hub: RunningHub, source: str = HOSPITAL, **over: Any) -> Sent:
    """Send a referral and read what became of it."""
    caller = hub.caller(source, "source")
    answer = caller.post("", Referral(**over).bundle())
    assert answer.status_code == 200, answer.text
    ids: dict[str, list[str]] = {}
    for one in answer.json()["entry"]:
        kind, id_ = one["response"]["location"].split("/")[:2]
        ids.setdefault(kind, []).append(id_)
    made = Sent(
        hub,
        caller,
        ids["Task"][0],
        ids["Patient"][0],
        ids["Consent"],
        ids["QuestionnaireResponse"][0],
        ids["ServiceRequest"][0],
    )
    made.case = caller.search(f"/EpisodeOfCare?patient=Patient/{made.patient}")[0]["id"]
    return made


def refusal(answer: Any) -> tuple[int, list[str]]:
    """Status and issue ids of a refusal."""
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome", outcome
    return answer.status_code, [
        i["details"]["coding"][0]["code"] for i in outcome["issue"]
    ]


def state(task: dict[str, Any]) -> tuple[str, str | None]:
    """(status, business status)."""
    codings = (task.get("businessStatus") or {}).get("coding") or [{}]
    return task["status"], codings[0].get("code")


def code_of_desk(task: dict[str, Any]) -> str:
    return str(task["owner"]["reference"]).removeprefix("HealthcareService/")
