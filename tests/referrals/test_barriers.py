"""The barriers C1-C6 again, where the consent ends by itself or the clock misbehaves.

What stands in test_withdrawal.py for an explicit withdrawal, here with expiry at
midnight in Japan, a clock that steps back, a worker that slept past its lease, and a
token older than the end. Evidence is what the receiver got (security.md §3).

There is no bulk export; C6 is held by what takes its place: pages fetched one after
another, and content fetched by a URL that was handed out before.
"""

import json
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
import time_machine

from hub.app import make_hub
from hub.delivery import operate, outbox
from hub.delivery.outbox import LEASE
from hub.disclosure import grants
from hub.fhir import dates
from hub.referrals import withdraw
from tests.referrals.build import HOSPITAL, business, reason, sent
from tests.referrals.receiver import a_worker, deliver_all, receiving
from tests.referrals.test_withdrawal import outbox_of, withdraw_by
from tests.restful.build import a_caller

FIRST = "kagoshima-shi"
SECOND_ = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def until_tonight(days=1):
    """A consent for today and so many days more, and the midnight that ends it."""
    last = dates.today() + timedelta(days=days)
    after = last + timedelta(days=1)
    midnight = datetime(after.year, after.month, after.day, tzinfo=dates.JST)
    provision = {"type": "permit", "period": {"end": last.isoformat()}}
    return {"provision": provision}, midnight


@contextmanager
def at(moment):
    with time_machine.travel(moment, tick=True):
        yield


def expire(hub, moment):
    knowledge = make_hub(hub.settings, hub.database).knowledge
    with hub.database.transaction() as session:
        return withdraw.expire(session, knowledge, moment)


def referrals_in(receiver):
    bundles = [json.loads(body) for body in receiver.bodies.get(FIRST, ())]
    return [
        bundle
        for bundle in bundles
        if any(e["resource"]["resourceType"] == "Patient" for e in bundle["entry"])
    ]


def let_all_be_due(hub):
    with hub.database.transaction() as session:
        session.exec_driver_sql("UPDATE endpoint_state SET retry_at = 0")
        session.exec_driver_sql("UPDATE outbox SET next_at = 0 WHERE status = 'queued'")


def status_of(hub, referral):
    return {m.status for m in outbox_of(hub, referral) if m.kind == "referral"}


# Expiry at midnight in Japan.


def test_C1_expired_before_the_claim_nothing_leaves(hub):
    with receiving(hub, FIRST) as receiver:
        consent, midnight = until_tonight()
        referral = sent(hub, consent=consent)
        with at(midnight):
            deliver_all(a_worker(hub, receiver))
        assert receiver.bodies.get(FIRST) is None
        assert status_of(hub, referral) == {"withdrawn"}


def test_C1_a_second_before_midnight_it_still_leaves(hub):
    with receiving(hub, FIRST) as receiver:
        consent, midnight = until_tonight()
        referral = sent(hub, consent=consent)
        with at(midnight - 30 * SECOND_):
            deliver_all(a_worker(hub, receiver))
        assert len(referrals_in(receiver)) == 1
        assert status_of(hub, referral) == {"delivered"}


def test_C2_expired_between_claim_and_send_nothing_leaves(hub):
    with receiving(hub, FIRST) as receiver:
        consent, midnight = until_tonight()
        referral = sent(hub, consent=consent)
        with at(midnight - SECOND_):
            claimed = outbox.claim(hub.database, "w-1", 50, dates.now())
        mine = [m for m in claimed if m.case == referral.case]
        assert mine
        with at(midnight), hub.database.transaction() as session:
            for message in mine:
                started = outbox.start_sending(
                    session, message, grants.are_open, dates.now()
                )
                assert started == "withdrawn"
        assert receiver.bodies == {}


def test_C3_C4_expired_during_a_slow_send_there_is_no_further_try(hub):
    with receiving(hub, FIRST) as receiver:
        receiver.wait_at_gate()
        receiver.status = 503
        consent, midnight = until_tonight()
        referral = sent(hub, consent=consent)
        number = referral.parent()["groupIdentifier"]["value"]
        worker = a_worker(hub, receiver)
        with at(midnight - 10 * SECOND_):
            sending = threading.Thread(target=worker.deliver_next)
            sending.start()
            assert receiver.arrived.wait(10)
        with at(midnight + SECOND_):
            receiver.gate.set()
            sending.join()
            receiver.status = 200
            let_all_be_due(hub)
            assert expire(hub, midnight + SECOND_) >= 1
            deliver_all(worker)
        # It may have arrived: the same endpoint is told that its copy is to go.
        assert len(referrals_in(receiver)) == 1
        _, told = receiver.of(FIRST, number)
        assert "見本" not in json.dumps(told, ensure_ascii=False)
        assert status_of(hub, referral) == {"withdrawn"}


def test_C5_a_token_from_before_midnight_reads_nothing_after(hub):
    consent, midnight = until_tonight()
    referral = sent(hub, consent=consent)
    with at(midnight - 60 * SECOND_):
        scope = "system/Patient.rs system/Task.rs system/QuestionnaireResponse.rs"
        caller = hub.caller(FIRST, "recipient", scope=scope)
        path = f"/Patient/{referral.patient}"
        known = caller.get(path).headers["ETag"]
        assert caller.get(path, headers={"If-None-Match": known}).status_code == 304
    with at(midnight + SECOND_):
        absent = caller.get("/Patient/never-there")
        for answer in (
            caller.get(path),
            caller.get(path, headers={"If-None-Match": known}),
            caller.get(f"{path}/_history/1"),
            caller.get(f"{path}/_history"),
        ):
            assert (answer.status_code, answer.content) == (404, absent.content)
        for query in (
            f"/Patient?_id={referral.patient}",
            f"/Task?patient=Patient/{referral.patient}",
            f"/QuestionnaireResponse?subject=Patient/{referral.patient}",
        ):
            assert caller.search(query) == []
    hub._callers.pop((FIRST, "recipient", scope))


# The clock steps back after the end.


def test_C1_C5_what_was_withdrawn_stays_so_when_the_clock_steps_back(hub):
    with receiving(hub, FIRST) as receiver:
        referral = sent(hub)
        first = hub.caller(FIRST, "recipient")
        assert withdraw_by(referral.source, referral).status_code == 200
        with at(dates.now() - 2 * HOUR):
            let_all_be_due(hub)
            deliver_all(a_worker(hub, receiver))
            assert first.get(f"/Patient/{referral.patient}").status_code == 404
            assert (
                referral.source.get(f"/Patient/{referral.patient}").status_code == 404
            )
        assert referrals_in(receiver) == []


def test_C4_no_further_try_when_the_clock_steps_back_after_a_withdrawal(hub):
    with receiving(hub, FIRST) as receiver:
        receiver.status = 503
        referral = sent(hub)
        worker = a_worker(hub, receiver)
        deliver_all(worker)
        withdraw_by(referral.source, referral)
        receiver.status = 200
        for hours in (1, 24, 24 * 365):
            with at(dates.now() - hours * HOUR):
                let_all_be_due(hub)
                deliver_all(worker)
        assert len(referrals_in(receiver)) == 1
        assert status_of(hub, referral) == {"withdrawn"}


def test_C1_a_consent_told_to_have_expired_is_not_open_again_before_midnight(hub):
    consent, midnight = until_tonight()
    referral = sent(hub, consent=consent)
    assert expire(hub, midnight) >= 1
    with hub.database.transaction(write=False) as session:
        early = midnight - 5 * HOUR
        assert grants.held(session, referral.case, FIRST, early) == []


# The worker slept past its lease.


@pytest.mark.parametrize("how", ["withdrawn", "expired"])
def test_C2_a_worker_that_wakes_past_its_lease_sends_nothing(hub, how):
    with receiving(hub, FIRST) as receiver:
        consent, midnight = until_tonight()
        referral = sent(hub, consent=consent)
        with at(midnight - SECOND_):
            claimed = outbox.claim(hub.database, "w-1", 50, dates.now())
        mine = [m for m in claimed if m.case == referral.case]
        assert mine
        if how == "withdrawn":
            withdraw_by(referral.source, referral)
        with (
            at(midnight + timedelta(seconds=LEASE + 1)),
            hub.database.transaction() as session,
        ):
            for message in mine:
                started = outbox.start_sending(
                    session, message, grants.are_open, dates.now()
                )
                assert started in ("lost", "withdrawn")
        with at(midnight + timedelta(seconds=LEASE + 2)):
            let_all_be_due(hub)
            deliver_all(a_worker(hub, receiver))
        assert referrals_in(receiver) == []


def test_C3_a_send_that_outlives_its_lease_is_not_taken_up_after_a_withdrawal(hub):
    with receiving(hub, FIRST) as receiver:
        receiver.wait_at_gate()
        referral = sent(hub)
        asleep = a_worker(hub, receiver)
        sending = threading.Thread(target=asleep.deliver_next)
        sending.start()
        assert receiver.arrived.wait(10)
        withdraw_by(referral.source, referral)
        with at(dates.now() + timedelta(seconds=LEASE + 60)):
            with hub.database.transaction(write=False) as session:
                outbox.recover(session, dates.now())
            receiver.gate.set()
            sending.join()
            let_all_be_due(hub)
            deliver_all(a_worker(hub, receiver))
        assert len(referrals_in(receiver)) == 1
        kinds = [m.kind for m in outbox_of(hub, referral) if m.status == "delivered"]
        assert "retraction" in kinds


# C6: what was handed out before the end opens nothing after it.


def test_C6_the_next_page_after_a_withdrawal_is_without_the_person(hub):
    first = hub.caller(FIRST, "recipient")
    pair = [sent(hub, name="見本 一号"), sent(hub, name="見本 二号")]
    ids = ",".join(one.patient for one in pair)
    page = first.read(f"/Patient?_id={ids}&_count=1&_sort=_lastUpdated")
    assert [e["resource"]["id"] for e in page["entry"]] == [pair[0].patient]
    link = next(one["url"] for one in page["link"] if one["relation"] == "next")
    withdraw_by(pair[1].source, pair[1])
    rest = first.get(link.partition("/fhir/R4")[2])
    assert rest.status_code == 200
    assert rest.json().get("entry", []) == []
    assert pair[1].patient not in json.dumps(rest.json().get("entry", []))


def test_C6_content_is_gone_at_its_url_after_a_withdrawal(hub):
    desk, hospital = a_caller(hub, FIRST, "recipient"), a_caller(hub, HOSPITAL)
    referral, content = sent(hub), b"%PDF-1.7 scan"
    headers = {
        "Content-Type": "application/pdf",
        "X-Security-Context": f"ServiceRequest/{referral.service_request}",
    }
    made = hospital.request("POST", "/Binary", content=content, headers=headers)
    path, native = f"/Binary/{made.json()['id']}", {"Accept": "*/*"}
    assert desk.get(path, headers=native).content == content
    withdraw_by(referral.source, referral)
    gone = desk.get(path, headers=native)
    absent = desk.get("/Binary/never-there", headers=native)
    assert gone.status_code == 404
    assert gone.content == absent.content


def test_a_transfer_after_the_end_is_refused_and_an_acceptance_too(hub):
    consent, midnight = until_tonight()
    referral = sent(hub, consent=consent)
    with at(midnight - 60 * SECOND_):
        scope = "system/Task.rus system/Patient.r"
        first = hub.caller(FIRST, "recipient", scope=scope)
        task = next(t for t in referral_children(first, referral))
    with at(midnight + SECOND_):
        for changes in (
            {"status": "accepted"},
            {
                "status": "rejected",
                "businessStatus": business("transferred"),
                "statusReason": reason("lives-elsewhere"),
            },
        ):
            # The case is not there any more: no Task of it can be moved.
            assert first.change(task, **changes).status_code == 405
    hub._callers.pop((FIRST, "recipient", scope))
    with hub.database.transaction(write=False) as session:
        waiting = operate.find(session, case=referral.case)
    assert all(m.kind != "referral" or m.sends == 0 for m in waiting)


def referral_children(caller, referral):
    found = caller.search(f"/Task?part-of=Task/{referral.parent_id}")
    return [t for t in found if t["id"] != referral.parent_id]
