"""History: every version, newest first, of one resource, a type or all."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Table,
    and_,
    func,
    or_,
    select,
    union_all,
)

from hub.database import Session, flush
from hub.fhir.dates import micros
from hub.store.stored import Stored, columns, from_row
from hub.store.tables import resource as current
from hub.store.tables import resource_version as former
from hub.store.visibility import Visible

Position = tuple[int, str, str, int]  # last_updated in microseconds, type, id, version


@dataclass(frozen=True, slots=True)
class History:
    """A page: `total` counts every visible version.

    `next` continues with older versions after it, `previous` with newer ones before.
    """

    entries: list[Stored]
    total: int
    next: Position | None
    previous: Position | None = None


def history(
    session: Session,
    resource_type: str | Collection[str] | None,
    id: str | None,
    visible: Visible,
    *,
    since: datetime | None = None,
    count: int = 50,
    after: Position | None = None,
    before: Position | None = None,
) -> History:
    """A page of at most `count` versions, newest first.

    Without `id` the history of the type, or of several; without both of everything.
    `since` keeps versions made at or after it. `after` is the `next` of a page,
    `before` the `previous` of one: walking back shows the pages of the way forth. A
    version is told by `Stored.method`: POST, PUT or DELETE.
    """
    flush(session)
    branches = [
        (table, [*_of(table, resource_type, id, since), visible(table)])
        for table in (current, former)
    ]
    total = sum(_count(session, table, where) for table, where in branches)
    beyond = _newer if before else _older
    order = _ascending if before else _descending
    start = before or after
    parts = []
    for table, where in branches:
        # Each table by its own index first: the union would be sorted in full.
        rest = [beyond(table, start)] if start else []
        part = select(*columns(table)).where(*where, *rest)
        parts.append(part.order_by(*order(table)).limit(count + 1).subquery())
    both = union_all(*(select(part) for part in parts)).subquery("versions")
    page = select(both).order_by(*order(both)).limit(count + 1)
    found = [from_row(session, row) for row in session.execute(page)]
    return _page(found, count, total, after, before)


def _page(
    found: list[Stored],
    count: int,
    total: int,
    after: Position | None,
    before: Position | None,
) -> History:
    """Cut the row too many, which only says that there is more in this direction."""
    has_more = len(found) > count
    entries = found[:count]
    if before:
        entries.reverse()
    if not entries:
        return History([], total, None)
    older = _position(entries[-1]) if before or has_more else None
    newer = _position(entries[0]) if after or (before and has_more) else None
    return History(entries, total, older, newer)


def _count(session: Session, rows: Table, where: list[ColumnElement[bool]]) -> int:
    counted = select(func.count()).select_from(rows).where(*where)
    return int(session.execute(counted).scalar_one())


def _of(
    rows: FromClause,
    resource_type: str | Collection[str] | None,
    id: str | None,
    since: datetime | None,
) -> list[ColumnElement[bool]]:
    conditions = []
    if isinstance(resource_type, str):
        conditions.append(rows.c.type == resource_type)
    elif resource_type is not None:
        conditions.append(rows.c.type.in_(sorted(resource_type)))
    if id is not None:
        conditions.append(rows.c.id == id)
    if since is not None:
        conditions.append(rows.c.last_updated >= micros(since))
    return conditions


def _descending(rows: FromClause) -> list[ColumnElement[object]]:
    return [column.desc() for column in _keys(rows)]


def _ascending(rows: FromClause) -> list[ColumnElement[object]]:
    return [column.asc() for column in _keys(rows)]


def _keys(rows: FromClause) -> tuple[ColumnElement[Any], ...]:
    c = rows.c
    return (c.last_updated, c.type, c.id, c.version)


def _older(rows: FromClause, position: Position) -> ColumnElement[bool]:
    moment, type_, id_, version = position
    c = rows.c
    same = and_(c.type == type_, c.id == id_)
    before = or_(
        c.type < type_,
        and_(c.type == type_, c.id < id_),
        and_(same, c.version < version),
    )
    # The first condition is what an index can be entered by.
    return and_(c.last_updated <= moment, or_(c.last_updated < moment, before))


def _newer(rows: FromClause, position: Position) -> ColumnElement[bool]:
    moment, type_, id_, version = position
    c = rows.c
    same = and_(c.type == type_, c.id == id_)
    behind = or_(
        c.type > type_,
        and_(c.type == type_, c.id > id_),
        and_(same, c.version > version),
    )
    return and_(c.last_updated >= moment, or_(c.last_updated > moment, behind))


def _position(stored: Stored) -> Position:
    return (micros(stored.last_updated), stored.type, stored.id, stored.version)
