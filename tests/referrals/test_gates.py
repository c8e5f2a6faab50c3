"""What is let in and where it goes, over HTTP: consent gate A, routing, programmes."""

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hub.audit.tables import audit_event
from hub.directory.ask import StoredDirectory
from hub.disclosure.tables import case, case_resource, grant
from hub.fhir import canonical
from hub.store.tables import resource
from tests.referrals.build import (
    FAR,
    NEAR,
    OUTSIDE,
    PHONE_CALL,
    PROVIDER,
    PSYCHIATRIC,
    Referral,
    answered,
    coded,
    entry,
    reason,
    refusal,
    sent,
    state,
)

CENTRE = "kagoshima-shi"
FORM_CONSENT = canonical.code_system("consent")


def posted(hub, source="4619999917", **over):
    return hub.caller(source, "source").post("", Referral(**over).bundle())


def rows(hub):
    with hub.database.transaction(write=False) as session:
        return {
            table.name: session.execute(
                select(func.count()).select_from(table)
            ).scalar_one()
            for table in (case, case_resource, grant, resource)
        }


def denials(hub):
    with hub.database.transaction(write=False) as session:
        bodies = session.execute(select(audit_event.c.body)).scalars().all()
    return [bytes(body) for body in bodies if b"HUB-CON-001" in bytes(body)]


def test_KG_04_without_any_consent_nothing_is_kept_but_an_audited_refusal(hub):
    before, audited = rows(hub), denials(hub)
    answer = posted(hub, givers=(), name="架空 無同意")
    assert refusal(answer) == (403, ["HUB-CON-001"])
    assert "リーフレット" in answer.text
    assert rows(hub) == before
    (new,) = set(denials(hub)) - set(audited)
    assert "無同意".encode() not in new


def test_KG_03_a_person_who_was_asked_and_did_not_agree_leaves_it_to_the_family(hub):
    bundle = Referral(givers=("person", "family")).bundle()
    person = next(
        e["resource"]
        for e in bundle["entry"]
        if e["resource"]["resourceType"] == "Consent"
    )
    person["status"] = "rejected"
    caller = hub.caller("4619999917", "source")
    assert caller.post("", bundle).status_code == 200
    person["status"], person["provision"] = "active", {"type": "deny"}
    assert refusal(caller.post("", bundle)) == (403, ["HUB-CON-006"])


def test_a_family_consent_needs_the_relationship(hub):
    answer = posted(hub, givers=("family",), relationship=False)
    assert refusal(answer) == (403, ["HUB-CON-004"])


def test_a_sheet_that_says_no_beside_a_consent_that_permits_is_refused(hub):
    def marked(code):
        coding = {"system": _consenter(hub), "code": code}
        return [{"linkId": "k1", "item": [answered("k1.consent", valueCoding=coding)]}]

    assert posted(hub, answers=marked("consent-person")).status_code == 200
    for code in ("consent-none", "consent-family"):
        assert refusal(posted(hub, answers=marked(code))) == (403, ["HUB-CON-006"])


def _consenter(hub):
    path = Path(hub.settings.profiles) / "questionnaires" / "k1.json"
    items = json.loads(path.read_text("utf-8"))["item"][0]["item"]
    item = next(i for i in items if i["linkId"] == "k1.consent")
    return item["answerOption"][0]["valueCoding"]["system"]


@pytest.mark.parametrize(
    "period",
    [
        {"start": "2020", "end": "2020-12"},
        {"start": "2999-01-01"},
        {"end": "2020-02-29T23:59:59+09:00"},
    ],
)
def test_a_consent_outside_its_period_opens_nothing(hub, period):
    provision = {"type": "permit", "period": period}
    answer = posted(hub, consent={"provision": provision})
    assert refusal(answer) == (403, ["HUB-CON-005"])


@pytest.mark.parametrize(
    "end",
    [
        "2026-02-30",
        "9999-12-31",
        "9999",
        "2026-13",
        "2026",
        "2026-99-99T99:99:99Z",
        "x",
    ],
)
def test_a_date_that_does_not_exist_is_never_a_500(hub, end):
    provision = {"type": "permit", "period": {"end": end}}
    answer = posted(hub, consent={"provision": provision})
    assert answer.status_code in (200, 400, 403, 422), answer.text


def test_KG_15_a_consent_for_another_purpose_is_refused(hub):
    research = {
        "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
        "code": "HRESCH",
    }
    provision = {"type": "permit", "purpose": [research]}
    answer = posted(hub, consent={"provision": provision})
    assert refusal(answer) == (403, ["HUB-CON-009"])


def test_a_consent_that_names_another_recipient_is_refused(hub):
    def naming(organisation):
        role = coded(
            "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"
        )
        reference = {"reference": f"Organization/{organisation}"}
        actor = {"role": role, "reference": reference}
        return {"provision": {"type": "permit", "actor": [actor]}}

    assert refusal(posted(hub, consent=naming("naze"))) == (403, ["HUB-CON-007"])
    assert posted(hub, consent=naming(CENTRE)).status_code == 200


def test_a_condition_the_hub_cannot_keep_is_no_consent(hub):
    provision = {
        "type": "permit",
        "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Patient"}],
    }
    answer = posted(hub, consent={"provision": provision})
    assert refusal(answer) == (403, ["HUB-CON-014"])


def test_a_consent_about_somebody_else_is_refused(hub):
    bundle = Referral().bundle()
    other = {"reference": "Patient/somebody-else"}
    consent = bundle["entry"][2]["resource"]
    assert consent["resourceType"] == "Consent"
    consent["patient"] = consent["performer"][0] = other
    answer = hub.caller("4619999917", "source").post("", bundle)
    assert answer.status_code in (400, 403, 422)


def test_KG_18_an_empty_form_is_accepted(hub):
    referral = sent(hub, answers=None, address=None)
    assert state(referral.child(CENTRE)) == ("requested", "address-unknown")
    assert referral.child(CENTRE)["owner"]["reference"].endswith(CENTRE)


def test_KG_02_an_attempt_without_intent_is_accepted(hub):
    coding = {
        "system": canonical.code_system("so-no-unknown"),
        "code": "so-no-unknown-not-so",
    }
    inside = [answered("k1.int.intent", valueCoding=coding)]
    items = [{"linkId": "k1", "item": [{"linkId": "k1.int", "item": inside}]}]
    assert posted(hub, answers=items).status_code == 200


def test_KG_01_KG_22_a_psychiatric_hospital_states_the_need(hub):
    need = [coded(canonical.REFERRAL_REASON, "needs-community-support")]
    assert refusal(posted(hub, PSYCHIATRIC)) == (422, ["HUB-REF-013"])
    assert posted(hub, PSYCHIATRIC, request={"reasonCode": need}).status_code == 200
    assert posted(hub, "4619999925").status_code == 200
    assert refusal(posted(hub, PROVIDER, address=NEAR)) == (422, ["HUB-REF-012"])


def test_KG_12_without_a_wish_the_person_is_advised_and_nothing_is_kept(hub):
    before = rows(hub)
    assert refusal(posted(hub, address=OUTSIDE)) == (422, ["HUB-REF-014"])
    assert rows(hub) == before


def test_KG_12_with_the_wish_the_hospitals_own_centre_receives(hub):
    wish = {"extension": [{"url": canonical.NEAREST_CENTRE, "valueBoolean": True}]}
    referral = sent(hub, address=OUTSIDE, request=wish)
    task = referral.child(CENTRE)
    codes = [c["code"] for i in task["input"] for c in i["type"]["coding"]]
    assert "onward-desk" not in codes


def test_KG_11_the_hospitals_centre_receives_and_reads_where_to_pass_it_on(hub):
    task = sent(hub, address=FAR).child(CENTRE)
    onward = [
        i for i in task["input"] if i["type"]["coding"][0]["code"] == "onward-desk"
    ]
    assert onward[0]["valueReference"]["reference"] == "HealthcareService/aira"


def test_D_21_an_unconfirmed_row_is_shown_but_not_what_a_transfer_follows(hub):
    with hub.database.transaction(write=False) as session:
        row = next(r for r in StoredDirectory(session).jurisdictions("46204"))
    assert not row.is_certain
    address = "鹿児島県枕崎市千代田町27"
    referral = sent(hub, address=address)
    task = referral.child(CENTRE)
    codes = [c["code"] for i in task["input"] for c in i["type"]["coding"]]
    assert "onward-desk-unconfirmed" in codes
    assert "onward-desk" not in codes
    centre = hub.caller(CENTRE, "recipient")
    passed = {
        "status": "rejected",
        "statusReason": reason("lives-elsewhere"),
        "businessStatus": coded(canonical.BUSINESS_STATUS, "transferred"),
    }
    assert refusal(centre.change(task, **passed)) == (422, ["HUB-REF-005"])
    desk = {"reference": f"HealthcareService/{row.desk.id}"}
    proposal = entry("proposed-desk", valueReference=desk)
    centre.move(task, **passed, output=[proposal])


def test_the_receiver_need_not_be_named_and_a_foreign_requester_is_refused(hub):
    request = {"requester": {"reference": "Organization/4619999925"}}
    assert refusal(posted(hub, request=request)) == (422, ["HUB-REF-011"])


def test_D_19_a_desk_the_sender_names_is_no_route(hub):
    desk = {"reference": "HealthcareService/naze"}
    named = [
        entry(code, valueReference=desk) for code in ("onward-desk", "proposed-desk")
    ]
    claimed = coded(canonical.BUSINESS_STATUS, "visited")
    referral = sent(hub, inputs=[PHONE_CALL, *named], task={"businessStatus": claimed})
    assert state(referral.parent()) == ("requested", None)
    task = referral.child(CENTRE)
    codes = [i["type"]["coding"][0]["code"] for i in task["input"]]
    assert codes == ["phone-call", "proposed-desk", "routing-trace"]
    passed = {
        "status": "rejected",
        "statusReason": reason("lives-elsewhere"),
        "businessStatus": coded(canonical.BUSINESS_STATUS, "transferred"),
    }
    centre = hub.caller(CENTRE, "recipient")
    assert refusal(centre.change(task, **passed)) == (422, ["HUB-REF-005"])
    later = referral.source.change(referral.child(), input=[*task["input"], named[0]])
    assert refusal(later) == (422, ["HUB-REF-004"])


def test_the_senders_own_priority_is_kept_where_the_programme_has_no_rule(hub):
    referral = sent(hub, task={"priority": "urgent"})
    assert referral.child(CENTRE)["priority"] == "urgent"


def lifelink(channel="ch-ikizurabit", **over):
    coding = {"system": canonical.code_system("lifelink-channel"), "code": channel}
    return {
        "programme": "lifelink",
        "form": "ll",
        "address": "鹿児島県霧島市国分中央3-45-1",
        "inputs": (),
        "answers": [
            {
                "linkId": "ll",
                "item": [
                    answered("ll.channel", valueCoding=coding),
                    answered("ll.consent", valueBoolean=True),
                ],
            }
        ],
    } | over


def test_LL_04_under_an_agreement_the_municipality_of_residence_receives(hub):
    referral = sent(hub, PROVIDER, **lifelink())
    task = referral.child("muni-46218")
    assert task["owner"]["reference"] == "HealthcareService/muni-46218-tsunagi"
    assert state(task) == ("requested", None)


def test_LL_04_without_consent_nothing_is_handed_over(hub):
    answer = posted(hub, PROVIDER, **lifelink(givers=()))
    assert refusal(answer) == (403, ["HUB-CON-001"])
    family = posted(hub, PROVIDER, **lifelink(givers=("family",)))
    assert refusal(family)[0] == 403


def test_LL_04_without_an_agreement_nothing_is_handed_over(hub):
    answer = posted(hub, PROVIDER, **lifelink(address=OUTSIDE))
    assert refusal(answer) == (422, ["HUB-REF-033"])


@pytest.mark.parametrize("address", ["鹿児島県薩摩川内市神田町3-22", "鹿児島県鹿屋市"])
def test_LL_01_the_prefecture_stands_in_for_a_municipality_without_agreement(
    hub, address
):
    referral = sent(hub, PROVIDER, **lifelink(address=address))
    task = referral.child("pref-46")
    assert task["owner"]["reference"] == "HealthcareService/pref-46-tsunagi"


@pytest.mark.parametrize(
    ("channel", "priority"),
    [
        ("ch-inochi-muni", "urgent"),
        ("ch-inochi-tel", "routine"),
        ("ch-inochi-sns", "routine"),
    ],
)
def test_LL_08_only_the_dedicated_account_is_urgent(hub, channel, priority):
    claimed = {"priority": "urgent"}
    referral = sent(hub, PROVIDER, **lifelink(channel, task=claimed))
    assert referral.child("muni-46218")["priority"] == priority
    assert referral.parent()["priority"] == priority


def test_LL_01_a_municipality_that_declines_is_followed_by_the_prefecture(hub):
    referral = sent(hub, PROVIDER, **lifelink())
    town = hub.caller("muni-46218", "recipient")
    task = referral.child("muni-46218")
    town.move(task, status="rejected", statusReason=reason("capacity"))
    assert state(referral.parent()) == ("received", "rerouting")
    assert town.get(f"/Task/{task['id']}").status_code == 404
    prefecture = hub.caller("pref-46", "recipient")
    task = referral.child("pref-46")
    assert task["owner"]["reference"] == "HealthcareService/pref-46-tsunagi"
    prefecture.move(task, status="rejected", statusReason=reason("capacity"))
    assert state(referral.parent()) == ("rejected", "declined")
