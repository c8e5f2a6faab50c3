"""A real database of each kind, and the store's functions in short."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from hub.database import Database, metadata
from hub.fhir.json import Resource
from hub.fhir.search import parse
from hub.sealing import keep
from hub.sealing.keys import content_keys
from hub.sealing.tables import content_key, sealed_content
from hub.settings import Settings
from hub.store import resources, tables
from hub.store.parameters import declared
from hub.store.search import search
from hub.store.visibility import hub_sees_all

POSTGRES = os.environ.get("TSUNAGI_TEST_POSTGRES")
BASE = "https://hub.example/fhir/R4"
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


KINDS = ("sqlite", "postgresql")


@pytest.fixture(params=KINDS)
def database(request, tmp_path: Path) -> Iterator[Database]:
    with opened(request.param, tmp_path) as database:
        yield database


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Database]:
    """An empty database with the store's tables, gone on leaving."""
    if kind == "postgresql" and not POSTGRES:
        pytest.skip("TSUNAGI_TEST_POSTGRES is not set")
    with _postgres() if kind == "postgresql" else _sqlite(folder) as url:
        database = Database(url)
        metadata.create_all(
            database.engine,
            tables=[
                tables.resource,
                tables.resource_version,
                *tables.INDEXES,
                sealed_content,
                content_key,
            ],
        )
        keep(database, content_keys(Settings(dev=True, state=folder)))
        yield database
        database.close()


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / 'store.db'}"


@contextmanager
def _postgres() -> Iterator[str]:
    server = make_url(POSTGRES or "").set(drivername="postgresql+psycopg")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"store_{uuid.uuid4().hex}"
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
        yield server.set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()


class Store:
    """The store with a clock that ticks a second a write, seen by the hub."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.at = START

    def tick(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at

    def create(self, *documents: Resource, **over) -> list[resources.Stored]:
        with self.database.transaction() as session:
            return [
                resources.create(
                    session,
                    document,
                    id=over.get("id", document.get("id")),
                    at=self.tick(),
                    base_url=BASE,
                )
                for document in documents
            ]

    def create_at(self, documents, moments) -> None:
        """Many at once, each with its own moment."""
        with self.database.transaction() as session:
            for document, at in zip(documents, moments, strict=True):
                resources.create(
                    session, document, id=document["id"], at=at, base_url=BASE
                )

    def update(
        self, document: Resource, expected: int | None = None
    ) -> resources.Stored:
        with self.database.transaction() as session:
            return resources.update(
                session, document, expected=expected, at=self.tick(), base_url=BASE
            )

    def delete(self, type_: str, id_: str, expected=None) -> resources.Stored:
        with self.database.transaction() as session:
            return resources.delete(
                session, type_, id_, expected=expected, at=self.tick()
            )

    def read(self, type_: str, id_: str, visible=hub_sees_all):
        with self.database.transaction(write=False) as session:
            return resources.read(session, type_, id_, visible)

    def search(self, url: str, visible=hub_sees_all, **page):
        type_, _, query = url.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        parsed = parse(type_, pairs, declared(), base_url=BASE)
        with self.database.transaction(write=False) as session:
            return search(session, type_, parsed, visible, **page)

    def ids(self, url: str, visible=hub_sees_all) -> list[str]:
        """The ids of the matches of one page, sorted unless `_sort` is asked for."""
        found = [m.id for m in self.search(url, visible).matches]
        return found if "_sort" in url else sorted(found)


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)
