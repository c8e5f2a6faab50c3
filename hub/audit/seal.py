"""Chain committed audit rows: h_n = SHA-256(n, h_{n-1}, body), length-prefixed.

Rows commit unchained with their act; one sealer at a time, the one that holds the
lock of the head row, chains them in the order in which it claims them. Chaining in
each commit would serialise every audited read (security.md §4).
"""

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.audit.tables import audit_event, audit_head, audit_seal
from hub.database import Database, Session, flush

GENESIS = bytes(32)
_BATCH = 1000
_PATIENCE = 60.0  # seconds of one round; a first start may have much to seal

log = structlog.get_logger(__name__)


class Head(NamedTuple):
    """The last sealed row: its number (0 = none yet) and its hash (32 bytes)."""

    seq: int = 0
    hash: bytes = GENESIS


def link(seq: int, previous: bytes, body: bytes) -> bytes:
    """The hash of row `seq`, fields length-prefixed so that none can be shifted."""
    digest = hashlib.sha256()
    for part in (seq.to_bytes(8, "big"), previous, body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def seal_now(session: Session) -> Head:
    """Chain all that is unsealed, the session's own rows too, and wait for the lock.

    For the end of a withdrawal's transaction. The checkpoint follows after the
    commit (`Checkpoints.anchor`): one of a commit that failed would look like a
    database that was set back.
    """
    flush(session)
    head = _lock_head(session, wait=True) or Head()
    while True:
        sealed = _seal_batch(session, head, _BATCH)
        if sealed.seq - head.seq < _BATCH:
            return sealed
        head = sealed


def seal_batch(database: Database, limit: int = _BATCH) -> int:
    """Chain up to `limit` rows in one transaction; 0 also when another is at it."""
    with database.transaction(write=False) as session:
        head = _lock_head(session, wait=False)
        if head is None:
            return 0
        return _seal_batch(session, head, limit).seq - head.seq


def as_bytes(value: Any) -> bytes:
    """What a column holds, as bytes.

    Whoever edits SQLite by hand may leave text in a column of bytes: that is a
    change to be found, not an error of the reader.
    """
    is_bytes = isinstance(value, bytes | bytearray | memoryview)
    return bytes(value) if is_bytes else str(value).encode()


def read_head(session: Session) -> Head:
    """The head as committed, without waiting for a sealer."""
    row = session.execute(select(audit_head.c.seq, audit_head.c.hash)).first()
    return Head(row.seq, as_bytes(row.hash)) if row else Head()


def _lock_head(session: Session, *, wait: bool) -> Head | None:
    # FOR UPDATE is not rendered on SQLite, where BEGIN IMMEDIATE has the lock.
    statement = select(audit_head.c.seq, audit_head.c.hash).with_for_update(
        skip_locked=not wait
    )
    row = session.execute(statement).first()
    if row is None and session.execute(select(audit_head.c.id)).first() is None:
        dialect = postgresql if session.dialect.name == "postgresql" else sqlite
        first = dialect.insert(audit_head).values(id=1, seq=0, hash=GENESIS)
        session.execute(first.on_conflict_do_nothing())
        row = session.execute(statement).first()
    return Head(row.seq, bytes(row.hash)) if row else None


def _seal_batch(session: Session, head: Head, limit: int) -> Head:
    unsealed = session.execute(
        select(audit_event.c.id, audit_event.c.body)
        .where(audit_event.c.seq.is_(None))
        .order_by(audit_event.c.recorded, audit_event.c.id)
        .limit(limit)
    ).all()
    if not unsealed:
        return head
    seq, chained = head
    seals = []
    for id_, body in unsealed:
        seq += 1
        chained = link(seq, chained, bytes(body))
        seals.append({"seq": seq, "event": id_, "hash": chained})
    session.execute(insert(audit_seal), seals)
    session.execute(
        update(audit_event)
        .where(
            audit_event.c.id == audit_seal.c.event,
            audit_seal.c.seq > head.seq,
            audit_event.c.seq.is_(None),
        )
        .values(seq=audit_seal.c.seq)
    )
    session.execute(update(audit_head).values(seq=seq, hash=chained))
    return Head(seq, chained)


class Sealer:
    """A thread that seals what commits, within `interval` seconds (below one).

    `after` is called once a round, whether or not something was sealed: the
    checkpoints hang there. A failing round is logged and tried again; `is_well` tells
    readiness about it, and about a round that does not end.
    """

    def __init__(
        self,
        database: Database,
        after: Callable[[], object] | None = None,
        interval: float = 0.25,
    ) -> None:
        self.failing = False
        self._ended = time.monotonic()
        self._database = database
        self._after = after
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="audit-sealer", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    @property
    def is_well(self) -> bool:
        """False while rows stay unsealed or unanchored: then not ready (§1.5)."""
        is_late = time.monotonic() - self._ended > _PATIENCE
        return not self.failing and not is_late and self._thread.is_alive()

    def stop(self, timeout: float = 10.0) -> None:
        """Seal what is left and end; waits up to `timeout` seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._round()
        self._round()

    def _round(self) -> None:
        try:
            while seal_batch(self._database) == _BATCH:
                pass
            if self._after:
                self._after()
        except Exception as error:  # noqa: BLE001 - a sealer that dies is silent
            self.failing = True
            log.error("audit-sealing-failed", error=type(error).__name__)  # noqa: TRY400
        else:
            self.failing = False
        self._ended = time.monotonic()
