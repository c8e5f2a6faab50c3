"""Transfers over HTTP: before and after acceptance, warm, refused; who sees what."""

import itertools

import pytest

from hub.actor import Actor
from hub.changes import By, put
from hub.fhir import canonical, dates
from tests.referrals.build import (
    FAR,
    business,
    code_of_desk,
    entry,
    explaining,
    reason,
    refusal,
    sent,
    state,
)

FIRST, SECOND = "kagoshima-shi", "aira"


def to(desk):
    return entry(
        "proposed-desk", valueReference={"reference": f"HealthcareService/{desk}"}
    )


PASSED = {
    "businessStatus": business("transferred"),
    "statusReason": reason("lives-elsewhere"),
}


@pytest.fixture
def first(hub):
    return hub.caller(FIRST, "recipient")


@pytest.fixture
def second(hub):
    return hub.caller(SECOND, "recipient")


def test_KG_11_a_transfer_before_acceptance_follows_the_router(hub, first, second):
    referral = sent(hub, address=FAR)
    old = referral.child(FIRST)
    assert refusal(
        first.change(old, status="rejected", businessStatus=business("transferred"))
    ) == (422, ["HUB-REF-003"])
    first.move(old, status="rejected", **PASSED)
    new = referral.child(SECOND)
    assert new["id"] != old["id"]
    assert code_of_desk(new) == SECOND
    assert state(new) == ("requested", None)
    assert new["groupIdentifier"] == old["groupIdentifier"]
    assert new["focus"] == old["focus"]
    replaces = [
        e["valueReference"]["reference"]
        for e in new["extension"]
        if e["url"] == canonical.TASK_REPLACES
    ]
    assert replaces == [f"Task/{old['id']}"]
    assert state(referral.parent()) == ("requested", "transferring")
    second.move(new, status="accepted")
    assert state(referral.parent()) == ("accepted", None)


def test_a_transfer_after_acceptance_ends_the_old_task_as_failed(hub, first, second):
    referral = sent(hub)
    task = first.move(referral.child(FIRST), status="accepted")
    task = first.move(
        task, status="in-progress", businessStatus=business("contact-attempted")
    )
    work = entry("work-done", valueString="電話で二回話した")
    first.move(task, status="failed", **PASSED, output=[work, to(SECOND)])
    assert state(referral.parent()) == ("in-progress", "transferring")
    second.move(referral.child(SECOND), status="accepted")
    assert referral.parent()["status"] == "in-progress", "the parent never moves back"


def test_a_warm_transfer_keeps_the_old_desk_until_the_new_one_accepts(
    hub, first, second
):
    referral = sent(hub)
    old = first.move(referral.child(FIRST), status="accepted")
    old = first.move(
        old,
        businessStatus=business("transferring"),
        statusReason=reason("capacity"),
        output=[to(SECOND)],
    )
    assert old["status"] == "accepted"
    new = referral.child(SECOND)
    assert {t["id"] for t in referral.children()} == {old["id"], new["id"]}
    assert first.get(f"/Patient/{referral.patient}").status_code == 200
    assert second.get(f"/Patient/{referral.patient}").status_code == 200
    assert state(referral.parent()) == ("accepted", "transferring")
    second.move(new, status="accepted")
    old = first.read(f"/Task/{old['id']}")
    assert state(old) == ("failed", "transferred")
    assert first.get(f"/QuestionnaireResponse/{referral.form}").status_code == 404
    assert state(referral.parent()) == ("accepted", None)


def test_a_warm_transfer_that_is_declined_leaves_the_old_desk_in_charge(
    hub, first, second
):
    referral = sent(hub)
    old = first.move(referral.child(FIRST), status="accepted")
    first.move(
        old,
        businessStatus=business("transferring"),
        statusReason=reason("capacity"),
        output=[to(SECOND)],
    )
    second.move(
        referral.child(SECOND), status="rejected", statusReason=reason("capacity")
    )
    old = first.read(f"/Task/{old['id']}")
    assert state(old) == ("accepted", None)
    assert state(referral.parent()) == ("accepted", None)
    again = first.change(
        old,
        businessStatus=business("transferring"),
        statusReason=reason("capacity"),
        output=[to(SECOND)],
    )
    assert refusal(again) == (422, ["HUB-REF-006"])
    first.move(
        old,
        businessStatus=business("transferring"),
        statusReason=reason("capacity"),
        output=[to(SECOND), to("kanoya")],
    )
    assert code_of_desk(referral.child("kanoya")) == "kanoya"


def test_a_loop_is_refused_and_nothing_of_it_is_kept(hub, first, second):
    referral = sent(hub, address=FAR)
    first.move(referral.child(FIRST), status="rejected", **PASSED)
    new = referral.child(SECOND)
    back = second.change(new, status="rejected", **PASSED, output=[to(FIRST)])
    assert refusal(back) == (422, ["HUB-REF-006"])
    assert second.read(f"/Task/{new['id']}") == new
    assert len(referral.children()) == 2


def test_a_chain_of_transfers_has_an_end(hub):
    referral = sent(hub)
    chain = [FIRST, SECOND, "kanoya", "naze", "ibusuki", "izumi", "ookuchi"]
    desks = _desks(hub)
    chain = [desk for desk in chain if desk in desks]
    chain += [d for d in sorted(desks) if d not in chain]
    for here, there in itertools.pairwise(chain[:6]):
        caller = hub.caller(desks[here], "recipient")
        task = referral.child(desks[here])
        caller.move(task, status="rejected", **PASSED, output=[to(there)])
    last = hub.caller(desks[chain[5]], "recipient")
    refused = last.change(
        referral.child(desks[chain[5]]),
        status="rejected",
        **PASSED,
        output=[to(chain[6])],
    )
    assert refusal(refused) == (422, ["HUB-REF-007"])


def _desks(hub):
    found = hub.caller(FIRST, "recipient").search("/HealthcareService?_count=200")
    organisation = {
        one["id"]: one["providedBy"]["reference"].removeprefix("Organization/")
        for one in found
    }
    centres = {
        one["id"]
        for one in hub.caller(FIRST, "recipient").search("/Organization?_count=200")
        if any(
            c.get("code") == "health-centre"
            for t in one.get("type", ())
            for c in t.get("coding", ())
        )
    }
    return {d: o for d, o in organisation.items() if o in centres}


def test_a_transfer_names_a_desk_that_exists_and_that_the_consent_can_mean(hub, first):
    referral = sent(hub)
    task = referral.child(FIRST)
    for outputs, found in (
        ([], "HUB-REF-005"),
        ([to("nowhere")], "HUB-REF-018"),
        ([to("muni-46218-tsunagi")], "HUB-REF-029"),
    ):
        refused = first.change(
            task, status="rejected", **PASSED, output=outputs or None
        )
        assert refusal(refused) == (422, [found])
    assert first.read(f"/Task/{task['id']}") == task


def test_KG_14_without_explanation_item_7_nothing_is_passed_on(hub, first, second):
    referral = sent(
        hub, address=FAR, consent={"extension": explaining(1, 2, 3, 4, 5, 6)}
    )
    task = referral.child(FIRST)
    refused = first.change(task, status="rejected", **PASSED)
    assert refusal(refused) == (403, ["HUB-CON-008"])
    assert second.get(f"/Patient/{referral.patient}").status_code == 404
    # The centre explains it, obtains consent, and may then pass the case on.
    consent = first.read(f"/Consent/{referral.consents[0]}")
    new = {k: v for k, v in consent.items() if k not in ("id", "meta")}
    new |= {"extension": explaining(1, 5, 6, 7)}
    assert refusal(first.post("/Consent", new)) == (422, ["HUB-CON-031"])
    made = first.post("/Consent", new | {"dateTime": dates.today().isoformat()})
    assert made.status_code == 201, made.text
    first.move(first.read(f"/Task/{task['id']}"), status="rejected", **PASSED)
    assert second.get(f"/Patient/{referral.patient}").status_code == 200


def test_gate_B_asks_the_consent_again_at_acceptance(hub, first):
    referral = sent(hub)
    task = referral.child(FIRST)
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    consent["provision"]["period"] = {"end": "2999-01-01"}
    assert referral.source.put(f"/Consent/{consent['id']}", consent).status_code == 200
    first.move(task, status="accepted")


def test_G4_who_sees_what_at_every_step(hub, first, second):
    stranger = hub.caller("naze", "recipient")
    referral = sent(hub, address=FAR)

    def seen(caller):
        return [caller.get(f"/{ref}").status_code == 200 for ref in referral.refs]

    everything, nothing = [True] * 5, [False] * 5
    assert seen(referral.source) == everything
    assert (seen(first), seen(second), seen(stranger)) == (everything, nothing, nothing)
    old = first.move(referral.child(FIRST), status="accepted")
    record = _record(referral)
    made = first.post("/QuestionnaireResponse", record).json()
    assert (
        referral.source.get(f"/QuestionnaireResponse/{made['id']}").status_code == 404
    )
    first.move(old, status="failed", **PASSED, output=[to(SECOND)])
    # Patient and Tasks stay with the former centre, for its own report (KG-09).
    assert seen(first) == [True, False, False, False, True]
    assert first.get(f"/QuestionnaireResponse/{made['id']}").status_code == 404
    assert seen(second) == everything
    assert second.get(f"/QuestionnaireResponse/{made['id']}").status_code == 200
    assert seen(stranger) == nothing
    # What the former centre still writes does not enter the case.
    late = first.post("/QuestionnaireResponse", record).json()
    assert second.get(f"/QuestionnaireResponse/{late.get('id')}").status_code == 404
    late = first.change(first.read(f"/Task/{old['id']}"), status="in-progress")
    assert refusal(late) == (409, ["HUB-REF-001"])
    other = referral.child(SECOND)
    meddled = first.change(other, status="accepted")
    assert refusal(meddled) == (403, ["HUB-REF-002"])
    assert refusal(first.change(other)) == (403, ["HUB-REF-002"])


def test_G4_hidden_and_absent_answer_alike(hub):
    stranger = hub.caller("naze", "recipient")
    referral = sent(hub)
    task = referral.child(FIRST)
    hidden, absent = f"/Task/{task['id']}", "/Task/00000000-0000-4000-8000-000000000000"
    for path in ("", "/_history", "/_history/1"):
        one, other = stranger.get(hidden + path), stranger.get(absent + path)
        assert (one.status_code, one.content) == (404, other.content)
    put = [
        stranger.put(path, task | {"id": path.removeprefix("/Task/")})
        for path in (hidden, absent)
    ]
    assert put[0].status_code == put[1].status_code == 405
    assert put[0].content == put[1].content
    assert stranger.search(f"/Task?_id={task['id']}") == []


def test_a_desk_that_takes_no_new_requests_still_ends_its_own(hub):
    by = By(Actor("hub", "tsunagi-hub", roles=frozenset({"hub"})))
    centre = hub.caller("naze", "recipient")
    referral = sent(hub, address="鹿児島県奄美市名瀬幸町25-8")
    hub.caller(FIRST, "recipient").move(
        referral.child(FIRST), status="rejected", **PASSED
    )
    desk = centre.read("/HealthcareService/naze")
    try:
        with hub.database.transaction() as session:
            put(session, by, desk | {"active": False})
        centre.move(referral.child("naze"), status="received")
    finally:
        with hub.database.transaction() as session:
            put(session, by, desk)


def _record(referral):
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": {"reference": f"Patient/{referral.patient}"},
    }
