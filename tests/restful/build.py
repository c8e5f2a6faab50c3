"""Referrals as a hospital sends them, and small helpers of the REST tests."""

import copy
import itertools
import uuid
from pathlib import Path
from typing import Any

import httpx

from hub.fhir import canonical
from hub.restful.served import SERVED
from hub.smart import clients
from tests.running import Caller, RunningHub
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key, public

HOSPITAL = "4619999917"  # an emergency hospital of the city
OTHER_HOSPITAL = "4619999925"
CENTRE = "kagoshima-shi"
OTHER_CENTRE = "naze"

K1 = canonical.questionnaire("k1")
_HL7 = "http://terminology.hl7.org/CodeSystem"
_numbers = itertools.count(1)


def urn() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def a_name() -> str:
    """A made-up name that occurs nowhere else in the run."""
    return f"架空{next(_numbers)}号{uuid.uuid4().hex[:8]}"


def a_patient(name: str = "試験 花子", **over: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "name": [{"text": name, "family": name}],
        "address": [{"text": "鹿児島県鹿児島市架空町1-2-3"}],
        **over,
    }


def a_form(subject: str, consent: str | None = "consent-person", **over: Any) -> Any:
    items: list[dict[str, Any]] = [
        {"linkId": "k1.remarks", "answer": [{"valueString": "特になし"}]}
    ]
    if consent:
        coding = {"system": canonical.code_system("consent"), "code": consent}
        items.append({"linkId": "k1.consent", "answer": [{"valueCoding": coding}]})
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": K1,
        "status": "completed",
        "subject": {"reference": subject},
        "authored": "2026-11-01T10:00:00+09:00",
        "item": [{"linkId": "k1", "item": items}],
        **over,
    }


def a_consent(patient: str, performer: str | None = None, **over: Any) -> Any:
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": concept(f"{_HL7}/consentscope", "patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": {"reference": patient},
        "performer": [{"reference": performer or patient}],
        "policyRule": concept(f"{_HL7}/v3-ActCode", "OPTIN"),
        "provision": {"type": "permit"},
        **over,
    }


def a_request(patient: str, **over: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": patient},
        **over,
    }


def a_task(patient: str, focus: str, **over: Any) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": focus},
        "for": {"reference": patient},
        **over,
    }


def post(resource: dict[str, Any], full_url: str | None = None, **request: Any) -> Any:
    return {
        "fullUrl": full_url or urn(),
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"], **request},
    }


def put(resource: dict[str, Any], **request: Any) -> dict[str, Any]:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url, **request}}


def get(url: str, **request: Any) -> dict[str, Any]:
    return {"request": {"method": "GET", "url": url, **request}}


def delete(url: str, **request: Any) -> dict[str, Any]:
    return {"request": {"method": "DELETE", "url": url, **request}}


def a_bundle(*entries: dict[str, Any], type: str = "transaction") -> dict[str, Any]:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": type}
    return {**bundle, "entry": list(entries)} if entries else bundle


def a_referral(
    *more: dict[str, Any],
    name: str = "試験 花子",
    patient: dict[str, Any] | None = None,
    form: dict[str, Any] | None = None,
    consent: dict[str, Any] | None = None,
    request: dict[str, Any] | None = None,
    task: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A whole referral; each argument overrides elements of its resource."""
    person, order = urn(), urn()
    return a_bundle(
        post(a_patient(name, **(patient or {})), person),
        post(a_form(person, **(form or {}))),
        post(a_consent(person, **(consent or {}))),
        post(a_request(person, **(request or {})), order),
        post(a_task(person, order, **(task or {}))),
        *more,
    )


def without(bundle: dict[str, Any], resource_type: str) -> dict[str, Any]:
    """The Bundle without the entries of a type."""
    kept = [
        e for e in bundle["entry"] if e["resource"]["resourceType"] != resource_type
    ]
    return {**bundle, "entry": kept}


def entry_of(bundle: dict[str, Any], resource_type: str) -> dict[str, Any]:
    """The first entry of a type, to be changed in place."""
    return next(
        e for e in bundle["entry"] if e["resource"]["resourceType"] == resource_type
    )


def a_caller(
    hub: RunningHub, organisation: str, *roles: str, scopes: str | None = None
) -> Caller:
    """A client registered for exactly these scopes; all of every served type if None."""
    scopes = scopes or " ".join(f"system/{name}.cruds" for name in SERVED)
    with hub.database.transaction() as session:
        made = clients.register(
            session,
            organization=organisation,
            roles=set(roles or ("source",)),
            scopes=scopes,
            jwks=public(ec_key()),
        )
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(
            made.client_id, ec_key(), hub.settings.token_url, None
        ),
        "scope": scopes,
    }
    answer = hub.http.post("/oauth/token", data=form)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    return Caller(hub.http, made.client_id, organisation, token)


def again(bundle: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(bundle)


def locations(answer: httpx.Response) -> dict[str, str]:
    """{type: `Type/id`} of a transaction-response; the last of a type."""
    assert answer.status_code == 200, answer.text
    return {
        location.split("/")[0]: "/".join(location.split("/")[:2])
        for entry in answer.json()["entry"]
        if (location := entry["response"].get("location"))
    }


def submit(source: Caller, bundle: dict[str, Any] | None = None) -> dict[str, str]:
    """Send a referral that is accepted; its references by type."""
    return locations(source.post("", bundle or a_referral()))


def case_of(source: Caller, made: dict[str, str]) -> dict[str, Any]:
    """The EpisodeOfCare of a referral that was sent."""
    patient = made["Patient"]
    (episode,) = source.search(f"/EpisodeOfCare?patient={patient}")
    return episode


def child_of(caller: Caller, made: dict[str, str]) -> dict[str, Any]:
    """The Task of the desk in charge."""
    (child,) = caller.search(f"/Task?part-of={made['Task']}")
    return child


def ids(answer: httpx.Response) -> list[str]:
    """The issue ids of an OperationOutcome."""
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome", answer.text
    return [one["details"]["coding"][0]["code"] for one in outcome["issue"]]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and first issue id: what most tests ask of an error."""
    return answer.status_code, ids(answer)[0]


def count(hub: RunningHub, table: str) -> int:
    """Rows of a table, asked of the database itself."""
    with hub.database.engine.connect() as session:
        found = session.exec_driver_sql(f"SELECT count(*) FROM {table}")
        return int(found.scalar_one())


STORED = ("resource", "resource_version", "case_", "case_resource", "grant_", "outbox")


def stored(hub: RunningHub) -> dict[str, int]:
    """How many rows the tables of content have."""
    return {table: count(hub, table) for table in STORED}


def is_found_anywhere(hub: RunningHub, text: str) -> bool:
    """The text in any byte of the database: SQLite's files, or every column."""
    wanted = text.encode()
    url = hub.database.engine.url
    if hub.database.is_sqlite:
        path = Path(url.database or "")
        return any(wanted in p.read_bytes() for p in path.parent.glob(path.name + "*"))
    with hub.database.engine.connect() as session:
        tables = session.exec_driver_sql(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public'"
        ).scalars()
        for table in tables.all():
            rows = session.exec_driver_sql(f'SELECT * FROM "{table}"')
            for row in rows:
                for value in row:
                    raw = (
                        bytes(value)
                        if isinstance(value, bytes | memoryview)
                        else str(value).encode()
                    )
                    if wanted in raw:
                        return True
    return False
