"""The database: one engine, one transaction at a time, SQLite or PostgreSQL.

SQLite begins IMMEDIATE: with the driver's own lazy begin a read-check-write could
see two states. On PostgreSQL a writing transaction takes one advisory lock first,
so writes commit in the order they are stamped, as on SQLite: a client that polls by
`_lastUpdated` cannot miss a slow transaction, and conditional writes cannot race.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Connection,
    Dialect,
    Double,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    insert,
    text,
)
from sqlalchemy.engine import make_url

Session = Connection
metadata = MetaData()
AtEnd = Callable[[Connection, dict[Any, Any]], None]

_WRITE_LOCK = 7_352_246  # any constant: the key of the advisory lock


class Database:
    """An engine and its transactions. Thread-safe; `close` when done."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # SQLite has one writer and lets the others sleep and try again: threads of
        # one process take turns instead (measured: p95 of four, 350 to 90 ms).
        self._turn: AbstractContextManager[Any] = (
            threading.RLock() if self.is_sqlite else nullcontext()
        )
        plain = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._glances = self.engine.execution_options(is_glance=True, **plain)

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[Session]:
        """The only commit: on leaving normally, after what was collected is written.

        `write=False` promises to store nothing but audit rows and skips the lock
        that orders writes.
        """
        with self._turn, self.engine.begin() as session:
            # `info` outlives a rollback: the connection is pooled.
            session.info.pop("collected", None)
            session.info.pop("at_end", None)
            if write and not self.is_sqlite:
                session.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITE_LOCK}
                )
            yield session
            flush(session)
            for act, noted in session.info.pop("at_end", {}).items():
                act(session, noted)
            flush(session)

    @contextmanager
    def glance(self) -> Iterator[Session]:
        """A session that only reads, each statement as the database then is.

        No transaction: on SQLite it waits for no writer, on PostgreSQL it saves the
        round trips of begin and rollback.
        """
        with self._glances.connect() as session:
            yield session

    def weaknesses(self) -> list[str]:
        """Server settings under which an acknowledged write could be lost (§5)."""
        if self.is_sqlite:
            return []  # set by us on every connection
        with self.engine.connect() as connection:
            return [
                name
                for name in ("fsync", "synchronous_commit", "full_page_writes")
                if connection.exec_driver_sql(f"SHOW {name}").scalar() == "off"
            ]

    def close(self) -> None:
        self.engine.dispose()


def make_engine(url: str) -> Engine:
    """An engine with the safe settings of security.md §5 (WAL, FULL, foreign keys)."""
    parsed = make_url(url)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        return create_engine(
            parsed,
            pool_size=10,
            max_overflow=20,
            pool_pre_ping=True,
            hide_parameters=True,  # an error must not tell what was to be stored
        )
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, pool_size=20, max_overflow=20, hide_parameters=True)
    event.listen(engine, "connect", _sqlite_pragmas)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def collect(session: Session, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Keep rows for one bulk insert per table before the commit or the next query."""
    pending: dict[Table, list[dict[str, Any]]] = session.info.setdefault(
        "collected", defaultdict(list)
    )
    pending[table].extend(rows)


def at_end(session: Session, act: AtEnd) -> dict[Any, Any]:
    """Do `act` once, last before the commit; what it is handed then, to note things in.

    For what only the outcome of a whole transaction decides: who may see what changed
    is known when its grants are opened and closed. A rollback forgets it.
    """
    acts: dict[AtEnd, dict[Any, Any]] = session.info.setdefault("at_end", {})
    return acts.setdefault(act, {})


def flush(session: Session) -> None:
    """Insert what was collected. Whoever queries a collected table calls this first."""
    pending = session.info.pop("collected", None)
    on_postgresql = session.dialect.name == "postgresql"
    for table, rows in (pending or {}).items():
        if rows and _is_plain(table):
            (_insert_arrays if on_postgresql else _insert_tuples)(session, table, rows)
        elif rows:
            session.execute(insert(table), rows)


def _insert_tuples(session: Session, table: Table, rows: list[dict[str, Any]]) -> None:
    """The driver's own bulk insert: measured, 500 rows at half of the time.

    The first row says which columns there are, as for any bulk insert.
    """
    names = tuple(rows[0])
    values = [tuple([row[name] for name in names]) for row in rows]
    session.exec_driver_sql(_tuples_sql(table, names), values)


@cache
def _tuples_sql(table: Table, names: tuple[str, ...]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    # Names of our own tables and columns: nothing received is part of the text.
    return f'INSERT INTO "{table.name}" ({quoted}) VALUES ({marks})'  # noqa: S608


def _insert_arrays(session: Session, table: Table, rows: list[dict[str, Any]]) -> None:
    """One statement with an array a column: measured, 300 rows at a third of the time.

    The first row says which columns there are, as for any bulk insert.
    """
    names = tuple(rows[0])
    arrays = tuple([row[name] for row in rows] for name in names)
    session.exec_driver_sql(_arrays_sql(table, names, session.dialect), arrays)


@cache
def _arrays_sql(table: Table, names: tuple[str, ...], dialect: Dialect) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    types = [table.c[n].type.compile(dialect=dialect) for n in names]
    arrays = ", ".join(f"%s::{t.partition(' COLLATE')[0]}[]" for t in types)
    # Names of our own tables and columns: nothing received is part of the text.
    return f'INSERT INTO "{table.name}" ({quoted}) SELECT * FROM unnest({arrays})'  # noqa: S608


@cache
def _is_plain(table: Table) -> bool:
    """True when the driver can be given the values as they are."""
    return all(
        isinstance(c.type, Integer | Text | LargeBinary | Boolean | Double)
        and c.default is None
        for c in table.c
    )


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    # The event below begins; the driver must not begin on its own.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=30000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    if not connection.get_execution_options().get("is_glance"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
