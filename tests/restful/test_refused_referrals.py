"""Referrals that must not be sent: no consent for this, not in force, forged senders."""

import uuid
from typing import Any

import pytest

from hub.fhir import canonical
from tests.restful.build import (
    HOSPITAL,
    OTHER_HOSPITAL,
    a_caller,
    a_form,
    a_referral,
    concept,
    entry_of,
    post,
    refusal,
    stored,
    submit,
)

_HL7 = "http://terminology.hl7.org/CodeSystem"
OTHER_USE = [
    ({"scope": concept(f"{_HL7}/consentscope", "research")}, "HUB-CON-009"),
    ({"scope": concept(f"{_HL7}/consentscope", "adr")}, "HUB-CON-009"),
    ({"scope": {"text": "何かの同意"}}, "HUB-CON-009"),
    (
        {"category": [concept(f"{_HL7}/consentcategorycodes", "research")]},
        "HUB-CON-009",
    ),
    ({"policyRule": concept(f"{_HL7}/v3-ActCode", "OPTOUT")}, "HUB-CON-014"),
    ({"dateTime": "2999-01-01"}, "HUB-CON-005"),
    ({"dateTime": "2999-01-01T00:00:00+09:00"}, "HUB-CON-005"),
]


@pytest.mark.parametrize(("over", "id"), OTHER_USE)
def test_G12_a_consent_to_something_else_or_not_yet_given_sends_nothing(
    hub, source, over, id
):
    before = stored(hub)
    assert refusal(source.post("", a_referral(consent=over))) == (403, id)
    assert stored(hub) == before


@pytest.mark.parametrize(
    "over",
    [
        *({"status": s} for s in ("draft", "on-hold", "revoked", "entered-in-error")),
        {"doNotPerform": True},
    ],
)
def test_a_request_that_is_not_in_force_contacts_nobody(hub, source, over):
    before = stored(hub)
    answer = source.post("", a_referral(request=over))
    assert refusal(answer) == (422, "HUB-REF-030")
    assert stored(hub) == before


@pytest.mark.parametrize("status", ["entered-in-error", "stopped"])
def test_a_form_that_its_author_took_back_is_no_form(source, status):
    answer = source.post("", a_referral(form={"status": status}))
    assert refusal(answer) == (422, "HUB-REF-020")


@pytest.mark.parametrize("part", ["task", "request"])
def test_a_sender_may_name_itself_by_its_code(source, part):
    system = "http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no"
    code = {"identifier": {"system": system, "value": source.organisation}}
    over: dict[str, Any] = {part: {"requester": code}}
    assert source.post("", a_referral(**over)).status_code == 200


@pytest.mark.parametrize(
    "requester",
    [{"reference": f"Organization/{OTHER_HOSPITAL}"}, {"display": "よその病院"}],
)
@pytest.mark.parametrize("part", ["task", "request"])
def test_no_part_of_a_referral_names_another_sender(source, part, requester):
    over: dict[str, Any] = {part: {"requester": requester}}
    answer = source.post("", a_referral(**over))
    assert refusal(answer) == (422, "HUB-REF-011")


def test_G10_two_forms_in_one_referral_are_refused(hub, source):
    before, bundle = stored(hub), a_referral()
    person = entry_of(bundle, "Patient")["fullUrl"]
    bundle["entry"].append(post(a_form(person, consent="consent-none")))
    assert refusal(source.post("", bundle)) == (422, "HUB-REF-031")
    assert stored(hub) == before


def test_G10_a_form_that_comes_to_say_no_consent_is_refused(hub):
    author = a_caller(hub, HOSPITAL)
    made = submit(author)
    form = author.read(f"/{made['QuestionnaireResponse']}")
    items = form["item"][0]["item"]
    consent = next(one for one in items if one["linkId"] == "k1.consent")
    refused = {"system": canonical.code_system("consent"), "code": "consent-none"}
    consent["answer"] = [{"valueCoding": refused}]
    changed = author.put(f"/{made['QuestionnaireResponse']}", form)
    assert refusal(changed) == (403, "HUB-CON-006")
    del form["id"], form["meta"]
    added = author.post("/QuestionnaireResponse", form)
    assert refusal(added) == (403, "HUB-CON-006")


def test_no_second_person_hides_inside_a_resource(hub, source):
    before = stored(hub)
    inside = {"resourceType": "Patient", "id": "x", "name": [{"text": "架空 次郎"}]}
    over = {"contained": [inside], "supportingInfo": [{"reference": "#x"}]}
    answer = source.post("", a_referral(request=over))
    assert refusal(answer) == (422, "HUB-REF-017")
    assert stored(hub) == before


def test_G11_a_referral_number_of_another_sender_tells_nothing(source, stranger):
    number = f"KH-{uuid.uuid4().hex}"
    whole = {"X-Correlation-ID": number, "Prefer": "return=representation"}
    for sender in (stranger, source):
        answer = sender.post("", a_referral(), headers=whole)
        task = next(
            e["resource"]
            for e in answer.json()["entry"]
            if e["resource"]["resourceType"] == "Task"
        )
        assert task["groupIdentifier"]["value"] == number
