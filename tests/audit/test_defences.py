"""Each defence against A1 to A8 is needed: without it the attack goes unseen."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, select, update

from hub.audit.checkpoint import Checkpoint, sign
from hub.audit.seal import GENESIS, Head, as_bytes, link
from hub.audit.tables import audit_event, audit_head, audit_seal
from hub.database import Session

Attack = Callable[..., None]


class Same:
    """Equal to every hash: a chain that is not computed again."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


def edited(log, session: Session) -> None:  # A1
    body = session.execute(
        select(audit_event.c.body).where(audit_event.c.seq == 4)
    ).scalar_one()
    changed = bytes(body).replace(b'"requestor":true', b'"requestor":null', 1)
    assert changed != bytes(body)
    session.execute(
        update(audit_event).where(audit_event.c.seq == 4).values(body=changed)
    )


def reordered(log, session: Session) -> None:  # A2
    rows = session.execute(
        select(audit_seal.c.seq, audit_seal.c.event).where(audit_seal.c.seq.in_((3, 4)))
    )
    third, fourth = (row.event for row in sorted(rows))
    for seq, event in ((3, "away"), (4, third), (3, fourth)):
        session.execute(
            update(audit_seal).where(audit_seal.c.seq == seq).values(event=event)
        )
    for seq, event in ((4, third), (3, fourth)):
        session.execute(
            update(audit_event).where(audit_event.c.id == event).values(seq=seq)
        )


def cut(log, session: Session, after: int = 6) -> None:  # A4, A8
    session.execute(delete(audit_event).where(audit_event.c.seq > after))
    session.execute(delete(audit_seal).where(audit_seal.c.seq > after))
    last = select(audit_seal.c.hash).where(audit_seal.c.seq == after)
    hash_ = session.execute(last).scalar_one_or_none()
    session.execute(update(audit_head).values(seq=after, hash=hash_ or GENESIS))


def cut_with_head_left(log, session: Session) -> None:  # A4
    session.execute(delete(audit_event).where(audit_event.c.seq > 6))
    session.execute(delete(audit_seal).where(audit_seal.c.seq > 6))


def emptied(log, session: Session) -> None:  # A5
    cut(log, session, 0)
    session.execute(delete(audit_head))


def rewritten(log, session: Session) -> None:  # A7
    previous = GENESIS
    for seq in range(1, 10):
        query = select(audit_event.c.body).where(audit_event.c.seq == seq)
        body = bytes(session.execute(query).scalar_one()).replace(b"Task", b"Tusk")
        session.execute(
            update(audit_event)
            .where(audit_event.c.seq == seq)
            .values(body=body, entity="Tusk/t1")
        )
        previous = link(seq, previous, body)
        session.execute(
            update(audit_seal).where(audit_seal.c.seq == seq).values(hash=previous)
        )
    session.execute(update(audit_head).values(hash=previous))


def forged(log, session: Session) -> None:  # A7, with a checkpoint of another key
    rewritten(log, session)
    head = session.execute(select(audit_head.c.hash)).scalar_one()
    made = Checkpoint(9, bytes(head).hex(), 9, "2026-11-02T18:00:00.009+09:00")
    log.path.write_bytes(sign(Ed25519PrivateKey.generate(), made) + b"\n")


def last_seal(session: Session) -> Head:
    row = session.execute(select(audit_seal).order_by(audit_seal.c.seq.desc())).first()
    return Head(row.seq, as_bytes(row.hash)) if row else Head()


NO_CHAIN = ("link", lambda *_: Same())
NO_CHECKPOINTS = ("lines", lambda *_: iter(()))
NO_HEAD = ("read_head", last_seal)
NO_SIGNATURES = ("is_signed", lambda *_: True)


@pytest.mark.parametrize(
    ("attack", "defences"),
    [
        pytest.param(edited, [NO_CHAIN], id="A1-edited"),
        pytest.param(reordered, [NO_CHAIN], id="A2-swapped"),
        pytest.param(cut_with_head_left, [NO_HEAD, NO_CHECKPOINTS], id="A4-cut"),
        pytest.param(cut, [NO_CHECKPOINTS], id="A4-cut-with-head"),
        pytest.param(emptied, [NO_CHECKPOINTS], id="A5-emptied"),
        pytest.param(rewritten, [NO_CHECKPOINTS], id="A7-rewritten"),
        pytest.param(forged, [NO_SIGNATURES], id="A7-forged"),
        pytest.param(lambda log, s: cut(log, s, 3), [NO_CHECKPOINTS], id="A8-old"),
    ],
)
def test_without_its_defence_the_attack_goes_unseen(log, monkeypatch, attack, defences):
    log.grow(3)
    log.grow(6)
    with log.database.transaction(write=False) as session:
        attack(log, session)
    assert log.problems() != []
    for name, without in defences:
        monkeypatch.setattr(f"hub.audit.verify.{name}", without)
    assert log.problems() == []


def test_A6_new_rows_behind_a_cut_go_unseen_without_checkpoints(log, monkeypatch):
    log.grow(9)
    with log.database.transaction(write=False) as session:
        cut(log, session)
    log.grow(5, anchored=False)
    assert log.problems() == ["HUB-AUD-006"]
    monkeypatch.setattr("hub.audit.verify.lines", lambda *_: iter(()))
    assert log.problems() == []


def test_A3_a_missing_row_goes_unseen_without_numbers_chain_and_counts(
    log, monkeypatch
):
    log.grow(9)
    with log.database.transaction(write=False) as session:
        session.execute(delete(audit_event).where(audit_event.c.seq == 5))
        session.execute(delete(audit_seal).where(audit_seal.c.seq == 5))
    assert log.problems() == ["HUB-AUD-003", "HUB-AUD-014"]
    monkeypatch.setattr("hub.audit.verify.is_gap_before", lambda *_: False)
    # The next row's hash does not follow from the one before the gap.
    assert log.problems() == ["HUB-AUD-001", "HUB-AUD-014"]
    monkeypatch.setattr("hub.audit.verify.link", lambda *_: Same())
    assert log.problems() == ["HUB-AUD-014"]
    monkeypatch.setattr("hub.audit.verify.lines", lambda *_: iter(()))
    assert log.problems() == []
