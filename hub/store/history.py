"""History: every version, newest first, of one resource, a type or all."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Subquery,
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
    """A page: `total` counts every visible version, `next` continues after it."""

    entries: list[Stored]
    total: int
    next: Position | None


def history(
    session: Session,
    resource_type: str | None,
    id: str | None,
    visible: Visible,
    *,
    since: datetime | None = None,
    count: int = 50,
    after: Position | None = None,
) -> History:
    """A page of at most `count` versions, newest first.

    Without `id` the history of the type, without both of everything. `since` keeps
    versions made at or after it. `after` is the `next` of the page before. A
    version is told by `Stored.method`: POST, PUT or DELETE.
    """
    flush(session)
    branches = [
        (table, [*_of(table, resource_type, id, since), visible(table)])
        for table in (current, former)
    ]
    total = sum(_count(session, table, where) for table, where in branches)
    newest = [_newest(table, where, after, count + 1) for table, where in branches]
    both = union_all(*(select(rows) for rows in newest)).subquery("versions")
    page = select(both).order_by(*_descending(both)).limit(count + 1)
    rows = session.execute(page).all()
    entries = [from_row(row) for row in rows[:count]]
    last = entries[-1] if len(rows) > count and entries else None
    return History(entries, total, _position(last) if last else None)


def _count(session: Session, rows: Table, where: list[ColumnElement[bool]]) -> int:
    counted = select(func.count()).select_from(rows).where(*where)
    return int(session.execute(counted).scalar_one())


def _newest(
    rows: Table, where: list[ColumnElement[bool]], after: Position | None, limit: int
) -> Subquery:
    # Each table by its own index first: the union of both would be sorted in full.
    behind = [_older(rows, after)] if after else []
    newest = select(*columns(rows)).where(*where, *behind)
    return newest.order_by(*_descending(rows)).limit(limit).subquery()


def _of(
    rows: FromClause, resource_type: str | None, id: str | None, since: datetime | None
) -> list[ColumnElement[bool]]:
    conditions = []
    if resource_type is not None:
        conditions.append(rows.c.type == resource_type)
    if id is not None:
        conditions.append(rows.c.id == id)
    if since is not None:
        conditions.append(rows.c.last_updated >= micros(since))
    return conditions


def _descending(rows: FromClause) -> list[ColumnElement[object]]:
    c = rows.c
    return [column.desc() for column in (c.last_updated, c.type, c.id, c.version)]


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


def _position(stored: Stored) -> Position:
    return (micros(stored.last_updated), stored.type, stored.id, stored.version)
