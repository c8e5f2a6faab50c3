"""KG-15, KG-16 and what is not told to the person, over real HTTP."""

import io
import json
import re

import pytest
from pypdf import PdfReader
from sqlalchemy import update

from hub.disclosure.classes import WHOLE
from hub.disclosure.grants import explain
from hub.store.tables import resource, resource_version
from tests.referrals.build import (
    FAR,
    HOSPITAL,
    a_consent,
    business,
    reason,
    refusal,
    sent,
)
from tests.referrals.test_withdrawal import withdraw_by
from tests.restful.build import a_caller

FIRST, SECOND = "kagoshima-shi", "aira"
UNINFORMED = {
    "system": "http://jpfhir.jp/fhir/clins/CodeSystem/JP_ehrshrs_indication",
    "code": "UNINFORMED",
}
PASSED = {
    "status": "rejected",
    "businessStatus": business("transferred"),
    "statusReason": reason("lives-elsewhere"),
}


def whole_to(hub, referral):
    """Organisations, but for the sender, to which the whole case is open."""
    with hub.database.transaction(write=False) as session:
        rows = explain(session, referral.case)
    whole = [str(c.name).lower() for c in WHOLE]
    return {
        row["organisation"]
        for row in rows
        if row["closed_at"] is None and row["classes"] == whole
    }


def in_charge(referral):
    """Desks of the open child Tasks; a desk's id is its organisation's here."""
    return {
        t["owner"]["reference"].partition("/")[2]
        for t in referral.children()
        if t["status"] in ("requested", "received", "accepted", "in-progress")
    }


def test_KG_16_at_each_step_the_case_is_open_to_the_desks_in_charge_alone(hub):
    first, second = hub.caller(FIRST, "recipient"), hub.caller(SECOND, "recipient")
    referral = sent(hub, address=FAR)
    assert whole_to(hub, referral) == in_charge(referral) == {FIRST}
    task = first.move(referral.child(FIRST), status="accepted")
    task = first.move(
        task,
        businessStatus=business("transferring"),
        statusReason=reason("lives-elsewhere"),
    )
    assert whole_to(hub, referral) == in_charge(referral) == {FIRST, SECOND}
    second.move(referral.child(SECOND), status="accepted")
    assert whole_to(hub, referral) == in_charge(referral) == {SECOND}
    task = second.move(referral.child(SECOND), status="in-progress")
    withdraw_by(referral.source, referral)
    assert whole_to(hub, referral) == in_charge(referral) == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"businessStatus": business("transferring")},
        {"status": "failed", "businessStatus": business("transferred")},
    ],
)
def test_KG_16_one_body_more_needs_a_reason(hub, changes):
    first = hub.caller(FIRST, "recipient")
    referral = sent(hub, address=FAR)
    task = first.move(referral.child(FIRST), status="accepted")
    assert refusal(first.change(task, **changes)) == (422, ["HUB-REF-003"])
    assert whole_to(hub, referral) == {FIRST}


def test_KG_16_each_body_is_listed_with_basis_clause_and_reason(hub):
    first = hub.caller(FIRST, "recipient")
    referral = sent(hub, address=FAR)
    first.move(referral.child(FIRST), **PASSED)
    told = [
        one
        for one in referral.source.search(
            f"/Provenance?target=EpisodeOfCare/{referral.case}&_count=50"
        )
        if one["activity"]["coding"][0]["code"] == "disclose"
    ]
    texts = sorted(one["activity"]["text"] for one in told)
    assert [t.partition(":")[0] for t in texts] == [
        f"Organization/{SECOND}",
        f"Organization/{FIRST}",
    ]
    assert "item 7" in texts[0]
    assert "lives-elsewhere" in texts[0]
    for one in told:
        assert one["reason"][0]["coding"][0]["code"] == "consent-person"
        source = one["entity"][0]["what"]["reference"]
        assert source == f"Consent/{referral.consents[0]}/_history/1"


@pytest.mark.parametrize("purpose", ["HRESCH", "HMARKT", "HPAYMT", "FAMRQT", "PWATRNY"])
def test_KG_15_a_consent_turned_to_another_purpose_ends_the_case(hub, purpose):
    first = hub.caller(FIRST, "recipient")
    referral = sent(hub)
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    system = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
    consent["provision"]["purpose"] = [{"system": system, "code": purpose}]
    path = f"/Consent/{consent['id']}"
    assert referral.source.put(path, consent).status_code == 200
    assert first.get(f"/Patient/{referral.patient}").status_code == 404
    assert whole_to(hub, referral) == set()


def test_what_the_person_was_not_told_stands_in_no_account_of_theirs(hub):
    """未告知: the hub shows persons and families one thing, and it holds no facts."""
    first = a_caller(hub, FIRST, "recipient")
    hospital = a_caller(hub, HOSPITAL)
    referral = sent(hub)
    person = {"reference": f"Patient/{referral.patient}"}
    active = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    condition = {
        "resourceType": "Condition",
        "meta": {"tag": [UNINFORMED]},
        "clinicalStatus": {"coding": [{"system": active, "code": "active"}]},
        "code": {"text": "まだ伝えていない病名"},
        "subject": person,
    }
    made = hospital.post("/Condition", condition).json()
    seen = first.read(f"/Condition/{made['id']}")
    assert seen["meta"]["tag"] == [UNINFORMED], "the label goes along to the desk"
    path = f"/Patient/{referral.patient}/$disclosures"
    told = hospital.get(path).text
    reader = PdfReader(io.BytesIO(hospital.get(f"{path}?_format=pdf").content))
    printed = re.sub(r"\s", "", "".join(p.extract_text() for p in reader.pages))
    for secret in ("まだ伝えていない病名", "UNINFORMED", "Condition", made["id"]):
        assert secret not in told
        assert secret not in printed


def test_G10_a_consent_that_cannot_be_read_any_more_opens_nothing_new(hub):
    first, second = hub.caller(FIRST, "recipient"), hub.caller(SECOND, "recipient")
    referral = sent(hub, address=FAR)
    _spoil(hub, referral.consents[0], b'{"resourceType":"Consent","status":')
    task = referral.child(FIRST)
    for changes in ({"status": "accepted"}, PASSED):
        answer = first.change(task, **changes)
        assert answer.status_code in (403, 422)
        assert refusal(answer)[1][0].startswith("HUB-CON-")
    assert second.get(f"/Patient/{referral.patient}").status_code == 404
    assert referral.child(FIRST)["status"] == "requested"


def test_G10_a_spoiled_consent_ends_the_case_at_the_next_word(hub):
    first = hub.caller(FIRST, "recipient")
    referral = sent(hub, givers=("person", "family"))
    _spoil(hub, referral.consents[0], b"\x00\xff")
    assert withdraw_by(referral.source, referral, 1).status_code == 200
    assert first.get(f"/Patient/{referral.patient}").status_code == 404


@pytest.mark.parametrize(
    "provision",
    [
        {"type": "permit", "class": [{"code": "x"}]},
        {"type": "permit", "securityLabel": [{"code": "R"}]},
        {"type": "permit", "code": [{"text": "x"}]},
        {"type": "permit", "provision": [{"type": "deny"}]},
        {"type": "permit", "dataPeriod": {"end": "2030-01-01"}},
        {"type": "permit", "data": [{"meaning": "instance",
                                      "reference": {"reference": "Patient/x"}}]},
    ],
)  # fmt: skip
def test_G10_a_provision_the_hub_cannot_keep_ends_what_was_open(hub, provision):
    first = hub.caller(FIRST, "recipient")
    referral = sent(hub)
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    text = json.dumps(consent | {"provision": provision})
    text = text.replace("Patient/x", f"Patient/{referral.patient}")
    path = f"/Consent/{consent['id']}"
    answer = referral.source.put(path, json.loads(text))
    assert answer.status_code == 200, answer.text
    assert first.get(f"/Patient/{referral.patient}").status_code == 404


def test_G10_of_two_consents_that_contradict_none_opens(hub):
    referral = sent(hub)
    first = hub.caller(FIRST, "recipient")
    refusing = a_consent(
        "person", f"Patient/{referral.patient}", "", provision={"type": "deny"}
    )
    assert referral.source.post("/Consent", refusing).status_code == 201
    assert first.get(f"/Patient/{referral.patient}").status_code == 404
    assert whole_to(hub, referral) == set()


def _spoil(hub, id, body):
    """As a failing disk or a hand in the database would: bytes that are no JSON."""
    with hub.database.transaction() as session:
        for table in (resource, resource_version):
            session.execute(
                update(table)
                .where(table.c.type == "Consent", table.c.id == id)
                .values(body=body)
            )
