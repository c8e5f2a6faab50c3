"""Has anybody touched the log? Walk the chain and hold it against the checkpoints.

Pages through the log in short transactions, so that it blocks nobody and a million
rows need the memory of one page. Rows and checkpoints are append-only, which makes
the pages agree with one another.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import exists, func, select, text

from hub.audit.checkpoint import Checkpoint, is_signed, lines, parse
from hub.audit.columns import SEARCHED, columns
from hub.audit.seal import Head, as_bytes, link, read_head
from hub.audit.tables import audit_event, audit_seal
from hub.database import Database
from hub.fhir.dates import from_micros, instant
from hub.fhir.outcome import Issue, issue

_PAGE = 2000
_MOST_PROBLEMS = 200


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` saw.

    Rows 1 to `anchored` are vouched for by a signed checkpoint, those up to `sealed`
    by the chain alone, and `unsealed` rows (the oldest at `oldest_unsealed`,
    microseconds UTC) by nothing yet. `problems` holds at most 200 of
    `problem_count`, each a sentence in Japanese and English.
    """

    sealed: int
    anchored: int
    checkpoints: int
    unsealed: int
    oldest_unsealed: int | None
    problems: tuple[Issue, ...]
    problem_count: int

    @property
    def is_intact(self) -> bool:
        return self.problem_count == 0


def verify(
    database: Database, checkpoints: Path, public_key: Ed25519PublicKey
) -> Report:
    """Check the whole log; finds A1 to A8 of security.md §4, raising for none."""
    # The size first: a checkpoint written later may be ahead of the rows read here.
    size = checkpoints.stat().st_size if checkpoints.exists() else 0
    walk = _Walk(anchors=_Anchors(checkpoints, size, public_key))
    walk.finish(_walk(database, walk))
    unsealed, oldest = _unsealed(database, walk.problems)
    found = walk.problems.found + walk.anchors.problems.found
    return Report(
        sealed=walk.last.seq,
        anchored=walk.anchored,
        checkpoints=walk.anchors.read,
        unsealed=unsealed,
        oldest_unsealed=oldest,
        problems=tuple(found[:_MOST_PROBLEMS]),
        problem_count=walk.problems.count + walk.anchors.problems.count,
    )


@dataclass(slots=True)
class _Problems:
    found: list[Issue] = field(default_factory=list)
    count: int = 0

    def add(self, id_: str, **fields: Any) -> None:
        self.count += 1
        if len(self.found) < _MOST_PROBLEMS:
            self.found.append(issue(id_, **fields))


class _Anchors:
    """The signed checkpoints in the order of the file, each line checked once."""

    def __init__(self, path: Path, size: int, key: Ed25519PublicKey) -> None:
        self.problems = _Problems()
        self.read = 0
        self._key = key
        self._stream = self._valid(lines(path, size))
        self.next: Checkpoint | None = next(self._stream, None)

    def advance(self) -> None:
        self.next = next(self._stream, None)

    def _valid(self, raw: Iterator[bytes]) -> Iterator[Checkpoint]:
        last = 0
        for number, line in enumerate(raw, start=1):
            parsed = parse(line)
            if parsed is None:
                self.problems.add("HUB-AUD-008", line=number)
            elif not is_signed(self._key, *parsed):
                self.problems.add("HUB-AUD-007", line=number)
            elif parsed[0].seq < last:
                self.problems.add("HUB-AUD-009", line=number)
            else:
                last = parsed[0].seq
                self.read += 1
                yield parsed[0]


@dataclass(slots=True)
class _Walk:
    """Where the chain stands while it is walked, and what was wrong so far."""

    anchors: _Anchors
    last: Head = field(default_factory=Head)
    anchored: int = 0
    seals: int = 0
    is_sound: bool = True  # no break so far: a checkpoint vouches for all before it
    problems: _Problems = field(default_factory=_Problems)

    def step(self, row: Any) -> None:
        is_gap = row.seal != self.last.seq + 1
        if is_gap:
            first = self.last.seq + 1
            self._add("HUB-AUD-003", first=first, last=row.seal - 1)
        self.seals += 1
        stored, body = as_bytes(row.hash), as_bytes(row.body)
        if row.body is None:
            self._add("HUB-AUD-002", seq=row.seal)
        elif not is_gap and link(row.seal, self.last.hash, body) != stored:
            self._add("HUB-AUD-001", seq=row.seal)
        else:
            self._check_columns(row, body)
        self.last = Head(row.seal, stored)
        self._check_anchors()

    def finish(self, head: Head) -> None:
        while self.anchors.next is not None:
            seq = self.anchors.next.seq
            if seq > self.last.seq:
                self._add("HUB-AUD-005", seq=seq, last=self.last.seq)
            self.anchors.advance()
        if head.seq > self.last.seq:
            self._add("HUB-AUD-004", head=head.seq, last=self.last.seq)
        elif head != self.last:
            self._add("HUB-AUD-012", last=self.last.seq)

    def _check_anchors(self) -> None:
        while (anchor := self.anchors.next) and anchor.seq <= self.last.seq:
            if anchor.seq < self.last.seq:
                pass  # its own row is missing, or it stands for the empty log
            elif anchor.head != self.last.hash.hex():
                self._add("HUB-AUD-006", seq=anchor.seq)
            elif anchor.count != self.seals:
                self._add(
                    "HUB-AUD-014",
                    seq=anchor.seq,
                    count=anchor.count,
                    found=self.seals,
                )
            elif self.is_sound:
                self.anchored = anchor.seq
            self.anchors.advance()

    def _check_columns(self, row: Any, body: bytes) -> None:
        try:
            expected = columns(orjson.loads(body))
        except (ValueError, LookupError, TypeError, AttributeError):
            # Only behind a gap, where no hash vouches for the body.
            self._add("HUB-AUD-001", seq=row.seal)
            return
        if not _is_recorded(row.recorded, body):
            self._add("HUB-AUD-010", seq=row.seal, name="recorded")
        for column, value in expected.items():
            if getattr(row, column) != value:
                self._add("HUB-AUD-010", seq=row.seal, name=column)
        if row.seq != row.seal:
            self._add("HUB-AUD-010", seq=row.seal, name="seq")

    def _add(self, id_: str, **fields: Any) -> None:
        self.is_sound = False
        self.problems.add(id_, **fields)


def _is_recorded(micros: object, body: bytes) -> bool:
    """True when the column says the moment of the body; SQLite holds any type in it."""
    try:
        moment = instant(from_micros(micros))  # type: ignore[arg-type] # what was found
    except (TypeError, ValueError, OverflowError):
        return False
    return f'"recorded":"{moment}"'.encode() in body


def _walk(database: Database, walk: _Walk) -> Head:
    """Take every seal through `walk`, in order; the head as of the last page."""
    after = 0
    while True:
        head, page = _page(database, after)
        for row in page:
            walk.step(row)
        if len(page) < _PAGE:
            return head
        after = page[-1].seal


def _page(database: Database, after: int) -> tuple[Head, list[Any]]:
    event = audit_event.c
    statement = (
        select(
            audit_seal.c.seq.label("seal"),
            audit_seal.c.hash,
            event.id,
            event.recorded,
            *(event[name] for name in SEARCHED),
            event.body,
            event.seq,
        )
        .select_from(
            audit_seal.outerjoin(audit_event, audit_event.c.id == audit_seal.c.event)
        )
        .where(audit_seal.c.seq > after)
        .order_by(audit_seal.c.seq)
        .limit(_PAGE)
    )
    with database.transaction(write=False) as session:
        if not database.is_sqlite:
            # The head and its rows from one snapshot: sealing goes on meanwhile.
            session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        return read_head(session), list(session.execute(statement).all())


def _unsealed(database: Database, problems: _Problems) -> tuple[int, int | None]:
    has_seal = exists().where(audit_seal.c.event == audit_event.c.id)
    waiting = select(func.count(), func.min(audit_event.c.recorded)).where(
        audit_event.c.seq.is_(None), ~has_seal
    )
    orphans = (
        select(func.count())
        .select_from(audit_event)
        .where(audit_event.c.seq.is_not(None), ~has_seal)
    )
    with database.transaction(write=False) as session:
        count, oldest = session.execute(waiting).one()
        if orphaned := session.execute(orphans).scalar_one():
            problems.add("HUB-AUD-011", count=orphaned)
    return count, oldest
