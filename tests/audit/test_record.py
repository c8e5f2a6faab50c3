"""What one AuditEvent says, and that it is written with its act."""

import json
from base64 import b64decode
from importlib import import_module
from typing import Any

import pytest

from hub import audit
from hub.actor import Actor
from hub.audit.kinds import KINDS
from hub.fhir.json import Resource
from hub.fhir.outcome import issue
from tests.audit.conftest import HOSPITAL, START

BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."


def bodies(log, **where) -> list[Resource]:
    with log.database.transaction(write=False) as session:
        columns: Any = {name: (value,) for name, value in where.items()}
        asked = audit.Criteria(**columns)
        return [json.loads(entry.body) for entry in audit.find(session, asked)]


def agent(event: Resource, code: str) -> Resource:
    return next(a for a in event["agent"] if a["type"]["coding"][0]["code"] == code)


def entity(event: Resource, **of) -> Resource:
    return next(
        e
        for e in event["entity"]
        for key in of
        if e.get(key, {}).get("code") == of[key]
    )


def test_a_read_says_who_read_what_of_whom(log):
    (id_,) = log.write(1, "read", targets=["Task/t1/_history/3"])
    (event,) = bodies(log)
    assert event["id"] == id_
    assert event["meta"]["profile"] == [f"{BALP}PatientRead"]
    assert event["type"]["code"] == "rest"
    assert event["subtype"][0]["code"] == "read"
    assert (event["action"], event["outcome"]) == ("R", "0")
    assert event["recorded"] == "2026-11-02T18:00:00.001+09:00"
    assert agent(event, "110152")["who"]["identifier"]["value"] == "hospital-1"
    assert agent(event, "PROV")["who"]["reference"] == "Organization/4619999917"
    assert entity(event, role="4")["what"]["reference"] == "Task/t1/_history/3"
    assert entity(event, role="1")["what"]["reference"] == "Patient/p1"
    assert entity(event, type="XrequestId")["what"]["identifier"]["value"] == "r-1"


@pytest.mark.parametrize(
    ("interaction", "profile", "action", "client", "server"),
    [
        ("create", "PatientCreate", "C", "110153", "110152"),
        ("vread", "PatientRead", "R", "110152", "110153"),
        ("update", "PatientUpdate", "U", "110153", "110152"),
        ("patch", "PatientUpdate", "U", "110153", "110152"),
        ("delete", "PatientDelete", "D", "110150", "custodian"),
    ],
)
def test_each_interaction_follows_its_balp_profile(
    log, interaction, profile, action, client, server
):
    log.write(1, interaction)
    (event,) = bodies(log)
    assert event["meta"]["profile"] == [BALP + profile]
    assert event["action"] == action
    assert agent(event, client)["who"]["identifier"]["value"] == "hospital-1"
    assert agent(event, server)["who"]["reference"] == "Organization/tsunagi-hub"


def test_without_a_patient_the_plain_profile_is_named(log):
    log.write(1, "read", patients=[], targets=["Organization/1"])
    assert bodies(log)[0]["meta"]["profile"] == [f"{BALP}Read"]


def test_a_search_leaves_one_event_per_patient_disclosed(log):
    patients = [f"Patient/p{n}" for n in range(3)]
    log.write(1, "search-type", targets=[], patients=patients, query="Task?owner=x")
    events = bodies(log)
    assert {entity(e, role="1")["what"]["reference"] for e in events} == set(patients)
    for event in events:
        query = entity(event, role="24")
        assert b64decode(query["query"]) == b"Task?owner=x"
        assert "what" not in query
        assert event["meta"]["profile"] == [f"{BALP}PatientQuery"]


def test_a_search_that_discloses_nobody_leaves_one_event(log):
    log.write(1, "search-type", targets=[], patients=[], query="Task?owner=x")
    (event,) = bodies(log)
    assert event["meta"]["profile"] == [f"{BALP}Query"]


@pytest.mark.parametrize(
    ("interaction", "outcome"), [("consent-permit", "0"), ("consent-deny", "8")]
)
def test_a_consent_decision_names_consent_patient_and_basis(log, interaction, outcome):
    log.write(
        1,
        interaction,
        targets=["Consent/c1/_history/1"],
        outcome=outcome,
        basis="consent-person",
    )
    (event,) = bodies(log)
    assert event["meta"]["profile"] == [f"{BALP}AuthZconsent"]
    assert event["subtype"][0]["code"] == "AuthZ-Consent"
    assert event["outcome"] == outcome
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "consent-person"
    assert agent(event, "IRCP")["who"]["reference"] == "Organization/4619999917"
    observer = event["source"]["observer"]
    assert agent(event, "authserver")["who"] == observer  # val-audit-source
    assert {e["type"]["code"] for e in event["entity"]} == {"Consent", "1"}  # closed
    assert event["extension"][0]["valueString"] == "r-1"


def test_a_delivery_is_a_disclosure_from_the_hub_to_its_recipient(log):
    log.write(
        1,
        "disclose",
        recipient="aira",
        address="https://aira.example/fhir",
        details={"attempts": "3"},
    )
    (event,) = bodies(log, organisation="aira")
    assert event["meta"]["profile"] == [f"{BALP}PrivacyDisclosure.Source"]
    assert agent(event, "110153")["who"] == event["source"]["observer"]
    recipient = agent(event, "110152")
    assert recipient["who"]["reference"] == "Organization/aira"
    assert recipient["network"] == {
        "address": "https://aira.example/fhir",
        "type": "5",
    }
    data = entity(event, role="4")
    assert data["detail"] == [{"type": "attempts", "valueString": "3"}]


def test_a_login_refused_before_anybody_is_known_is_recorded(log):
    audit.refuse(log.database, None, "login", [issue("HUB-AUTH-002")], at=START)
    (event,) = bodies(log)
    assert event["subtype"][0]["code"] == "110122"
    assert event["outcome"] == "4"
    assert agent(event, "110150")["who"] == {"display": "unauthenticated"}
    assert "profile" not in event.get("meta", {})


def test_A12_a_rolled_back_act_leaves_the_row_of_the_attempt(log):
    refused = [issue("HUB-REST-008", "Task.status")]

    def act() -> None:
        with log.database.transaction() as session:
            audit.record(session, HOSPITAL, "update", at=START, targets=["Task/t1"])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        act()
    audit.refuse(
        log.database, HOSPITAL, "update", refused, at=START, targets=["Task/t1"]
    )
    (event,) = bodies(log)
    assert (event["outcome"], event["outcomeDesc"]) == ("4", "HUB-REST-008")
    log.seal()
    log.anchor()
    assert log.verify().is_intact


def test_the_row_is_part_of_the_transaction_of_its_act(log):
    log.write(2)
    with log.database.transaction(write=False) as session:
        audit.record(session, HOSPITAL, "read", at=START)
        assert audit.count(session) == 3  # seen by its own transaction
    assert len(bodies(log)) == 3


def test_the_hub_names_itself_as_told_at_start_up(log):
    audit.observe(log.database, "prefecture-hub", "https://hub.example")
    log.write(1, "create")
    (event,) = bodies(log)
    assert event["source"]["observer"]["reference"] == "Organization/prefecture-hub"
    assert agent(event, "110152")["network"]["address"] == "https://hub.example"


@pytest.mark.parametrize("interaction", sorted(KINDS))
def test_every_kind_of_event_is_a_structurally_valid_audit_event(log, interaction):
    # R4B's AuditEvent equals R4's but for the package it comes in.
    model = import_module("fhir.resources.R4B.auditevent").AuditEvent
    everything = {
        "query": "Task?a=1",
        "description": "HUB-REST-001",
        "basis": "consent-person",
        "address": "10.1.2.3",
        "details": {"attempts": "1"},
        "outcome": "4",
    }
    log.write(1, interaction, **everything)
    log.write(1, interaction, targets=[], patients=[])
    with log.database.transaction(write=False) as session:
        for who in (None, Actor("c", "o")):
            audit.record(session, who, interaction, at=START)
    for event in bodies(log):
        model.model_validate(event)
        assert event.get("entity") != []


def test_a_quote_in_an_id_cannot_change_the_event(log):
    log.write(1, "read", targets=['Task/"],"outcome":"0'], outcome="8")
    (event,) = bodies(log)
    assert event["outcome"] == "8"
