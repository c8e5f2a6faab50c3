"""The chain: what it covers, who seals, and what a crash leaves."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from hub import audit
from hub.audit.seal import GENESIS, Sealer, link, read_head, seal_batch, seal_now
from hub.audit.tables import audit_event, audit_seal
from tests.audit.conftest import HOSPITAL, START
from tests.audit.databases import url_of

ROOT = Path(__file__).resolve().parents[2]


@given(st.integers(0, 2**40), st.binary(max_size=64), st.binary(max_size=64))
def test_no_byte_moves_between_fields_without_changing_the_hash(seq, first, second):
    whole = link(seq, first, second)
    if second:
        assert link(seq, first + second[:1], second[1:]) != whole
    assert link(seq + 1, first, second) != whole


def test_rows_are_chained_in_the_order_in_which_they_were_recorded(log):
    ids = log.write(5)
    assert log.seal() == 5
    with log.database.transaction(write=False) as session:
        seals = session.execute(select(audit_seal).order_by(audit_seal.c.seq)).all()
        bodies = dict(
            session.execute(select(audit_event.c.id, audit_event.c.body)).all()
        )
        head = read_head(session)
    assert [seal.event for seal in seals] == ids
    previous = GENESIS
    for seal in seals:
        previous = link(seal.seq, previous, bytes(bodies[seal.event]))
        assert bytes(seal.hash) == previous
    assert head == (5, previous)
    assert log.seal() == 0


def test_a_withdrawal_is_sealed_with_its_own_commit_and_anchored_after_it(log):
    log.write(3)
    with log.database.transaction() as session:
        audit.record(session, HOSPITAL, "update", at=START, targets=["Consent/c"])
        assert seal_now(session).seq == 4
    assert log.anchor() == 4
    report = log.verify()
    assert report.is_intact
    assert (report.anchored, report.unsealed) == (4, 0)


def test_a_withdrawal_that_rolls_back_leaves_the_chain_as_it_was(log):
    log.write(3)
    log.seal()

    def withdraw() -> None:
        with log.database.transaction() as session:
            audit.record(session, HOSPITAL, "update", at=START)
            seal_now(session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        withdraw()
    assert log.anchor() == 3
    assert log.verify().is_intact


def test_only_one_sealer_is_at_it(log):
    log.grow(1)
    log.write(3)
    if log.database.is_sqlite:
        pytest.skip("on SQLite a second writer cannot even begin")
    with log.database.transaction(write=False) as session:
        seal_now(session)
        assert seal_batch(log.database) == 0  # passes by without waiting
    assert log.verify().is_intact


def test_a_committed_row_is_sealed_by_itself(log):
    sealer = Sealer(log.database, lambda: log.checkpoints.anchor_if_due(log.database))
    sealer.start()
    log.write(5)
    # A round is a quarter of a second; the rest is for a machine under load.
    deadline = time.monotonic() + 20.0
    while log.verify().sealed < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert log.verify().sealed == 5
    sealer.stop()
    assert not sealer.failing
    assert log.verify().anchored == 5


def test_stopping_the_sealer_seals_what_is_left(log):
    sealer = Sealer(log.database, interval=30)
    sealer.start()
    log.write(5)
    sealer.stop()
    assert log.verify().sealed == 5


def test_a_sealer_that_cannot_write_says_so_and_goes_on(log):
    def full() -> None:
        raise OSError(28, "No space left on device")

    sealer = Sealer(log.database, full, interval=0.01)
    sealer.start()
    log.write(1)
    deadline = time.monotonic() + 5
    while not sealer.failing and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sealer.failing
    log.write(1)
    sealer.stop()
    assert log.verify().sealed == 2


def test_A9_two_writers_and_two_sealers_keep_one_chain(log):
    stop = threading.Event()
    written: list[str] = []

    def write() -> None:  # an exception in a thread fails the test (warnings: errors)
        while not stop.is_set():
            with log.database.transaction(write=False) as session:
                written.extend(audit.record(session, HOSPITAL, "read", at=START))

    writers = [threading.Thread(target=write) for _ in range(2)]
    sealers = [Sealer(log.database, interval=0.01) for _ in range(2)]
    for writer in writers:
        writer.start()
    for sealer in sealers:
        sealer.start()
    time.sleep(2)
    with log.database.transaction() as session:
        seal_now(session)
    stop.set()
    for writer in writers:
        writer.join()
    for sealer in sealers:
        sealer.stop()
        assert not sealer.failing
    log.anchor()
    report = log.verify()
    assert report.is_intact
    assert report.sealed == report.anchored == len(written) > 50


_CRASHER = """
import sys
from datetime import UTC, datetime
from hub import audit
from hub.actor import Actor
from hub.audit.seal import Sealer
from hub.database import Database
database = Database(sys.argv[1])
Sealer(database, interval=0.001).start()
while True:
    with database.transaction(write=False) as session:
        ids = audit.record(session, Actor("c", "o"), "read", at=datetime.now(UTC))
    print(ids[0], flush=True)
"""


def test_A10_kill_9_while_appending_loses_no_acknowledged_row(log):
    acknowledged: list[str] = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", _CRASHER, url_of(log.database)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert process.stdout is not None
        acknowledged += [process.stdout.readline().strip() for _ in range(60)]
        process.kill()
        rest = process.stdout.read().split("\n")
        acknowledged += [line for line in rest if len(line) == 36]
        process.stdout.close()
        process.wait()
    with log.database.transaction(write=False) as session:
        stored = set(session.execute(select(audit_event.c.id)).scalars())
    assert set(acknowledged) <= stored
    while log.seal():
        pass
    log.anchor()
    report = log.verify()
    assert report.is_intact
    assert report.sealed == len(stored)
