"""The worker on a real outbox: retries, outages, order, withdrawal, audit."""

import json
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from hub import audit
from hub.audit.seal import seal_batch
from hub.audit.tables import audit_event
from hub.database import Database
from hub.delivery import operate
from hub.delivery.connector import DeliveryError, Destination, Message
from hub.delivery.outbox import LEASE
from hub.delivery.schedule import SCHEDULE
from hub.worker import Worker
from tests.audit.databases import KINDS, opened, url_of
from tests.delivery.conftest import Outbox, may_leave

ROOT = Path(__file__).resolve().parents[1]


class Receiver:
    """A connector that keeps what arrives, and fails as told."""

    def __init__(self, box: Outbox) -> None:
        self.box = box
        self.got: list[Message] = []
        self.tries: dict[str, list[datetime]] = defaultdict(list)
        self.fails: dict[str, Exception] = {}  # by organisation or body
        self.slow: dict[str, float] = {}  # seconds, by organisation
        self.before_answer = lambda _message: None

    def send(self, message: Message) -> None:
        place = message.destination.organisation
        self.tries[message.id].append(self.box.at)
        time.sleep(self.slow.get(place, 0))
        self.before_answer(message)
        error = self.fails.get(place) or self.fails.get(message.body.decode())
        if error:
            raise error
        self.got.append(message)


class Post:
    """Outbox, receiver and worker together."""

    def __init__(self, database: Database) -> None:
        self.box = Outbox(database)
        self.database = database
        self.receiver = Receiver(self.box)
        self.known = {"aira", "kumage", "ijuin"}
        self.delivered: list[tuple[str, bool]] = []
        self.worker = self.another()

    def another(self, **over) -> Worker:
        facts: dict[str, Any] = {
            "on_delivered": self.note,
            "clock": self.box.clock,
            "rng": random.Random(7),
        }
        return Worker(
            self.database,
            {"fhir_rest": self.receiver},
            self.find_destination,
            may_leave,
            **(facts | over),
        )

    def find_destination(self, _session, organisation: str) -> Destination | None:
        if organisation not in self.known:
            return None
        return Destination(organisation, f"https://{organisation}.example/fhir")

    def note(self, _session, envelope) -> None:
        self.delivered.append((envelope.id, envelope.is_recalled))

    def deliver(self) -> None:
        while self.worker.deliver_next():
            pass

    def events(self) -> list[Any]:
        with self.database.transaction(write=False) as session:
            return [json.loads(entry.body) for entry in audit.find(session)]

    def attempts(self, event) -> object:
        return event["entity"][0]["detail"][0]["valueString"]


@pytest.fixture(params=KINDS)
def post(request, tmp_path: Path) -> Iterator[Post]:
    with opened(request.param, tmp_path) as database:
        yield Post(database)


def test_a_message_is_delivered_noted_and_audited_as_a_disclosure(post):
    id_ = post.box.add("c1", "aira", body=b'{"a":1}')
    post.deliver()
    (message,) = post.receiver.got
    assert (message.id, message.body, message.kind) == (id_, b'{"a":1}', "referral")
    assert message.correlation_id == "corr-c1"
    assert message.destination.address == "https://aira.example/fhir"
    assert post.delivered == [(id_, False)]
    (event,) = post.events()
    assert event["type"]["code"] == "110106"
    assert event["outcome"] == "0"
    references = [e["what"].get("reference") for e in event["entity"]]
    assert references[:2] == ["Task/c1", "Patient/c1"]
    assert event["entity"][2]["what"]["identifier"]["value"] == id_
    assert post.attempts(event) == "1"


def test_a_report_about_three_persons_is_three_disclosures(post):
    patients = ["Patient/1", "Patient/2", "Patient/3"]
    post.box.add("", "aira", kind="report", grant_id=None, patients=patients)
    post.deliver()
    assert len(post.events()) == 3


def test_Q3_lost_answers_are_one_message_with_one_audit_event(post):
    id_ = post.box.add()
    post.receiver.fails["aira"] = DeliveryError("timeout", retry=True)
    for _ in range(3):
        post.deliver()
        post.box.pass_(hours=1)
    del post.receiver.fails["aira"]
    post.deliver()
    assert len(post.receiver.tries[id_]) == 4
    assert [m.id for m in post.receiver.got] == [id_]
    (event,) = post.events()
    assert post.attempts(event) == "4"


_CRASHER = """
import os, sys
from hub.database import Database
from hub.delivery.connector import Destination
from hub.worker import Worker
from tests.delivery.conftest import START, may_leave
class Killer:
    def send(self, message):
        print(message.id, flush=True)
        os.kill(os.getpid(), 9)
Worker(Database(sys.argv[1]), {"fhir_rest": Killer()},
    lambda _, organisation: Destination(organisation, "https://x.example"),
    may_leave, clock=lambda: START).deliver_next()
"""


def test_Q4_a_worker_killed_in_a_send_costs_one_duplicate_with_the_same_id(post):
    id_ = post.box.add()
    done = subprocess.run(
        [sys.executable, "-c", _CRASHER, url_of(post.database)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (-9, id_)
    post.deliver()
    assert post.receiver.got == []  # its lease still runs
    post.box.pass_(seconds=LEASE)
    post.deliver()
    assert [m.id for m in post.receiver.got] == [id_]
    (event,) = post.events()
    assert post.attempts(event) == "2"


def test_Q5_a_worker_that_wakes_past_its_lease_is_refused(post):
    id_ = post.box.add()

    def sleep_past_lease(_message) -> None:
        post.receiver.before_answer = lambda _: None
        post.box.pass_(seconds=LEASE + 1)
        other = post.another()
        assert other.deliver_next()

    post.receiver.before_answer = sleep_past_lease
    with capture_logs() as logs:
        post.deliver()
    assert [m.id for m in post.receiver.got] == [id_, id_]
    assert "settled-too-late" in [entry["event"] for entry in logs]
    assert post.delivered == [(id_, False)]
    assert len(post.events()) == 1


def test_Q5_a_worker_that_sleeps_before_the_socket_opens_sends_nothing(post):
    id_ = post.box.add()

    def fall_asleep(session, grant_id: str) -> bool:
        # The lease counts from before the transaction; its commit takes for ever.
        is_open = may_leave(session, grant_id)
        post.box.pass_(seconds=LEASE + 1)
        return is_open

    post.worker._may_leave = fall_asleep
    assert post.worker.deliver_next()
    assert post.receiver.tries == {}
    post.worker._may_leave = may_leave
    post.deliver()
    assert [m.id for m in post.receiver.got] == [id_]


def test_one_destination_occupies_one_thread_only(post):
    for place in ("aira", "kumage"):
        for _ in range(8):
            post.box.add("", place, grant_id=None)
    under_way: dict[str, int] = defaultdict(int)
    most: dict[str, int] = defaultdict(int)

    def count(message) -> None:
        place = message.destination.organisation
        under_way[place] += 1
        most[place] = max(most[place], under_way[place])
        time.sleep(0.02)
        under_way[place] -= 1

    post.receiver.before_answer = count
    post.worker = post.another(batch=2)
    stop = threading.Event()
    runner = threading.Thread(target=post.worker.run, args=(stop,))
    runner.start()
    while len(post.receiver.got) < 16:
        time.sleep(0.01)
    stop.set()
    runner.join()
    assert most == {"aira": 1, "kumage": 1}


def test_Q7_three_days_of_500_follow_the_schedule_and_end_in_the_dead_letters(post):
    id_ = post.box.add()
    post.receiver.fails["aira"] = DeliveryError("http-500", retry=True)
    start = post.box.at
    with capture_logs() as logs:
        while post.box.status(id_) == "queued":
            post.deliver()
            post.box.pass_(seconds=30)
            due = post.box.row(id_).next_at / 1_000_000 - post.box.at.timestamp()
            post.box.pass_(seconds=max(due - 1, 0))
    tries = post.receiver.tries[id_]
    waits = [(b - a).total_seconds() for a, b in pairwise(tries)]
    assert len(tries) == 10
    for wait, planned in zip(waits, SCHEDULE[1:], strict=True):
        assert planned * 0.9 - 31 <= wait <= planned * 1.1 + 31
    assert timedelta(hours=68) < tries[-1] - start < timedelta(hours=84)
    events = [entry["event"] for entry in logs]
    assert events.count("endpoint-down") == 1  # one alert per outage
    assert events.count("dead-letter") == 1
    (event,) = post.events()
    assert (event["outcome"], post.attempts(event)) == ("8", "10")

    del post.receiver.fails["aira"]
    with post.database.transaction() as session:
        assert operate.replay(session, ids=[id_], at=post.box.at) == [id_]
    post.box.pass_(minutes=2)
    with capture_logs() as logs:
        post.deliver()
    assert [m.id for m in post.receiver.got] == [id_]
    assert "endpoint-up" in [entry["event"] for entry in logs]


def test_Q8_a_gone_endpoint_is_reported_once_and_not_tried_again(post):
    for case in ("c1", "c2", "c3"):
        post.box.add(case)
    post.receiver.fails["aira"] = DeliveryError("gone", retry=False, disable=True)
    with capture_logs() as logs:
        for _ in range(3):
            post.deliver()
            post.box.pass_(days=1)
    assert sum(map(len, post.receiver.tries.values())) == 1
    assert [entry["event"] for entry in logs].count("endpoint-down") == 1


def test_Q9_a_poison_message_is_buried_and_the_others_go_on(post):
    poison = post.box.add("c1", body=b"{poison}")
    behind = post.box.add("c1", body=b"{behind}")
    other = post.box.add("c2", body=b"{other}")
    post.receiver.fails["{poison}"] = DeliveryError("http-422", retry=False)
    post.deliver()
    assert {m.id for m in post.receiver.got} == {other, behind}
    assert post.box.status(poison) == "dead"


def test_Q9_a_connector_that_breaks_on_a_message_does_not_stop_the_worker(post):
    poison = post.box.add("c1", body=b"{poison}")
    other = post.box.add("c2", body=b"{other}")
    secret = "山田花子"
    post.receiver.fails["{poison}"] = RuntimeError(secret)
    with capture_logs() as logs:
        post.deliver()
    assert [m.id for m in post.receiver.got] == [other]
    row = post.box.row(poison)
    assert (row.status, row.error) == ("queued", "connector-error")
    assert secret not in repr(logs)


def test_a_destination_without_endpoint_keeps_its_messages_and_says_so(post):
    ids = [post.box.add(case, "nowhere") for case in ("c1", "c2")]
    with capture_logs() as logs:
        for _ in range(5):
            post.deliver()
            post.box.pass_(minutes=2)
    assert [entry["event"] for entry in logs].count("no-endpoint") == 1
    assert {post.box.status(id_) for id_ in ids} == {"queued"}
    assert "no-endpoint" in {post.box.row(id_).error for id_ in ids}
    assert post.box.row(ids[0]).sends == 0
    post.known.add("nowhere")
    post.box.pass_(days=30)
    post.deliver()
    assert {m.id for m in post.receiver.got} == set(ids)


def test_Q11_a_dead_endpoint_with_a_long_queue_does_not_delay_another(post):
    with post.database.transaction() as session:
        for _ in range(1500):
            post.box.add_in(session, "", "kumage", grant_id=None)
    post.receiver.fails["kumage"] = DeliveryError("timeout", retry=True)
    post.receiver.slow["kumage"] = 0.3
    stop = threading.Event()
    runner = threading.Thread(target=post.worker.run, args=(stop,))
    runner.start()
    waits = []
    for _ in range(15):
        begun = time.monotonic()
        id_ = post.box.add("", "aira", grant_id=None)
        post.worker.wake.set()
        while id_ not in {m.id for m in post.receiver.got}:
            assert time.monotonic() - begun < 10
            time.sleep(0.002)
        waits.append(time.monotonic() - begun)
    stop.set()
    runner.join()
    assert sorted(waits)[13] < 0.25  # one send to the dead endpoint takes longer
    assert sum(map(len, post.receiver.tries.values())) < 15 + 10


def test_Q12_stopping_ends_what_is_under_way_and_claims_nothing_more(post):
    ids = [post.box.add("", "aira", grant_id=None) for _ in range(10)]
    post.receiver.slow["aira"] = 0.2
    stop = threading.Event()
    runner = threading.Thread(target=post.worker.run, args=(stop,))
    runner.start()
    while not post.receiver.tries:
        time.sleep(0.005)
    stop.set()
    runner.join(5)
    assert not runner.is_alive()
    statuses = [post.box.status(id_) for id_ in ids]
    assert statuses.count("delivered") == len(post.receiver.got) <= 2
    assert set(statuses) == {"delivered", "queued"}  # released, not left claimed


def test_a_stop_does_not_wait_longer_than_its_grace(post):
    id_ = post.box.add("", "aira", grant_id=None)
    post.receiver.slow["aira"] = 3.0
    stop = threading.Event()
    runner = threading.Thread(target=post.worker.run, args=(stop, 0.1))
    runner.start()
    while not post.receiver.tries:
        time.sleep(0.005)
    stop.set()
    begun = time.monotonic()
    runner.join(5)
    assert time.monotonic() - begun < 2.5
    while post.box.status(id_) != "delivered":
        time.sleep(0.01)  # the thread settles before the database is dropped


def test_a_woken_worker_delivers_at_once(post, monkeypatch):
    monkeypatch.setattr("hub.worker._POLL", 600.0)
    stop = threading.Event()
    runner = threading.Thread(target=post.worker.run, args=(stop,))
    runner.start()
    time.sleep(0.2)
    begun = time.monotonic()
    post.box.add()
    post.worker.wake.set()
    while not post.receiver.got:
        assert time.monotonic() - begun < 60  # far from the next look by itself
        time.sleep(0.002)
    stop.set()
    runner.join()


def test_C1_C2_a_closed_grant_stops_the_message_and_leaves_an_event(post):
    id_ = post.box.add("c1")
    post.worker = post.another()
    worker_may_leave = post.worker._may_leave

    def close_first(session, grant_id: str) -> bool:
        assert worker_may_leave(session, grant_id)
        return False

    post.worker._may_leave = close_first
    post.deliver()
    assert post.receiver.got == []
    assert post.box.status(id_) == "withdrawn"
    (event,) = post.events()
    assert (event["outcome"], post.attempts(event)) == ("4", "0")


def test_C3_a_withdrawal_during_a_send_reaches_whoever_must_retract(post):
    id_ = post.box.add("c1")
    left = []
    post.receiver.before_answer = lambda _: left.extend(post.box.withdraw("c1"))
    post.deliver()
    assert [(each.id, each.status) for each in left] == [(id_, "sending")]
    assert post.delivered == [(id_, True)]  # so the recipient gets a retraction
    assert post.box.row(id_).body is None


def test_C4_a_withdrawal_between_attempts_ends_them(post):
    id_ = post.box.add("c1")
    post.receiver.fails["aira"] = DeliveryError("http-503", retry=True)
    post.deliver()
    post.box.withdraw("c1")
    del post.receiver.fails["aira"]
    post.box.pass_(days=3)
    post.deliver()
    assert post.receiver.got == []
    assert len(post.receiver.tries[id_]) == 1


def test_K5_nothing_starts_after_a_withdrawal_was_acknowledged(post):
    for number in range(60):
        post.box.add("c1", ("aira", "kumage", "ijuin")[number % 3])
    post.receiver.slow = dict.fromkeys(post.known, 0.05)
    stop = threading.Event()
    runner = threading.Thread(target=post.worker.run, args=(stop,))
    runner.start()
    while len(post.receiver.got) < 4:
        time.sleep(0.002)
    left = {each.id for each in post.box.withdraw("c1")}
    time.sleep(0.4)
    stop.set()
    runner.join()
    assert {m.id for m in post.receiver.got} == left
    assert 4 <= len(left) < 60


def test_K6_each_delivery_has_its_row_and_the_chain_covers_it(post):
    for case in ("c1", "c2", "c3"):
        post.box.add(case)
    post.deliver()
    assert seal_batch(post.database) == 3
    with post.database.transaction(write=False) as session:
        organisations = session.execute(select(audit_event.c.organisation)).scalars()
        assert set(organisations) == {"aira"}


def test_a_callback_that_fails_does_not_make_the_message_leave_again(post):
    def fail(session, _envelope) -> None:
        audit.record(session, None, "update", at=post.box.at)
        raise RuntimeError

    post.worker = post.another(on_delivered=fail)
    id_ = post.box.add()
    with capture_logs() as logs:
        post.deliver()
    assert post.box.status(id_) == "delivered"
    assert "delivered-but-not-noted" in [entry["event"] for entry in logs]
    assert len(post.events()) == 1  # the delivery's own; the callback left nothing


def test_an_unknown_connector_is_retried_and_named(post):
    post.worker = post.another(connector_for=lambda _: "fax")
    id_ = post.box.add()
    post.deliver()
    row = post.box.row(id_)
    assert (row.status, row.error) == ("queued", "no-connector")


def test_a_worker_survives_a_database_that_fails_for_a_moment(post):
    calls = []
    find = post.find_destination

    def fail_once(session, organisation):
        calls.append(organisation)
        if len(calls) == 1:
            raise RuntimeError
        return find(session, organisation)

    post.worker = post.another(clock=lambda: post.box.at)
    post.worker._find_destination = fail_once
    id_ = post.box.add()
    stop = threading.Event()
    runner = threading.Thread(target=post.worker.run, args=(stop,))
    runner.start()
    while not calls:
        time.sleep(0.01)
    post.box.pass_(seconds=LEASE)
    deadline = time.monotonic() + 60
    while not post.receiver.got and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    runner.join()
    assert [m.id for m in post.receiver.got] == [id_]
