"""One hub with its log: a database of each kind, a key, a checkpoint file."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub import audit
from hub.actor import Actor
from hub.audit.checkpoint import Checkpoints, load_key
from hub.audit.seal import seal_batch
from hub.audit.verify import Report, verify
from hub.database import Database
from tests.audit.databases import KINDS, opened

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
HOSPITAL = Actor("hospital-1", "4619999917", request_id="r-1", correlation_id="c-1")


class Log:
    """A hub's log in short: write rows, seal, anchor, verify."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.path = folder / "elsewhere" / "checkpoints.jsonl"
        self.key = load_key(folder / "keys" / "audit.pem", create=True)
        self.checkpoints = Checkpoints(self.path, self.key)
        self.at = START

    def write(self, count: int = 1, interaction: str = "read", **over) -> list[str]:
        ids = []
        with self.database.transaction(write=False) as session:
            for _ in range(count):
                self.at += timedelta(milliseconds=1)
                facts = {"targets": ["Task/t1"], "patients": ["Patient/p1"]} | over
                ids += audit.record(session, HOSPITAL, interaction, at=self.at, **facts)
        return ids

    def seal(self) -> int:
        return seal_batch(self.database)

    def anchor(self) -> int:
        return self.checkpoints.anchor(self.database, self.at).seq

    def grow(self, count: int, *, anchored: bool = True) -> None:
        """`count` more rows, sealed and, unless told otherwise, anchored."""
        self.write(count)
        self.seal()
        if anchored:
            self.anchor()

    def verify(self) -> Report:
        return verify(self.database, self.path, self.key.public_key())

    def problems(self) -> list[str]:
        return [found.id for found in self.verify().problems]


@pytest.fixture(params=KINDS)
def database(request, tmp_path: Path) -> Iterator[Database]:
    with opened(request.param, tmp_path) as database:
        yield database


@pytest.fixture
def log(database: Database, tmp_path: Path) -> Log:
    return Log(database, tmp_path)
