"""The database: one engine, one transaction at a time, SQLite or PostgreSQL.

SQLite begins IMMEDIATE: with the driver's own lazy begin a read-check-write could
see two states. On PostgreSQL a writing transaction takes one advisory lock first,
so writes commit in the order they are stamped, as on SQLite: a client that polls by
`_lastUpdated` cannot miss a slow transaction, and conditional writes cannot race.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, lru_cache, partial
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

import orjson
import psycopg
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    CursorResult,
    Dialect,
    Double,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    create_engine,
    event,
    insert,
)
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.sql.compiler import SQLCompiler

from hub.faults import is_full

Session = Connection
metadata = MetaData()


class _NoRows(logging.Filter):
    """No row that was read: SQLAlchemy's DEBUG shows them, `hide_parameters` or not."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Row ")


logging.getLogger("sqlalchemy.engine.Engine").addFilter(_NoRows())
AtEnd = Callable[[Connection, dict[Any, Any]], None]

_REST = 5.0  # seconds after which a pooled connection is asked whether it lives
_TRIAL = {
    "sqlite": (
        "CREATE TABLE trial_of_room (body BLOB)",
        "INSERT INTO trial_of_room VALUES (zeroblob(8000000))",
    ),
    "postgresql": (
        "CREATE TEMPORARY TABLE trial_of_room (body TEXT) ON COMMIT DROP",
        "INSERT INTO trial_of_room SELECT 'x' FROM generate_series(1, 200000)",
    ),
}
_WRITE_LOCK = 7_352_246  # any constant: the key of the advisory lock


class Database:
    """An engine and its transactions. Thread-safe; `close` when done.

    With `seconds` no statement takes longer (on SQLite: no transaction), so that
    one costly search cannot keep the others waiting for ever (AB26).
    """

    def __init__(self, url: str, seconds: float | None = None) -> None:
        self.engine = make_engine(url, seconds)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # An engine of its own on PostgreSQL: to switch a connection to committing by
        # itself and back, twice a request, costs as much as a statement.
        self._glances = (
            self.engine.execution_options(is_glance=True)
            if self.is_sqlite
            else make_engine(url, seconds, isolation_level="AUTOCOMMIT")
        )
        self._was_full = False
        for engine in (self.engine, self._glances):
            event.listen(engine, "handle_error", self._note_full)
        # SQLite has one writer and lets the others sleep and try again: threads of
        # one process take turns instead (measured: p95 of four, 350 to 90 ms).
        self._turn: AbstractContextManager[Any] = (
            threading.RLock() if self.is_sqlite else nullcontext()
        )

    def carry(self, **options: object) -> None:
        """What every session of this database has among its execution options."""
        self.engine.update_execution_options(**options)
        self._glances.update_execution_options(**options)

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
                session.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")
            yield session
            flush(session)
            for act, noted in session.info.pop("at_end", {}).items():
                act(session, noted)
            flush(session)

    @contextmanager
    def disclosure(self) -> Iterator[Session]:
        """For one read of one resource and its audit row, which is all it stores.

        The row is committed on leaving. On PostgreSQL each statement is a transaction:
        nothing hangs together here but the order, and three round trips are saved.
        """
        if self.is_sqlite:
            with self.transaction(write=False) as session:
                yield session
            return
        with self._glances.connect() as session:
            session.info.pop("collected", None)
            yield session
            flush(session)

    @contextmanager
    def glance(self) -> Iterator[Session]:
        """A session that only reads, each statement as the database then is.

        No transaction: on SQLite it waits for no writer, on PostgreSQL it saves the
        round trips of begin and rollback.
        """
        with self._glances.connect() as session:
            yield session

    def has_room(self) -> bool:
        """Whether something can be written; tried out only after once it could not.

        Eight megabytes, to exceed what is only cached, and rolled back.
        """
        if not self._was_full:
            return True
        self._was_full = False
        with self.engine.connect() as session:
            try:
                for statement in _TRIAL[session.dialect.name]:
                    session.exec_driver_sql(statement)
            except DBAPIError:
                return False
            finally:
                session.rollback()
        return not self._was_full

    def _note_full(self, context: ExceptionContext) -> None:
        if is_full(context.original_exception):
            self._was_full = True

    def close(self) -> None:
        self.engine.dispose()
        self._glances.dispose()


def make_engine(
    url: str,
    seconds: float | None = None,
    # Whoever waited for a writer must see what it wrote (rest.md §4).
    isolation_level: IsolationLevel = "READ COMMITTED",
) -> Engine:
    """An engine with the safe settings of security.md §5 (WAL, FULL, foreign keys).

    `isolation_level` is PostgreSQL's; SQLite has one.
    """
    parsed = make_url(url)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        engine = create_engine(
            parsed,
            isolation_level=isolation_level,
            pool_size=10,
            max_overflow=10,
            hide_parameters=True,  # an error must not tell what was to be stored
        )
        event.listen(engine, "connect", _plan_for_many)
        event.listen(engine, "checkin", _remember_use)
        event.listen(engine, "checkout", _ping_after_rest)
        if seconds:
            event.listen(engine, "connect", partial(_time_out, seconds))
        return engine
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, pool_size=20, max_overflow=20, hide_parameters=True)
    event.listen(engine, "connect", _sqlite_pragmas)
    event.listen(engine, "begin", _begin_immediate)
    if seconds:
        event.listen(engine, "connect", _watch_deadline)
        event.listen(engine, "begin", partial(_set_deadline, seconds))
        event.listen(engine, "commit", _no_deadline)
        event.listen(engine, "rollback", _no_deadline)
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


def run(
    session: Session, statement: Select[Any], values: Mapping[str, Any]
) -> CursorResult[Any]:
    """A statement that is a constant of its module, given to the driver as text.

    For what every request asks: SQLAlchemy alone takes twice the time of the driver
    to find what it compiled before (measured: 0.21 against 0.10 ms). `values` are all
    of its parameters, none of them a list; columns come as the driver has them, a
    truth value on SQLite as 0 or 1.
    """
    text_, constants, order = _text_of(statement, session.dialect)
    named = {**constants, **values}
    if order is None:
        return session.exec_driver_sql(text_, named)
    return session.exec_driver_sql(text_, tuple(named[name] for name in order))


@lru_cache(maxsize=256)
def _text_of(
    statement: Select[Any], dialect: Dialect
) -> tuple[str, dict[str, Any], tuple[str, ...] | None]:
    """The text, the values written into the statement, the order of all by name."""
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    unset = dict.fromkeys(compiled.binds)
    expanded = compiled.construct_expanded_state(
        {n: None for n in unset if compiled.binds[n].required}
    )
    constants = {
        name: value
        for name, value in expanded.parameters.items()
        if not (name in unset and compiled.binds[name].required)
    }
    order = expanded.positiontup
    return expanded.statement, constants, tuple(order) if order is not None else None


def flush(session: Session) -> None:
    """Insert what was collected. Whoever queries a collected table calls this first."""
    pending = session.info.pop("collected", None)
    if not pending:
        return
    insert_plain = (
        _insert_documents
        if session.dialect.name == "postgresql"
        else _insert_each_table
    )
    filled = {table: rows for table, rows in pending.items() if rows}
    insert_plain(session, {t: filled[t] for t in filled if _is_plain(t)})
    for table, rows in filled.items():
        if not _is_plain(table):
            session.execute(insert(table), rows)


def _insert_each_table(
    session: Session, filled: dict[Table, list[dict[str, Any]]]
) -> None:
    for table, rows in filled.items():
        _insert_tuples(session, table, rows)


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


def _insert_documents(
    session: Session, filled: dict[Table, list[dict[str, Any]]]
) -> None:
    """All tables in one statement, the rows of each as one JSON document.

    Measured for a referral: a quarter of the time of an array for each column. Bytes
    that are collected are FHIR JSON, so they travel as text.
    """
    if not filled:
        return
    documents = tuple(
        orjson.dumps(_as_texts(table, rows)).decode() for table, rows in filled.items()
    )
    session.exec_driver_sql(_documents_sql(tuple(filled), session.dialect), documents)


def _as_texts(table: Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = _byte_columns(table)
    if not names:
        return rows
    return [{**row, **{n: bytes(row[n]).decode() for n in names}} for row in rows]


@cache
def _byte_columns(table: Table) -> tuple[str, ...]:
    return tuple(c.name for c in table.c if isinstance(c.type, LargeBinary))


@cache
def _documents_sql(some: tuple[Table, ...], dialect: Dialect) -> str:
    inserts = ", ".join(
        f"i{number} AS ({_document_sql(table, dialect)})"
        for number, table in enumerate(some)
    )
    return f"WITH {inserts} SELECT 1"


def _document_sql(table: Table, dialect: Dialect) -> str:
    bytes_ = _byte_columns(table)
    names = ", ".join(f'"{c.name}"' for c in table.c)
    values = ", ".join(
        f"""convert_to("{c.name}", 'UTF8')""" if c.name in bytes_ else f'"{c.name}"'
        for c in table.c
    )
    types = ", ".join(
        f'"{c.name}" {"TEXT" if c.name in bytes_ else _type_sql(c, dialect)}'
        for c in table.c
    )
    # Names of our own tables and columns: nothing received is part of the text.
    return (
        f'INSERT INTO "{table.name}" ({names}) SELECT {values} '  # noqa: S608
        f"FROM json_to_recordset(%s::json) AS x({types})"
    )


def _type_sql(column: Column[Any], dialect: Dialect) -> str:
    return column.type.compile(dialect=dialect).partition(" COLLATE")[0]


@cache
def _is_plain(table: Table) -> bool:
    """True when the driver can be given the values as they are."""
    return all(
        isinstance(c.type, Integer | Text | LargeBinary | Boolean | Double)
        and c.default is None
        for c in table.c
    )


def _plan_for_many(connection: Any, _record: object) -> None:
    """Each statement on one processor, without compiling it first.

    Many callers ask at once, each for little: helpers of one would only take the
    processors from the others.
    """
    connection.execute("SET max_parallel_workers_per_gather = 0")
    connection.execute("SET jit = off")
    connection.commit()


def _remember_use(_connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _ping_after_rest(connection: Any, record: Any, _proxy: Any) -> None:
    """Find out a connection that the server ended, before work is trusted to it.

    SQLAlchemy's own `pool_pre_ping` asks before every transaction: a round trip each.
    """
    if time.monotonic() - record.info.get("used", time.monotonic()) < _REST:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError from error  # the pool then opens another


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


def _time_out(seconds: float, connection: Any, _record: object) -> None:
    connection.execute(f"SET statement_timeout = {int(seconds * 1000)}")
    connection.commit()


def _watch_deadline(connection: Any, record: Any) -> None:
    """SQLite has no time-out: it asks us every so many steps whether to go on."""
    record.info["deadline"] = deadline = [inf]
    connection.set_progress_handler(lambda: monotonic() > deadline[0], 100_000)


def _set_deadline(seconds: float, connection: Connection) -> None:
    connection.info["deadline"][0] = monotonic() + seconds


def _no_deadline(connection: Connection) -> None:
    # What follows is a commit, which must not be torn apart, or idleness.
    connection.info["deadline"][0] = inf
