"""Seal anew, with the newest key, what an older one or none sealed.

Works beside running hubs: a few rows in each writing transaction, so nobody waits
long. It may be killed at any moment and run again; a row is sealed with one key or
the other, never with none.
"""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import ECKey
from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    Table,
    and_,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from hub import sealing
from hub.database import Database, Session
from hub.delivery.tables import outbox
from hub.delivery.tables import place as outbox_place
from hub.fhir.outcome import FhirError, issue
from hub.restful.tables import place as submission_place
from hub.restful.tables import submission
from hub.sealing.body import ALWAYS, DATA
from hub.sealing.keys import ContentKeys
from hub.sealing.tables import content_key, sealed_content
from hub.store.stored import place as version_place
from hub.store.tables import resource, resource_version
from hub.subscriptions import secrets
from hub.subscriptions.tables import subscription

_ROWS = 100  # in one transaction at most,
_SECONDS = 0.2  # and no longer than this: others wait to write


@dataclass(frozen=True, slots=True)
class Done:
    """`sealed` rows are now under the newest key; `refused` did not open."""

    sealed: int
    refused: int


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where the body of a place is kept."""

    table: Table
    where: ColumnElement[bool]
    column: str


def rotate(database: Database, keys: ContentKeys) -> Generator[Done, None, None]:
    """Seal everything with the newest key; what a transaction did, one by one.

    What does not open is left as it is and counted. Raises FhirError HUB-KEY-001 when
    the newest key cannot be read.
    """
    with database.glance() as session:
        clear = list(_in_clear(session))
    while clear:
        some, clear = clear[:_ROWS], clear[_ROWS:]
        with database.transaction() as session:
            yield _seal_some(session, some)
    last = ""
    while True:
        with database.transaction() as session:
            places = _under_old_keys(session, keys, last)
            done, last = _reseal_some(session, places, last)
        if not places:
            return
        yield done


def reseal_headers(database: Database, signing_keys: Sequence[ECKey]) -> int:
    """Seal subscribers' headers under the hub's first signing key; how many.

    They hang on the signing keys: before an old one is dropped, this must have run.
    """
    keys, done = secrets.keys(signing_keys), 0
    with database.transaction() as session:
        rows = session.execute(
            select(subscription.c.id, subscription.c.headers).where(
                subscription.c.headers.is_not(None)
            )
        ).all()
        for row in rows:
            sealed = bytes(row.headers)
            found = secrets.unseal(keys, row.id, sealed)
            if found is None or secrets.unseal(keys[:1], row.id, sealed) is not None:
                continue
            session.execute(
                update(subscription)
                .where(subscription.c.id == row.id)
                .values(headers=secrets.seal(keys, row.id, found))
            )
            done += 1
    return done


def uses(database: Database) -> Mapping[str, int]:
    """How many rows each key has sealed that was ever used."""
    with database.glance() as session:
        known = {row.id: 0 for row in session.execute(select(content_key.c.id))}
        counted = session.execute(
            select(sealed_content.c.key_id, func.count().label("rows")).group_by(
                sealed_content.c.key_id
            )
        )
        return known | {row.key_id: row.rows for row in counted}


def forget(database: Database, keys: ContentKeys, id: str) -> None:
    """Let a key go from the database; HUB-KEY-006 while anything needs it."""
    with database.transaction() as session:
        count = session.execute(
            select(func.count()).where(sealed_content.c.key_id == id)
        ).scalar_one()
        if count or keys.newest().kid == id:
            raise FhirError(issue("HUB-KEY-006", count=count))
        session.execute(delete(content_key).where(content_key.c.id == id))


def _under_old_keys(session: Session, keys: ContentKeys, last: str) -> list[str]:
    query = (
        select(sealed_content.c.place)
        .where(
            sealed_content.c.key_id != keys.newest().kid, sealed_content.c.place > last
        )
        .order_by(sealed_content.c.place)
        .limit(_ROWS)
    )
    return list(session.execute(query).scalars())


def _reseal_some(
    session: Session, places: Sequence[str], last: str
) -> tuple[Done, str]:
    until, done, refused = time.monotonic() + _SECONDS, 0, 0
    for place in places:
        last = place
        try:
            done += _reseal(session, place)
        except FhirError:
            refused += 1
        if time.monotonic() > until:
            break
    return Done(done, refused), last


def _reseal(session: Session, place: str) -> int:
    spot, body = _found(session, place)
    plain = sealing.opened(session, place, body)
    session.execute(delete(sealed_content).where(sealed_content.c.place == place))
    if not body:  # delivered or deleted since
        return 0
    _put(session, spot, sealing.sealed(session, place, plain))
    return 1


def _seal_some(session: Session, places: Sequence[str]) -> Done:
    done = 0
    for place in places:
        spot, body = _found(session, place)
        if body and sealing.opened(session, place, body) == body:
            _put(session, spot, sealing.sealed(session, place, body))
            done += 1
    return Done(done, 0)


def _found(session: Session, place: str) -> tuple[_Spot, bytes]:
    """Where the row of a place is now, and its body; empty when it has none."""
    spots = _spots(place)
    for spot in spots:
        query = select(spot.table.c[spot.column]).where(spot.where)
        body = session.execute(query).scalar_one_or_none()
        if body:
            return spot, bytes(body)
    return spots[0], b""


def _put(session: Session, spot: _Spot, body: bytes) -> None:
    session.execute(update(spot.table).where(spot.where).values({spot.column: body}))


def _spots(place: str) -> list[_Spot]:
    kind, _, rest = place.partition("/")
    if kind == "outbox":
        return [_Spot(outbox, outbox.c.id == rest, "body")]
    if kind == "submission":
        organisation, _, key = rest.partition("/")
        c = submission.c
        where = and_(c.organisation == organisation, c.key == key)
        return [_Spot(submission, where, "response")]
    id, _, version = rest.partition("/_history/")
    # A version becomes a former one by the next: its row moves, its seal holds.
    return [
        _Spot(
            table,
            and_(
                table.c.type == kind,
                table.c.id == id,
                table.c.version == int(version),
            ),
            "body",
        )
        for table in (resource, resource_version)
    ]


def _in_clear(session: Session) -> Iterator[str]:
    """Places whose content was stored by a hub that did not seal yet."""
    for table in (resource, resource_version):
        c = table.c
        query = select(c.type, c.id, c.version).where(
            _is_json(c.body), or_(c.type.in_(ALWAYS), _has_data(c.body))
        )
        for row in session.execute(query):
            yield version_place(row.type, row.id, row.version)
    for row in session.execute(select(outbox.c.id).where(*_holds(outbox.c.body))):
        yield outbox_place(row.id)
    c = submission.c
    answers = select(c.organisation, c.key).where(*_holds(c.response))
    for organisation, key in session.execute(answers):
        yield submission_place(organisation, key)


def _holds(column: Column[Any]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _is_json(column), _has_data(column)


def _is_json(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return func.substr(column, 1, 1) == literal(b"{", LargeBinary)


def _has_data(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return _Offset(column, literal(DATA, LargeBinary)) > 0


class _Offset(FunctionElement[int]):
    """Where bytes stand within bytes, from 1; 0 when they do not."""

    inherit_cache = True
    type = Integer()


@compiles(_Offset, "sqlite")
def _instr(element: _Offset, compiler: SQLCompiler, **kw: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kw)})"


@compiles(_Offset, "postgresql")
def _position(element: _Offset, compiler: SQLCompiler, **kw: Any) -> str:
    whole, part = (compiler.process(one, **kw) for one in element.clauses)
    return f"position({part} IN {whole})"
