"""A real database of each kind for the tests of audit and delivery."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from hub.audit import tables as audit_tables
from hub.database import Database, metadata
from hub.delivery import tables as delivery_tables

KINDS = ["sqlite", "postgresql"]
TABLES = [
    audit_tables.audit_event,
    audit_tables.audit_seal,
    audit_tables.audit_head,
    delivery_tables.outbox,
    delivery_tables.endpoint_state,
]


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Database]:
    """A fresh database with the tables; skips when there is no server for it."""
    with _url(kind, folder) as url:
        database = Database(url)
        metadata.create_all(database.engine, tables=TABLES)
        yield database
        database.close()


def url_of(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


@contextmanager
def _url(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'hub.db'}"
        return
    server = os.environ.get("TSUNAGI_TEST_POSTGRES")
    if not server:
        pytest.skip("TSUNAGI_TEST_POSTGRES is not set")
    parsed = make_url(server).set(drivername="postgresql+psycopg")
    name = f"hub_{uuid.uuid4().hex}"
    engine = create_engine(parsed, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
        yield parsed.set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()
