"""One outbox in a database of each kind, with grants that can be closed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    insert,
    select,
    update,
)

from hub.database import Database, Session
from hub.delivery import operate, outbox
from hub.delivery.connector import DeliveryError
from hub.delivery.outbox import Envelope, Settled
from tests.audit.databases import KINDS, opened

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

# What `hub.disclosure` keeps, as far as the outbox asks for it.
grants = Table(
    "test_grant",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("case_id", Text),
    Column("is_open", Integer, nullable=False),
)


def may_leave(session: Session, grant_id: str) -> bool:
    found = session.execute(
        select(grants.c.is_open)
        .where(grants.c.id == grant_id)
        .with_for_update(read=True)
    ).scalar_one()
    return bool(found)


class Outbox:
    """The outbox in short, with a clock that stands still until it is moved."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.at = START
        grants.create(database.engine)
        with database.transaction() as session:
            for case in ("c1", "c2", "c3"):
                row = {"id": f"g-{case}", "case_id": case, "is_open": 1}
                session.execute(insert(grants), [row])

    def clock(self) -> datetime:
        return self.at

    def pass_(self, **time) -> None:
        self.at += timedelta(**time)

    def add(self, case: str = "c1", organisation: str = "aira", **over) -> str:
        with self.database.transaction() as session:
            return self.add_in(session, case, organisation, **over)

    def add_in(self, session, case="c1", organisation="aira", **over) -> str:
        facts = {
            "kind": "referral",
            "subject": f"Task/{case}",
            "body": b'{"resourceType":"Bundle"}',
            "grant_id": f"g-{case}" if case else None,
            "patients": [f"Patient/{case}"],
            "correlation_id": f"corr-{case}",
            "at": self.at,
        }
        return outbox.add(
            session, case=case, organisation=organisation, **(facts | over)
        )

    def claim(self, batch: int = 20, worker: str = "w1", **over) -> list[Envelope]:
        return outbox.claim(self.database, worker, batch, self.at, **over)

    def start(self, envelope: Envelope) -> str:
        with self.database.transaction(write=False) as session:
            return outbox.start_sending(session, envelope, may_leave, self.at)

    def settle(
        self, envelope: Envelope, error: DeliveryError | None = None
    ) -> Settled | None:
        with self.database.transaction(write=False) as session:
            return outbox.settle(session, envelope, error, at=self.at)

    def recover(self) -> list[Envelope]:
        with self.database.transaction(write=False) as session:
            return outbox.recover(session, self.at)

    def withdraw(self, case: str = "c1") -> list[operate.Sent]:
        with self.database.transaction() as session:
            session.execute(
                update(grants).where(grants.c.case_id == case).values(is_open=0)
            )
            return operate.withdraw(session, case, at=self.at)

    def row(self, id_: str) -> Envelope:
        with self.database.transaction(write=False) as session:
            found = operate.read(session, id_)
        assert found is not None
        return found

    def status(self, id_: str) -> str:
        return self.row(id_).status


@pytest.fixture(params=KINDS)
def database(request, tmp_path: Path) -> Iterator[Database]:
    with opened(request.param, tmp_path) as database:
        yield database


@pytest.fixture
def box(database: Database) -> Outbox:
    return Outbox(database)
