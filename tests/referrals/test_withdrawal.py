"""Consent withdrawn (gate D, security.md §3): evidence is what the receiver got."""

import json
import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from hub.app import make_hub
from hub.audit.tables import audit_event, audit_seal
from hub.delivery import operate, outbox
from hub.disclosure import grants
from hub.fhir import dates
from hub.referrals import withdraw
from tests.referrals.build import (
    FAR,
    HOSPITAL,
    a_consent,
    business,
    coded,
    entry,
    reason,
    refusal,
    sent,
    state,
)
from tests.referrals.receiver import a_worker, deliver_all, receiving

FIRST, SECOND = "kagoshima-shi", "aira"
TOLD = {"Prefer": "return=OperationOutcome"}


@pytest.fixture
def first(hub):
    return hub.caller(FIRST, "recipient")


def withdraw_by(caller, referral, number=0, **headers):
    consent = caller.read(f"/Consent/{referral.consents[number]}")
    return caller.put(
        f"/Consent/{consent['id']}", consent | {"status": "inactive"}, headers=headers
    )


def is_hidden(caller, referral):
    return [caller.get(f"/{ref}").status_code for ref in referral.refs] == [404] * 5


def outbox_of(hub, referral):
    with hub.database.transaction(write=False) as session:
        return operate.find(session, case=referral.case)


@pytest.mark.parametrize("who", ["source", "recipient"])
def test_source_and_recipient_may_withdraw_and_every_door_closes(hub, first, who):
    referral = sent(hub)
    caller = referral.source if who == "source" else first
    assert withdraw_by(caller, referral).status_code == 200
    assert is_hidden(first, referral)
    assert first.search(f"/Task?part-of=Task/{referral.parent_id}") == []
    shown = [referral.source.get(f"/{ref}").status_code for ref in referral.refs]
    assert shown == [404, 404, 404, 404, 200], "the sender sees the status alone"
    assert state(referral.parent()) == ("cancelled", "consent-withdrawn")
    assert state(referral.child()) == ("cancelled", "consent-withdrawn")


def test_nobody_else_may_withdraw_and_a_recipient_changes_nothing_else(hub, first):
    referral = sent(hub)
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    stranger = hub.caller("naze", "recipient")
    answer = stranger.put(f"/Consent/{consent['id']}", consent | {"status": "inactive"})
    assert answer.status_code == 405
    wider = consent | {"provision": {"type": "permit"}}
    assert refusal(first.put(f"/Consent/{consent['id']}", wider)) == (
        403,
        ["HUB-CON-016"],
    )
    both = consent | {"status": "inactive", "provision": {"type": "deny"}}
    assert refusal(first.put(f"/Consent/{consent['id']}", both))[1] == ["HUB-CON-016"]
    assert state(referral.parent()) == ("requested", None)


def test_a_new_refusal_of_the_person_ends_a_case_under_a_family_consent(hub, first):
    referral = sent(hub, givers=("family",))
    person = f"Patient/{referral.patient}"
    refusing = a_consent("person", person, "", provision={"type": "deny"})
    assert first.post("/Consent", refusing).status_code == 201
    assert is_hidden(first, referral)
    assert state(referral.parent()) == ("cancelled", "consent-withdrawn")


def test_D_02_a_person_who_withdraws_is_not_overridden_by_the_family(hub, first):
    referral = sent(hub, givers=("person", "family"))
    assert withdraw_by(referral.source, referral, 0).status_code == 200
    assert is_hidden(first, referral)


def test_one_of_two_givers_of_the_family_leaves_the_persons_consent(hub, first):
    referral = sent(hub, givers=("person", "family"))
    assert withdraw_by(referral.source, referral, 1).status_code == 200
    assert not is_hidden(first, referral)
    assert state(referral.parent()) == ("requested", None)


def test_what_had_begun_fails_and_what_had_not_is_cancelled(hub, first):
    referral = sent(hub)
    task = first.move(referral.child(FIRST), status="accepted")
    first.move(task, status="in-progress")
    withdraw_by(first, referral)
    assert state(referral.parent()) == ("failed", "consent-withdrawn")


def test_a_new_name_in_the_consent_closes_the_desk_it_no_longer_means(hub, first):
    referral = sent(hub)
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    role = {"text": "情報を受ける者"}
    other = {"role": role, "reference": {"reference": "Organization/naze"}}
    consent["provision"]["actor"] = [other]
    assert referral.source.put(f"/Consent/{consent['id']}", consent).status_code == 200
    assert is_hidden(first, referral)
    assert referral.source.get(f"/Patient/{referral.patient}").status_code == 200
    assert state(referral.parent()) == ("cancelled", "consent-withdrawn")


def test_the_answer_lists_who_holds_a_copy(hub, first):
    unread = sent(hub)
    told = withdraw_by(unread.source, unread, **TOLD).json()
    codes = [i["details"]["coding"][0]["code"] for i in told["issue"]]
    assert codes[-1] == "HUB-CON-023"
    read = sent(hub)
    assert first.get(f"/Patient/{read.patient}").status_code == 200
    told = withdraw_by(read.source, read, **TOLD).json()
    warning = told["issue"][-1]
    assert warning["severity"] == "warning"
    assert FIRST in warning["details"]["text"]
    held = [
        o["valueReference"]["reference"]
        for o in read.parent()["output"]
        if o["type"]["coding"][0]["code"] == "holder"
    ]
    assert held == [f"Organization/{FIRST}"]


def test_the_withdrawal_is_sealed_when_it_is_acknowledged(hub):
    referral = sent(hub)
    assert withdraw_by(referral.source, referral).status_code == 200
    with hub.database.transaction(write=False) as session:
        bodies = session.execute(
            select(audit_event.c.body, audit_seal.c.seq)
            .outerjoin(audit_seal, audit_seal.c.event == audit_event.c.id)
            .where(audit_event.c.patient == f"Patient/{referral.patient}")
        ).all()
    changed = [
        seq
        for body, seq in bodies
        if f"Consent/{referral.consents[0]}/_history/2" in bytes(body).decode()
    ]
    assert len(changed) == 1
    assert changed[0] is not None


def test_C1_withdrawn_before_the_worker_looks_nothing_leaves(hub):
    with receiving(hub, FIRST, HOSPITAL) as receiver:
        referral = sent(hub)
        withdraw_by(referral.source, referral)
        waiting = outbox_of(hub, referral)
        referrals = [m for m in waiting if m.kind == "referral"]
        assert {(m.status, m.body) for m in referrals} == {("withdrawn", None)}
        deliver_all(a_worker(hub, receiver))
        assert receiver.bodies.get(FIRST) is None
        for body in receiver.bodies[HOSPITAL]:
            assert "見本" not in body.decode()
            assert referral.patient not in body.decode()


def test_C2_withdrawn_after_the_claim_nothing_leaves(hub):
    with receiving(hub, FIRST) as receiver:
        referral = sent(hub)
        claimed = outbox.claim(hub.database, "w-1", 50, dates.now())
        mine = [m for m in claimed if m.case == referral.case]
        withdraw_by(referral.source, referral)
        with hub.database.transaction() as session:
            for message in mine:
                started = outbox.start_sending(
                    session, message, grants.are_open, dates.now()
                )
                assert started in ("lost", "withdrawn")
        deliver_all(a_worker(hub, receiver))
        assert receiver.bodies == {}
        assert mine


def test_C3_withdrawn_during_a_slow_send_a_retraction_follows_and_no_retry(hub):
    with receiving(hub, FIRST) as receiver:
        receiver.wait_at_gate()
        receiver.status = 503
        referral = sent(hub)
        worker = a_worker(hub, receiver)
        sending = threading.Thread(target=worker.deliver_next)
        sending.start()
        assert receiver.arrived.wait(10)
        told = withdraw_by(referral.source, referral, **TOLD).json()
        assert FIRST in told["issue"][-1]["details"]["text"]
        receiver.gate.set()
        sending.join()
        receiver.status = 200
        _no_rest(hub)
        deliver_all(worker)
        kinds = [_kind(json.loads(body)) for body in receiver.bodies[FIRST]]
        assert kinds == ["referral", "retraction"]
        retraction = receiver.bodies[FIRST][-1].decode()
        assert "見本" not in retraction
        assert referral.patient not in retraction
        message = next(m for m in outbox_of(hub, referral) if m.kind == "referral")
        assert (message.status, message.body, message.sends) == ("withdrawn", None, 1)


def test_C4_withdrawn_between_two_attempts_there_is_no_further_one(hub):
    with receiving(hub, FIRST) as receiver:
        receiver.status = 503
        referral = sent(hub)
        worker = a_worker(hub, receiver)
        deliver_all(worker)
        assert len(receiver.bodies[FIRST]) == 1
        withdraw_by(referral.source, referral)
        receiver.status = 200
        _no_rest(hub)
        deliver_all(worker)
        assert [_kind(json.loads(b)) for b in receiver.bodies[FIRST]] == [
            "referral",
            "retraction",
        ]


def test_C5_a_token_older_than_the_withdrawal_reads_nothing(hub, first):
    referral = sent(hub)
    assert first.get(f"/Patient/{referral.patient}").status_code == 200
    withdraw_by(referral.source, referral)
    assert first.get(f"/Patient/{referral.patient}").status_code == 404
    absent = first.get("/Patient/00000000-0000-4000-8000-000000000000")
    assert first.get(f"/Patient/{referral.patient}").content == absent.content


def test_a_retraction_goes_to_each_holder_and_to_nobody_else(hub, first):
    with receiving(hub, FIRST, SECOND, "naze") as receiver:
        worker = a_worker(hub, receiver)
        referral = sent(hub, address=FAR)
        deliver_all(worker)
        first.move(
            referral.child(FIRST),
            status="rejected",
            businessStatus=business("transferred"),
            statusReason=reason("lives-elsewhere"),
        )
        withdraw_by(referral.source, referral)
        deliver_all(worker)
        got = {
            one: [_kind(json.loads(body)) for body in bodies]
            for one, bodies in receiver.bodies.items()
        }
        # The second centre's copy never left; the first had one, and is told.
        assert got == {FIRST: ["referral", "retraction"]}


def test_a_retry_sends_the_same_bytes_under_the_same_id(hub):
    with receiving(hub, FIRST) as receiver:
        receiver.status = 503
        referral = sent(hub)
        worker = a_worker(hub, receiver)
        deliver_all(worker)
        receiver.status = 200
        _no_rest(hub)
        deliver_all(worker)
        one, two = receiver.bodies[FIRST]
        assert one == two
        assert json.loads(one)["_id"] == outbox_of(hub, referral)[0].id


def test_consent_ends_at_midnight_in_japan(hub, first):
    last = dates.today() + timedelta(days=1)
    provision = {"type": "permit", "period": {"end": last.isoformat()}}
    referral = sent(hub, consent={"provision": provision})
    midnight = datetime.combine(
        last + timedelta(days=1), datetime.min.time(), dates.JST
    )
    with hub.database.transaction(write=False) as session:
        before = grants.held(
            session, referral.case, FIRST, midnight - timedelta(milliseconds=1)
        )
        after = grants.held(session, referral.case, FIRST, midnight)
    assert len(before) == 1
    assert after == []
    knowledge = make_hub(hub.settings, hub.database).knowledge
    with hub.database.transaction() as session:
        early = midnight - timedelta(seconds=1)
        assert withdraw.expire(session, knowledge, early) == 0
        assert withdraw.expire(session, knowledge, midnight) >= 1
        assert withdraw.expire(session, knowledge, midnight) == 0
    with hub.database.transaction(write=False) as session:
        stored = grants.explain(session, referral.case)
        assert {g["closed_because"] for g in stored} == {"consent-expired", None}
        tomorrow = midnight + timedelta(hours=1)
        assert grants.held(session, referral.case, HOSPITAL, tomorrow)


def test_a_shorter_period_limits_the_grants_that_are_open(hub, first):
    referral = sent(hub)
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    day = dates.today() + timedelta(days=3)
    consent["provision"]["period"] = {"end": day.isoformat()}
    assert referral.source.put(f"/Consent/{consent['id']}", consent).status_code == 200
    with hub.database.transaction(write=False) as session:
        ends = {g["ends"] for g in grants.explain(session, referral.case)}
    after = datetime.combine(day + timedelta(days=1), datetime.min.time(), dates.JST)
    assert ends == {dates.micros(after)}
    consent["provision"]["period"] = {"end": "2020-01-01"}
    assert referral.source.put(f"/Consent/{consent['id']}", consent).status_code == 200
    assert is_hidden(first, referral)


def test_sent_in_error_is_recalled_from_every_holder(hub, first):
    second = hub.caller(SECOND, "recipient")
    with receiving(hub, FIRST, SECOND) as receiver:
        worker = a_worker(hub, receiver)
        referral = sent(hub, address=FAR)
        deliver_all(worker)
        first.move(
            referral.child(FIRST),
            status="rejected",
            businessStatus=business("transferred"),
            statusReason=reason("lives-elsewhere"),
        )
        deliver_all(worker)
        parent = referral.parent()
        bare = referral.source.change(parent, status="entered-in-error")
        assert refusal(bare) == (422, ["HUB-REF-003"])
        why = reason("entered-in-error") | {"text": "見本 花子さんではありませんでした"}
        referral.source.move(parent, status="entered-in-error", statusReason=why)
        deliver_all(worker)
        for organisation in (FIRST, SECOND):
            bodies = receiver.bodies[organisation]
            assert [_kind(json.loads(b)) for b in bodies] == ["referral", "retraction"]
            assert "見本" not in bodies[-1].decode()
    assert {t["status"] for t in referral.children()} == {"entered-in-error"}
    for caller in (first, second):
        # Not the status either: the sender's reason may name the person.
        shown = [caller.get(f"/{ref}").status_code for ref in referral.refs]
        assert shown == [404, 404, 404, 404, 404]


def test_a_cancelled_referral_that_never_left_is_erased_unsent(hub):
    with receiving(hub, FIRST) as receiver:
        referral = sent(hub)
        referral.source.move(
            referral.parent(), status="cancelled", statusReason=reason()
        )
        deliver_all(a_worker(hub, receiver))
        assert receiver.bodies == {}


def test_an_ended_case_may_still_be_withdrawn(hub, first):
    referral = sent(hub)
    task = first.move(referral.child(FIRST), status="accepted")
    task = first.move(task, status="in-progress")
    outcome = entry("outcome", valueString="終結")
    first.move(task, status="completed", output=[outcome])
    assert withdraw_by(first, referral).status_code == 200
    assert is_hidden(first, referral)
    assert referral.parent()["status"] == "completed"


def test_what_the_sender_asks_and_answers_is_brought_to_the_desk(hub, first):
    with receiving(hub, FIRST, HOSPITAL) as receiver:
        worker = a_worker(hub, receiver)
        referral = sent(hub)
        task = first.move(referral.child(FIRST), status="accepted")
        task = first.move(task, status="in-progress")
        abort = {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "code": coded("http://hl7.org/fhir/CodeSystem/task-code", "abort"),
            "focus": {"reference": f"Task/{task['id']}"},
            "for": {"reference": f"Patient/{referral.patient}"},
            "reasonCode": reason(),
        }
        assert referral.source.post("/Task", abort).status_code == 201
        deliver_all(worker)
        asked = json.loads(receiver.bodies[FIRST][-1])["entry"][-1]["resource"]
        assert asked["code"]["coding"][0]["code"] == "abort"
        # issue item 11: each move reached the sender, parent and child together.
        told = [json.loads(body)["entry"] for body in receiver.bodies[HOSPITAL]]
        moves = [{e["resource"]["status"] for e in entries} for entries in told]
        assert moves == [{"requested"}, {"accepted"}, {"in-progress"}]


def _kind(bundle):
    types = {one["resource"]["resourceType"] for one in bundle["entry"]}
    return "referral" if "Patient" in types else "retraction"


def _no_rest(hub):
    """Forget that the endpoint failed a moment ago, and let what is queued be due."""
    with hub.database.transaction() as session:
        session.exec_driver_sql("UPDATE endpoint_state SET retry_at = 0")
        session.exec_driver_sql("UPDATE outbox SET next_at = 0 WHERE status = 'queued'")
