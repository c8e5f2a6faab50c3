"""The bare database: as many rows in one transaction as a referral writes, no more."""

import time

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    MetaData,
    Table,
    func,
    insert,
    select,
)

from hub.database import Database
from hub.migrations.tables import metadata

_ROW = Table(
    "bench_row",
    MetaData(),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)
_BODY = bytes(150)  # bytes: what a row of a referral holds on average


def count_rows(database: Database) -> int:
    """The rows of all tables of the hub."""
    with database.transaction(write=False) as session:
        return sum(
            session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        )


def inserts_per_second(database: Database, rows: int, seconds: float) -> float:
    """Transactions a second, each of `rows` rows, in one thread."""
    _ROW.create(database.engine)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        with database.transaction() as session:
            keys = range(done * rows, (done + 1) * rows)
            values = [{"key": key, "body": _BODY} for key in keys]
            session.execute(insert(_ROW), values)
        done += 1
    rate = done / (time.perf_counter() - began)
    _ROW.drop(database.engine)
    return rate
