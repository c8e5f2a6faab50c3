"""Each kind of audit row, made by real requests, against its BALP profile (§4)."""

import json
from base64 import b64decode
from typing import Any

import pytest
from sqlalchemy import select

from hub.audit.tables import audit_event
from tests.audit.balp import faults, profile_of
from tests.referrals.build import sent
from tests.referrals.receiver import a_worker, deliver_all, receiving
from tests.restful.build import a_request
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key

CENTRE, HOSPITAL = "kagoshima-shi", "4619999917"


def rows_of(hub, **columns: str) -> list[dict[str, Any]]:
    """The events with these column values, oldest first."""
    asked = [audit_event.c[name] == value for name, value in columns.items()]
    query = select(audit_event.c.body).where(*asked).order_by(audit_event.c.recorded)
    with hub.database.transaction(write=False) as session:
        return [json.loads(bytes(b)) for b in session.execute(query).scalars()]


def newest(hub) -> dict[str, Any]:
    query = select(audit_event.c.body).order_by(audit_event.c.recorded.desc())
    with hub.database.transaction(write=False) as session:
        body = session.execute(query.limit(1)).scalar_one()
    return dict(json.loads(bytes(body)))


def of_patient(hub, referral, profile: str) -> list[dict[str, Any]]:
    about = rows_of(hub, patient=f"Patient/{referral.patient}")
    return [event for event in about if profile_of(event) == profile]


def network(event, code):
    (agent,) = (a for a in event["agent"] if a["type"]["coding"][0]["code"] == code)
    return agent["network"]


def query_of(event) -> str:
    (query,) = (e["query"] for e in event.get("entity", []) if "query" in e)
    return b64decode(query).decode()


@pytest.fixture
def referral(hub):
    return sent(hub)


@pytest.fixture
def centre(hub):
    return hub.caller(CENTRE, "recipient")


def test_reads_of_a_person_conform_and_name_the_network_of_the_caller(hub, referral):
    referral.source.read(f"/Patient/{referral.patient}")
    referral.source.read(f"/Task/{referral.parent_id}/_history/1")
    found = of_patient(hub, referral, "PatientRead")
    assert {e["subtype"][0]["code"] for e in found} == {"read", "vread"}
    for event in found:
        assert faults(event) == []
        assert network(event, "110152") == {"address": "127.0.0.1", "type": "2"}
        assert network(event, "110153")["address"] == hub.settings.base_url


def test_creates_updates_and_patches_of_a_person_conform(hub, referral, centre):
    child = centre.read(f"/Task/{referral.child()['id']}")
    task = centre.move(child, status="received")
    patch = [{"op": "replace", "path": "/status", "value": "accepted"}]
    answer = centre.request(
        "PATCH",
        f"/Task/{task['id']}",
        json=patch,
        headers={
            "Content-Type": "application/json-patch+json",
            "If-Match": f'W/"{task["meta"]["versionId"]}"',
        },
    )
    assert answer.status_code == 200, answer.text
    created = of_patient(hub, referral, "PatientCreate")
    changed = of_patient(hub, referral, "PatientUpdate")
    assert created
    assert {"update", "patch"} == {e["subtype"][0]["code"] for e in changed}
    assert [faults(event) for event in (*created, *changed) if faults(event)] == []


def test_a_deleted_draft_conforms(hub):
    source = hub.caller(HOSPITAL, "source")
    draft = a_request("Patient/x", subject={"display": "架空"})
    path = f"ServiceRequest/{source.post('/ServiceRequest', draft).json()['id']}"
    assert source.request("DELETE", f"/{path}").status_code == 204
    (event,) = rows_of(hub, entity=path, action="D")
    assert profile_of(event) in ("Delete", "PatientDelete")
    assert faults(event) == []


def test_a_query_is_one_event_for_each_person_disclosed(hub, referral):
    other = sent(hub)
    ids = f"{referral.parent_id},{other.parent_id}"
    answer = referral.source.get(f"/Task?_id={ids}", headers={"X-Request-ID": "q-7"})
    assert answer.json()["total"] == 2
    for one in (referral, other):
        found = of_patient(hub, one, "PatientQuery")[-1]
        assert faults(found) == []
        assert query_of(found) == f"Task?_id={ids.replace(',', '%2C')}"
        requests = [e["what"]["identifier"] for e in found["entity"] if "what" in e
                    and "identifier" in e["what"]]  # fmt: skip
        assert {"value": "q-7"} in requests


def test_a_query_keeps_what_was_not_understood_too(hub, referral):
    answer = referral.source.get(
        f"/Task?_id={referral.parent_id}&nonsense=%3Cscript%3E",
        headers={"Prefer": "handling=lenient"},
    )
    assert answer.status_code == 200
    found = of_patient(hub, referral, "PatientQuery")[-1]
    assert "nonsense=%3Cscript%3E" in query_of(found)


def test_a_query_that_discloses_nobody_and_a_read_of_no_person_conform(hub, centre):
    centre.read("/Task?_id=never-there")
    event = newest(hub)
    assert (profile_of(event), faults(event)) == ("Query", [])
    centre.read(f"/Organization/{CENTRE}")
    event = newest(hub)
    assert (profile_of(event), faults(event)) == ("Read", [])


def test_a_permit_is_recorded_when_it_opens_a_grant_and_asked_again(
    hub, referral, centre
):
    child = centre.read(f"/Task/{referral.child()['id']}")
    centre.move(centre.move(child, status="received"), status="accepted")
    found = of_patient(hub, referral, "AuthZconsent")
    assert len(found) >= 2
    for event in found:
        assert faults(event) == []
        assert event["outcome"] == "0"
        (consent,) = (
            e["what"]["reference"]
            for e in event["entity"]
            if e["type"]["code"] == "Consent"
        )
        assert consent.startswith(f"Consent/{referral.consents[0]}/_history/")


def test_a_denial_in_a_known_case_names_patient_and_consent(hub, referral, centre):
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    wider = consent | {"provision": {"type": "permit"}}
    assert centre.put(f"/Consent/{consent['id']}", wider).status_code == 403
    event = of_patient(hub, referral, "AuthZconsent")[-1]
    assert faults(event) == []
    assert (event["outcome"], event["outcomeDesc"]) == ("8", "HUB-CON-016")


def test_a_referral_is_received_and_a_delivery_is_disclosed(hub):
    with receiving(hub, CENTRE) as receiver:
        referral = sent(hub)
        deliver_all(a_worker(hub, receiver))
    (received,) = of_patient(hub, referral, "PrivacyDisclosure.Recipient")
    (disclosed,) = of_patient(hub, referral, "PrivacyDisclosure.Source")
    assert faults(received) == faults(disclosed) == []
    assert network(received, "110153")["address"] == "127.0.0.1"
    assert network(disclosed, "110152")["address"].endswith(f"/{CENTRE}")
    assert "kagoshima-shi" in json.dumps(disclosed)


def test_a_delivery_that_fails_for_good_is_disclosed_with_its_failure(hub):
    with receiving(hub, CENTRE) as receiver:
        receiver.status = 400
        referral = sent(hub)
        deliver_all(a_worker(hub, receiver))
    (event,) = of_patient(hub, referral, "PrivacyDisclosure.Source")
    assert faults(event) == []
    assert event["outcome"] != "0"


@pytest.mark.parametrize("field", ["subtype", "agent", "entity"])
def test_the_judge_of_shapes_finds_what_is_missing(hub, referral, field):
    referral.source.read(f"/Patient/{referral.patient}")
    event = of_patient(hub, referral, "PatientRead")[-1]
    event[field] = event[field][1:]
    assert faults(event) != []


# Refusals: what was attempted on what, about whom, with which query.


def test_G4_a_refused_read_of_a_hidden_resource_is_recorded_as_of_an_absent_one(
    hub, referral
):
    stranger = hub.caller("4619999925", "source")
    path = f"/Task/{referral.parent_id}/_history/1"
    assert stranger.get(path).status_code == 404
    event = newest(hub)
    assert profile_of(event) is None
    assert event["outcome"] == "4"
    named = [e["what"]["reference"] for e in event["entity"] if "reference" in
             e.get("what", {})]  # fmt: skip
    assert named == [f"Task/{referral.parent_id}/_history/1"]
    stranger.get("/Task/never-there/_history/1")
    absent = newest(hub)
    for one in (event, absent):
        del one["id"], one["recorded"], one["entity"][-1]
        del one["entity"][0]["what"]
    assert event == absent
    assert network(event, "110152")["address"] == "127.0.0.1"


def test_a_refused_move_names_its_task_and_person(hub, referral, centre):
    child = centre.read(f"/Task/{referral.child()['id']}")
    assert centre.change(child, status="completed").status_code == 409
    event = rows_of(hub, entity=f"Task/{child['id']}", outcome="4")[-1]
    assert event["subtype"][0]["code"] == "update"
    assert f"Patient/{referral.patient}" in json.dumps(event)


def test_a_refused_query_is_kept_without_its_secrets(hub, referral):
    path = f"/Task?nonsense=%00x&access_token=eyJsecret&patient={referral.patient}"
    assert referral.source.get(path).status_code == 400
    asked = query_of(newest(hub))
    assert asked == f"Task?nonsense=%00x&access_token=***&patient={referral.patient}"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    path = "/Patient/_search"
    body = b"nonsense=1&token=eyJsecret"
    referral.source.request("POST", path, content=body, headers=form)
    assert query_of(newest(hub)) == "Patient?nonsense=1&token=***"


def test_a_refused_entry_of_a_batch_names_its_resource(hub, referral):
    stranger = hub.caller("4619999925", "source")
    get = {"request": {"method": "GET", "url": f"Task/{referral.parent_id}"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [get]}
    stranger.post("", bundle)
    event = rows_of(hub, entity=f"Task/{referral.parent_id}", outcome="4")[-1]
    assert f"Patient/{referral.patient}" not in json.dumps(event)


def test_a_made_up_path_does_not_become_a_reference(hub, referral):
    assert referral.source.get("/Task/a%20b%22%7D").status_code == 404
    event = newest(hub)
    assert not any("reference" in e.get("what", {}) for e in event.get("entity", []))


# Logins and the administration of clients.


def test_a_granted_token_is_a_login_with_its_scope_and_network(hub):
    caller = hub.caller(HOSPITAL, "source", scope="system/Task.rs")
    (event,) = rows_of(hub, client=caller.client_id, subtype="110122")
    assert query_of(event) == "scope=system/Task.rs"
    assert network(event, "110150")["address"] == "127.0.0.1"
    assert event["outcome"] == "0"
    assert caller.token not in json.dumps(event)


@pytest.mark.parametrize(
    ("send", "status"),
    [
        ({"data": {"grant_type": "client_credentials", "client_assertion": "a.b.c",
                   "client_assertion_type": ASSERTION_TYPE}}, 401),
        ({"data": {"scope": "system/Task.rs"}}, 400),
        ({"json": {"grant_type": "client_credentials"}}, 400),
    ],
)  # fmt: skip
def test_a_refused_token_request_is_a_refused_login(hub, send, status):
    before = len(rows_of(hub, subtype="110122", outcome="4"))
    assert hub.http.post("/oauth/token", **send).status_code == status
    found = rows_of(hub, subtype="110122", outcome="4")
    assert len(found) == before + 1
    assert network(found[-1], "110150")["address"] == "127.0.0.1"
    assert "a.b.c" not in json.dumps(found[-1])


def test_a_revoked_token_is_a_logout(hub):
    caller = hub.caller(HOSPITAL, "source", scope="system/Consent.r")
    form = {
        "token": caller.token,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(
            caller.client_id, ec_key(), hub.settings.token_url, None
        ),
    }
    assert hub.http.post("/oauth/revoke", data=form).status_code == 200
    (event,) = rows_of(hub, client=caller.client_id, subtype="110123")
    assert event["outcome"] == "0"
    assert caller.token not in json.dumps(event)
