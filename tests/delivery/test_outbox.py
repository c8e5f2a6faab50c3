"""The outbox alone: claims, leases, order, settlements (Q1-Q10, C1-C4, K5)."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from hub.delivery import endpoints, outbox, tables
from hub.delivery.connector import DeliveryError
from hub.delivery.outbox import LEASE
from hub.delivery.schedule import MAX_ATTEMPTS, OUTAGE
from tests.audit.databases import url_of
from tests.delivery.conftest import grants, may_leave

ROOT = Path(__file__).resolve().parents[2]
DOWN = DeliveryError("http-500", retry=True)
POISON = DeliveryError("http-400", retry=False)


def send(box, envelope, error=None):
    assert box.start(envelope) == "sending"
    return box.settle(envelope, error)


_ADDER = """
import os, sys
from datetime import UTC, datetime
from hub.database import Database
from hub.delivery import outbox
database = Database(sys.argv[1])
with database.transaction() as session:
    id_ = outbox.add(session, kind="referral", case="c1", subject="Task/1",
        organisation="aira", body=b"{}", grant_id=None,
        at=datetime(2026, 11, 2, 9, tzinfo=UTC))
    if sys.argv[2] == "before":
        print(id_, flush=True)
        os.kill(os.getpid(), 9)
print(id_, flush=True)
os.kill(os.getpid(), 9)
"""


def add_and_die(box, when):
    done = subprocess.run(
        [sys.executable, "-c", _ADDER, url_of(box.database), when],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=False,
        text=True,
    )
    assert done.returncode == -9
    return done.stdout.strip()


def test_Q1_a_committed_message_is_delivered_after_a_crash(box):
    id_ = add_and_die(box, "after")
    (envelope,) = box.claim()
    assert envelope.id == id_
    settled = send(box, envelope)
    assert settled is not None
    assert settled.status == "delivered"


def test_Q2_a_message_of_a_rolled_back_act_is_never_delivered(box):
    add_and_die(box, "before")
    assert box.claim() == []

    def act() -> None:
        with box.database.transaction() as session:
            box.add_in(session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        act()
    assert box.claim() == []


def test_Q3_a_lost_answer_is_tried_again_under_the_same_id(box):
    id_ = box.add()
    for attempt in range(1, 4):
        (envelope,) = box.claim()
        assert envelope.id == id_
        settled = send(box, envelope, DeliveryError("timeout", retry=True))
        assert settled is not None
        assert (settled.status, settled.attempts) == ("queued", attempt)
        assert box.claim() == []  # not before its time
        box.pass_(hours=1)
    (envelope,) = box.claim()
    assert send(box, envelope).status == "delivered"
    assert box.row(id_).sends == 4


def test_Q4_a_worker_that_died_while_sending_costs_one_duplicate_at_most(box):
    id_ = box.add()
    (envelope,) = box.claim()
    assert box.start(envelope) == "sending"
    assert box.recover() == []
    assert box.claim() == []  # still leased
    box.pass_(seconds=LEASE)
    assert box.recover() == []
    (again,) = box.claim()
    assert again.id == id_
    settled = send(box, again)
    assert (settled.status, settled.attempts) == ("delivered", 2)


def test_Q4_a_worker_that_dies_in_the_last_attempt_leaves_a_dead_letter(box):
    id_ = box.add()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        (envelope,) = box.claim()
        box.start(envelope)
        box.pass_(seconds=LEASE + 1)
        ended = box.recover()
        assert [each.id for each in ended] == ([id_] if attempt == 10 else [])
    row = box.row(id_)
    assert (row.status, row.error) == ("dead", "lease-expired")
    assert row.body is not None  # for the replay


def test_messages_refused_for_what_they_are_do_not_look_like_an_outage(box):
    for _ in range(OUTAGE + 2):
        box.add("", "aira", grant_id=None)
    alerts = [send(box, envelope, POISON).is_alert for envelope in box.claim()]
    assert alerts == [False] * (OUTAGE + 2)
    id_ = box.add()
    assert [each.id for each in box.claim()] == [id_]


def test_a_second_outage_is_reported_again(box):
    alerts = []
    for error in (DOWN, DOWN, DOWN, DOWN, None, DOWN, DOWN, DOWN):
        box.add("", "aira", grant_id=None)
        box.pass_(hours=2)
        (envelope,) = box.claim(1)
        settled = send(box, envelope, error)
        alerts.append((settled.is_alert, settled.is_recovery))
    assert [is_alert for is_alert, _ in alerts] == [
        *(False, False, True, False),
        *(False, False, False, True),
    ]
    assert [is_recovery for _, is_recovery in alerts].index(True) == 4


def test_Q5_a_worker_that_slept_past_its_lease_settles_nothing(box):
    id_ = box.add()
    (late,) = box.claim(worker="sleeper")
    assert box.start(late) == "sending"
    box.pass_(seconds=LEASE + 1)
    box.recover()
    (other,) = box.claim(worker="other")
    assert box.settle(late, DOWN) is None  # claimed by the other
    assert box.start(late) == "lost"
    assert box.start(other) == "sending"
    assert box.settle(late) is None  # being sent by the other
    assert send_status(box, other) == "delivered"
    assert box.settle(late, DOWN) is None
    assert box.status(id_) == "delivered"


def send_status(box, envelope):
    settled = box.settle(envelope)
    assert settled is not None
    return settled.status


def test_Q5_a_late_settlement_is_refused_even_when_nobody_took_over(box):
    box.add()
    (late,) = box.claim()
    box.start(late)
    box.pass_(seconds=LEASE + 1)
    box.recover()
    assert box.settle(late) is None


def test_Q6_no_message_is_in_two_sends_at_once(box):
    for number in range(60):
        box.add(case="", organisation=f"o{number % 3}", grant_id=None)
    sending: dict[str, str] = {}
    sent: list[str] = []
    guard = threading.Lock()

    def work(worker: str) -> None:
        while True:
            claimed = box.claim(5, worker)
            if not claimed:
                return
            for envelope in claimed:
                assert box.start(envelope) == "sending"
                with guard:
                    assert envelope.id not in sending
                    sending[envelope.id] = worker
                time.sleep(0.001)
                with guard:
                    del sending[envelope.id]
                    sent.append(envelope.id)
                assert send_status(box, envelope) == "delivered"

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == len(set(sent)) == 60


def test_Q9_order_is_kept_per_case_and_destination_and_other_cases_go_on(box):
    first, second = box.add("c1"), box.add("c1")
    other_case, other_place = box.add("c2"), box.add("c1", "kumage")
    claimed = {e.id for e in box.claim()} | {e.id for e in box.claim()}
    assert claimed == {first, other_case, other_place}
    envelope = box.row(first)
    send(box, envelope, DOWN)
    assert box.claim() == []  # the second waits while the first is tried again
    box.pass_(seconds=10)
    (again,) = box.claim()
    send(box, again, POISON)
    assert box.status(first) == "dead"
    assert [e.id for e in box.claim()] == [second]  # a dead letter holds up nobody


def test_Q9_messages_of_one_transaction_keep_their_order(box):
    with box.database.transaction() as session:
        ids = [box.add_in(session) for _ in range(3)]
    for id_ in ids:
        (envelope,) = box.claim()
        assert envelope.id == id_
        send(box, envelope)


def test_messages_without_a_case_wait_for_nobody(box):
    ids = {box.add(case="", grant_id=None) for _ in range(3)}
    assert {e.id for e in box.claim()} == ids


def test_Q10_messages_committed_out_of_order_are_all_claimed(box):
    if box.database.is_sqlite:
        pytest.skip("SQLite has one writer: commits cannot cross")
    engine = box.database.engine
    with engine.begin() as slow:
        early = box.add_in(slow, "c1", "aira")
        with engine.begin() as quick:
            late = box.add_in(quick, "c2", "kumage")
        (envelope,) = box.claim()
        assert envelope.id == late
        send(box, envelope)
    (envelope,) = box.claim()
    assert envelope.id == early


def test_Q8_an_endpoint_that_is_gone_is_disabled_and_loses_nothing(box):
    first = box.add("c1")
    (envelope,) = box.claim()
    second = box.add("c2")
    gone = DeliveryError("http-410", retry=False, disable=True)
    settled = send(box, envelope, gone)
    assert (settled.status, settled.is_alert) == ("queued", True)
    box.pass_(days=30)
    assert box.claim() == []
    with box.database.transaction() as session:
        (endpoint,) = endpoints.listing(session)
        assert endpoint.is_disabled
        assert endpoint.reason == "http-410"
        endpoints.start(session, "aira")
    assert {e.id for e in box.claim()} == {first, second}


def test_Q8_retry_after_is_honoured_for_the_whole_endpoint(box):
    box.add("c1")
    (envelope,) = box.claim()
    send(box, envelope, DeliveryError("http-429", retry=True, retry_after=900.0))
    box.add("c2")
    box.pass_(seconds=899)
    assert box.claim() == []
    box.pass_(seconds=2)
    assert len(box.claim()) == 2


def test_a_stopped_endpoint_gets_nothing_until_it_is_started(box):
    id_ = box.add()
    with box.database.transaction() as session:
        endpoints.stop(session, "aira", "maintenance")
    assert box.claim() == []
    assert box.status(id_) == "queued"
    with box.database.transaction() as session:
        endpoints.start(session, "aira")
    assert [e.id for e in box.claim()] == [id_]


def test_claims_are_fair_and_pass_over_busy_destinations(box):
    for _ in range(3):
        box.add(case="", grant_id=None, organisation="aira")
    box.pass_(seconds=1)
    box.add("c1", "kumage")
    assert {e.organisation for e in box.claim(2)} == {"aira"}
    assert {e.organisation for e in box.claim(2, busy={"aira"})} == {"kumage"}
    assert box.claim(2, busy={"aira"}) == []


def test_a_delivered_body_is_erased_and_its_hash_and_size_are_kept(box):
    id_ = box.add(body=b"1234")
    (envelope,) = box.claim()
    assert envelope.body == b"1234"
    send(box, envelope)
    row = box.row(id_)
    assert row.body is None
    assert row.body_size == 4
    assert row.body_hash.hex().startswith("03ac6742")


def test_a_released_message_is_claimed_again_with_a_new_token(box):
    box.add()
    (envelope,) = box.claim()
    with box.database.transaction() as session:
        assert outbox.release(session, envelope, error=None, until=box.at)
        assert not outbox.release(session, envelope, error=None, until=box.at)
    (again,) = box.claim()
    assert again.token == envelope.token + 1
    assert box.start(envelope) == "lost"


def test_C1_a_withdrawal_before_the_claim_settles_the_row_at_once(box):
    id_ = box.add()
    other = box.add("c2")
    assert box.withdraw("c1") == []
    row = box.row(id_)
    assert (row.status, row.body) == ("withdrawn", None)
    assert [e.id for e in box.claim()] == [other]


def test_C2_a_withdrawal_after_the_claim_stops_the_send(box):
    id_ = box.add()
    (envelope,) = box.claim()
    assert box.withdraw("c1") == []
    assert box.start(envelope) == "lost"
    assert box.row(id_).body is None


def test_C2_a_grant_that_closed_by_itself_stops_the_send(box):
    id_ = box.add()
    (envelope,) = box.claim()
    with box.database.transaction() as session:
        started = outbox.start_sending(session, envelope, lambda *_: False, box.at)
    assert started == "withdrawn"
    row = box.row(id_)
    assert (row.status, row.body, row.error) == ("withdrawn", None, "grant-closed")


def test_C3_a_withdrawal_during_a_send_is_answered_with_it_and_ends_the_tries(box):
    id_ = box.add()
    (envelope,) = box.claim()
    box.start(envelope)
    (sent,) = box.withdraw("c1")
    assert (sent.id, sent.status, sent.sends) == (id_, "sending", 1)
    assert sent.patients == ("Patient/c1",)
    settled = box.settle(envelope, DOWN)
    assert settled is not None
    assert settled.status == "withdrawn"
    assert box.row(id_).body is None
    box.pass_(days=2)
    assert box.claim() == []


def test_C3_a_send_that_ends_well_after_the_withdrawal_says_so(box):
    box.add()
    (envelope,) = box.claim()
    box.start(envelope)
    box.withdraw("c1")
    settled = box.settle(envelope)
    assert settled is not None
    assert (settled.status, settled.is_recalled) == ("delivered", True)


def test_C3_a_recalled_message_of_a_dead_worker_ends_with_its_lease(box):
    id_ = box.add()
    (envelope,) = box.claim()
    box.start(envelope)
    box.withdraw("c1")
    box.pass_(seconds=LEASE + 1)
    (ended,) = box.recover()
    assert (ended.id, ended.status) == (id_, "withdrawn")
    assert box.row(id_).body is None


def test_C4_a_withdrawal_between_two_attempts_ends_the_tries(box):
    id_ = box.add()
    (envelope,) = box.claim()
    send(box, envelope, DOWN)
    (sent,) = box.withdraw("c1")
    assert (sent.status, sent.sends) == ("attempted", 1)  # it may have arrived
    box.pass_(days=2)
    assert box.claim() == []
    assert box.status(id_) == "withdrawn"


def test_a_withdrawal_lists_what_was_delivered_but_no_retraction(box):
    box.add()
    box.add(kind="retraction", grant_id=None)
    for _ in range(2):
        (envelope,) = box.claim()
        send(box, envelope)
    (sent,) = box.withdraw("c1")
    assert (sent.kind, sent.status) == ("referral", "delivered")
    assert sent.at is not None


def test_a_withdrawal_erases_dead_letters_too(box):
    id_ = box.add()
    (envelope,) = box.claim()
    send(box, envelope, POISON)
    assert box.row(id_).body is not None
    (sent,) = box.withdraw("c1")
    assert sent.status == "attempted"
    assert (box.status(id_), box.row(id_).body) == ("withdrawn", None)


def test_C2_start_and_withdrawal_at_the_same_moment_end_one_way_or_the_other(box):
    for number in range(15):
        case = f"race-{number}"
        with box.database.transaction() as session:
            grant = {"id": f"g-{case}", "case_id": case, "is_open": 1}
            session.execute(grants.insert(), [grant])
        id_ = box.add(case)
        (envelope,) = box.claim()
        barrier = threading.Barrier(2)
        answers: dict[str, object] = {}

        def start(envelope=envelope, barrier=barrier, answers=answers) -> None:
            barrier.wait()
            answers["start"] = box.start(envelope)

        thread = threading.Thread(target=start)
        thread.start()
        barrier.wait()
        left = [each.id for each in box.withdraw(case)]
        thread.join()
        if answers["start"] == "sending":
            assert left == [id_]
            assert box.settle(envelope, POISON).status == "withdrawn"
        else:
            assert left == []
            assert box.status(id_) == "withdrawn"


def test_K5_after_an_acknowledged_withdrawal_no_send_starts(box):
    for _ in range(40):
        box.add("c1", f"o{_ % 8}")
    started: list[str] = []
    stop = threading.Event()

    def work(worker: str) -> None:
        while not stop.is_set():
            for envelope in box.claim(3, worker):
                with box.database.transaction(write=False) as session:
                    outcome = outbox.start_sending(session, envelope, may_leave, box.at)
                if outcome == "sending":
                    started.append(envelope.id)
                    time.sleep(0.005)
                    box.settle(envelope)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    while len(started) < 5:
        time.sleep(0.001)
    left = {each.id for each in box.withdraw("c1")}
    time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(started) == left  # all that ever left was listed
    with box.database.transaction(write=False) as session:
        bodies = session.execute(select(tables.outbox.c.body)).scalars().all()
    assert bodies == [None] * 40
