"""Whatever is done to the log behind the hub's back is found (A1-A8)."""

import shutil
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, insert, select, text, update

from hub.audit.checkpoint import Checkpoint, sign
from hub.audit.seal import GENESIS, link
from hub.audit.tables import audit_event, audit_head, audit_seal
from hub.database import Session
from tests.audit.conftest import Log


def tamper(log: Log, act: Callable[[Session], object]) -> None:
    with log.database.transaction(write=False) as session:
        act(session)


def body_of(session: Session, seq: int) -> bytes:
    body = session.execute(select(audit_event.c.body).where(audit_event.c.seq == seq))
    return bytes(body.scalar_one())


def set_body(session: Session, seq: int, body: bytes) -> None:
    session.execute(
        update(audit_event).where(audit_event.c.seq == seq).values(body=body)
    )


def cut(session: Session, after: int) -> None:
    """Remove the rows behind `after` without a trace in the head."""
    session.execute(delete(audit_event).where(audit_event.c.seq > after))
    session.execute(delete(audit_seal).where(audit_seal.c.seq > after))
    last = select(audit_seal.c.hash).where(audit_seal.c.seq == after)
    hash_ = session.execute(last).scalar_one_or_none()
    session.execute(update(audit_head).values(seq=after, hash=hash_ or GENESIS))


def test_an_untouched_log_is_intact_and_tells_its_three_ranges_apart(log):
    log.grow(10)
    log.grow(5, anchored=False)
    log.write(3)
    report = log.verify()
    assert report.is_intact
    assert (report.anchored, report.sealed, report.unsealed) == (10, 15, 3)
    assert report.oldest_unsealed is not None
    assert report.checkpoints == 1


def test_an_empty_log_is_intact(log):
    assert log.verify().is_intact
    assert log.anchor() == 0
    assert log.verify().is_intact


def test_A1_an_edited_body_is_found_and_named(log):
    log.grow(9)

    def edit(session: Session) -> None:
        set_body(session, 4, body_of(session, 4).replace(b'"0"', b'"4"'))

    tamper(log, edit)
    report = log.verify()
    assert [found.id for found in report.problems] == ["HUB-AUD-001"]
    assert "4番" in report.problems[0].text
    assert "Row 4" in report.problems[0].english
    assert report.anchored == 0


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "UPDATE audit_event SET body = replace(body, '\"0\"', '\"4\"') WHERE seq = 4",
            ["HUB-AUD-001"],
        ),
        ("UPDATE audit_event SET recorded = 'now' WHERE seq = 4", ["HUB-AUD-010"]),
        (
            "UPDATE audit_seal SET hash = 'x' WHERE seq = 4",
            ["HUB-AUD-001", "HUB-AUD-001"],
        ),
        ("UPDATE audit_head SET hash = 'x'", ["HUB-AUD-012"]),
        (
            """DELETE FROM audit_seal WHERE seq = 3;
            UPDATE audit_event SET body = 'x' WHERE seq = 4""",
            ["HUB-AUD-003", "HUB-AUD-001"],
        ),
    ],
)
def test_A1_text_left_by_a_hand_in_sqlite_is_found_and_breaks_nothing(
    log, statement, expected
):
    """`sqlite3 hub.db "UPDATE …"` turns bytes into text."""
    if not log.database.is_sqlite:
        pytest.skip("only SQLite holds any type in any column")
    log.grow(9)
    for one in map(text, statement.split(";")):
        with log.database.transaction(write=False) as session:
            session.execute(one)
    assert set(expected) <= set(log.problems())


def test_A2_two_swapped_rows_are_found(log):
    log.grow(9)

    def swap(session: Session) -> None:
        third, fourth = body_of(session, 3), body_of(session, 4)
        set_body(session, 3, fourth)
        set_body(session, 4, third)

    tamper(log, swap)
    assert log.problems() == ["HUB-AUD-001", "HUB-AUD-001"]


def test_A2_two_swapped_seals_are_found(log):
    log.grow(9)

    def swap(session: Session) -> None:
        seals = {
            row.seq: row.event
            for row in session.execute(select(audit_seal.c.seq, audit_seal.c.event))
        }
        for seq, event in ((3, "away"), (4, seals[3]), (3, seals[4])):
            session.execute(
                update(audit_seal).where(audit_seal.c.seq == seq).values(event=event)
            )

    tamper(log, swap)
    assert "HUB-AUD-001" in log.problems()


@pytest.mark.parametrize("with_seal", [False, True])
def test_A3_a_missing_row_in_the_middle_is_found(log, with_seal):
    log.grow(9)

    def remove(session: Session) -> None:
        session.execute(delete(audit_event).where(audit_event.c.seq == 5))
        if with_seal:
            session.execute(delete(audit_seal).where(audit_seal.c.seq == 5))

    tamper(log, remove)
    expected = ["HUB-AUD-003", "HUB-AUD-014"] if with_seal else ["HUB-AUD-002"]
    assert log.problems() == expected


def test_A4_a_cut_tail_is_found_by_the_head(log):
    log.grow(9, anchored=False)

    def remove(session: Session) -> None:
        session.execute(delete(audit_event).where(audit_event.c.seq > 6))
        session.execute(delete(audit_seal).where(audit_seal.c.seq > 6))

    tamper(log, remove)
    assert log.problems() == ["HUB-AUD-004"]


def test_A4_a_cut_tail_with_a_mended_head_is_found_by_the_checkpoint(log):
    log.grow(9)
    tamper(log, lambda session: cut(session, 6))
    assert log.problems() == ["HUB-AUD-005"]


def test_A5_an_emptied_log_is_found(log):
    log.grow(9)

    def empty(session: Session) -> None:
        for table in (audit_event, audit_seal, audit_head):
            session.execute(delete(table))

    tamper(log, empty)
    assert log.problems() == ["HUB-AUD-005"]


def test_A6_a_cut_tail_with_new_rows_appended_is_found(log):
    log.grow(9)
    tamper(log, lambda session: cut(session, 6))
    log.grow(5, anchored=False)
    assert log.problems() == ["HUB-AUD-006"]


def test_A7_a_chain_rewritten_with_right_hashes_is_found(log):
    log.grow(9)

    def rewrite(session: Session) -> None:
        previous = GENESIS
        for seq in range(1, 10):
            body = body_of(session, seq).replace(b'"0"', b'"4"')
            set_body(session, seq, body)
            previous = link(seq, previous, body)
            session.execute(
                update(audit_seal).where(audit_seal.c.seq == seq).values(hash=previous)
            )
        session.execute(update(audit_head).values(hash=previous))
        session.execute(update(audit_event).values(outcome="4"))

    tamper(log, rewrite)
    assert log.problems() == ["HUB-AUD-006"]

    with log.database.transaction(write=False) as session:
        head = session.execute(select(audit_head.c.hash)).scalar_one()
    forged = Checkpoint(9, bytes(head).hex(), 9, "2026-11-02T18:00:00.009+09:00")
    log.path.write_bytes(sign(Ed25519PrivateKey.generate(), forged) + b"\n")
    assert log.problems() == ["HUB-AUD-007"]


def test_A8_a_restored_old_backup_is_found(log, tmp_path):
    log.grow(6)
    if not log.database.is_sqlite:
        tables = ("audit_event", "audit_seal", "audit_head")
        copies = [f"CREATE TABLE {name}_old AS TABLE {name}" for name in tables]
        restores = [f"TRUNCATE {name}" for name in tables]
        restores += [f"INSERT INTO {name} TABLE {name}_old" for name in tables]
        tamper(log, lambda session: [session.execute(text(each)) for each in copies])
        log.grow(3)
        tamper(log, lambda session: [session.execute(text(each)) for each in restores])
    else:
        backup = tmp_path / "backup.db"
        with log.database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql(f"VACUUM INTO '{backup}'")
            connection.exec_driver_sql("BEGIN")
        log.grow(3)
        log.database.close()
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"hub.db{suffix}").unlink(missing_ok=True)
        shutil.copy(backup, tmp_path / "hub.db")
    report = log.verify()
    assert [found.id for found in report.problems] == ["HUB-AUD-005"]
    assert (report.sealed, report.anchored) == (6, 6)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("patient", "Patient/other"),
        ("patient", None),
        ("organisation", "nobody"),
        ("action", "E"),
        ("client", "another"),
        ("entity", "Task/other"),
        ("entity", None),
        ("type", "110113"),
        ("subtype", "vread"),
        ("outcome", "8"),
        ("recorded", 0),
        ("seq", 77),
    ],
)
def test_a_changed_search_column_is_found_though_the_body_is_sealed(log, column, value):
    log.grow(3)
    tamper(
        log,
        lambda session: session.execute(
            update(audit_event).where(audit_event.c.seq == 2).values({column: value})
        ),
    )
    assert log.problems() == ["HUB-AUD-010"]


def test_columns_of_every_kind_of_event_agree_with_their_bodies(log):
    for interaction in ("create", "disclose", "receive", "consent-deny", "login"):
        log.write(1, interaction)
        log.write(1, interaction, targets=[], patients=[])
    log.grow(1)
    assert log.verify().is_intact


def test_a_row_that_only_claims_to_be_sealed_is_found(log):
    log.grow(3)
    log.write(1)
    tamper(
        log,
        lambda session: session.execute(
            update(audit_event).where(audit_event.c.seq.is_(None)).values(seq=4)
        ),
    )
    assert log.problems() == ["HUB-AUD-011"]


def test_a_forged_seal_behind_the_head_is_found(log):
    log.grow(3)
    (id_,) = log.write(1)
    forged = {"seq": 4, "event": id_, "hash": bytes(32)}
    tamper(log, lambda session: session.execute(insert(audit_seal), [forged]))
    assert {"HUB-AUD-001", "HUB-AUD-012"} <= set(log.problems())


def test_a_broken_checkpoint_file_is_reported_line_by_line(log):
    log.grow(3)
    first = log.path.read_bytes()
    log.grow(3)
    second = log.path.read_bytes()[len(first) :]
    log.path.write_bytes(b"garbage\n" + second + first)
    report = log.verify()
    assert [found.id for found in report.problems] == ["HUB-AUD-008", "HUB-AUD-009"]
    assert report.anchored == 6


def test_problems_are_counted_but_not_piled_up(log):
    log.grow(400)
    tamper(
        log,
        lambda session: session.execute(update(audit_seal).values(hash=bytes(32))),
    )
    report = log.verify()
    assert len(report.problems) == 200
    assert report.problem_count >= 400


def test_verification_spans_pages_and_does_not_block_writers(log, monkeypatch):
    monkeypatch.setattr("hub.audit.verify._PAGE", 7)
    for _ in range(5):
        log.grow(9)
    report = log.verify()
    assert report.is_intact
    assert (report.sealed, report.anchored, report.checkpoints) == (45, 45, 5)
