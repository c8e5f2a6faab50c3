"""Search, count and match over what an actor may see (rest.md §3).

Pages go on from the sort keys and the creation order of the last match (keyset), so
writes between two pages neither repeat nor hide a match whose keys stay.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    func,
    or_,
    select,
)

from hub.database import Session, flush
from hub.fhir.outcome import FhirError, issue
from hub.fhir.references import split
from hub.fhir.search import Query, Sort
from hub.store import tables
from hub.store.conditions import TABLES, conditions, known, numbers, view_of
from hub.store.include import included
from hub.store.parameters import definitions
from hub.store.stored import Stored, StoredRow, columns, from_row
from hub.store.visibility import Visible
from hub.store.width import View, seen

# The sort values of the last match, then its reference `Type/id`: plain data.
Cursor = tuple[str | int | float | None, ...]

_SORTED_BY = {
    "token": "code",
    "string": "value",
    "reference": "target_id",
    "uri": "value",
    "number": "low",
    "quantity": "low",
    "date": "low",
}


@dataclass(frozen=True, slots=True)
class Result:
    """A page. `total` is exact over what is visible, None when not asked for.

    `next` continues after the page, None on the last one.
    """

    matches: list[Stored]
    included: list[Stored] = field(default_factory=list)
    total: int | None = None
    next: Cursor | None = None


def search(
    session: Session,
    resource_type: str,
    query: Query,
    visible: Visible,
    *,
    after: Cursor | None = None,
    includable: Collection[str] | None = None,
    default_count: int = 50,
    max_count: int = 1000,
    max_included: int = 1000,
) -> Result:
    """One page of `query`, from `after` (the `next` of the page before) on.

    `resource_type` is "" when `query.types` names several. `includable` are the types
    that an include without a named target may bring along, None = any. Raises FhirError
    HUB-SEARCH-011 (too many included) and -012 (`after` of another search).
    """
    flush(session)
    types = (resource_type,) if resource_type else query.types
    view = view_of(session, visible)
    if query.counts_only:
        return Result([], total=_total(session, types, query, view))
    limit = min(query.count or default_count, max_count)
    r = tables.resource.alias("r")
    page = _page(r, types, query, view, after).limit(known(limit + 1))
    rows = session.execute(page).all()
    matches = {row.key: row for row in rows[:limit]}
    more = len(rows) > limit
    total = len(rows) if not (more or after) else None
    if query.total != "none" and total is None:
        total = _total(session, types, query, view)
    allowed = definitions() if includable is None else includable
    extra = included(session, query.includes, matches, visible, max_included, allowed)
    return Result(
        [from_row(session, row) for row in matches.values()],
        [from_row(session, row) for row in extra],
        total if query.total != "none" else None,
        _cursor(rows[limit - 1], query.sort) if more else None,
    )


def count(session: Session, resource_type: str, query: Query, visible: Visible) -> int:
    """How many visible resources match, paging aside."""
    flush(session)
    types = (resource_type,) if resource_type else query.types
    return _total(session, types, query, view_of(session, visible))


def match(
    session: Session,
    resource_type: str,
    query: Query,
    visible: Visible,
    *,
    limit: int = 2,
) -> list[Stored]:
    """The first matches, for conditional operations: none, one, or too many."""
    flush(session)
    r = tables.resource.alias("r")
    types = (resource_type,)
    page = _page(r, types, query, view_of(session, visible), None)
    found = session.execute(page.limit(known(limit)))
    return [from_row(session, row) for row in found]


def _total(session: Session, types: tuple[str, ...], query: Query, view: View) -> int:
    r = tables.resource.alias("r")
    counted = select(func.count()).select_from(r)
    where = _where(r, types, query, view)
    return int(session.execute(counted.where(*where)).scalar_one())


def _where(
    r: FromClause, types: tuple[str, ...], query: Query, view: View
) -> list[ColumnElement[bool]]:
    of_type = r.c.type == known(types[0]) if len(types) == 1 else r.c.type.in_(types)
    criteria = conditions(r, types, query.criteria, view)
    return [of_type, ~r.c.deleted, seen(view, r, types, query.criteria), *criteria]


def _page(
    r: FromClause,
    types: tuple[str, ...],
    query: Query,
    view: View,
    after: Cursor | None,
) -> Select[Any]:
    keys = [_sort_key(r, types, sort) for sort in query.sort]
    statement = select(
        *columns(r), r.c.key, *(k.label(f"sort_{n}") for n, k in enumerate(keys))
    ).where(*_where(r, types, query, view))
    if after is not None:
        statement = statement.where(_after(r, query.sort, keys, after))
    order = [
        by
        for sort, key in zip(query.sort, keys, strict=True)
        for by in _order(sort, key)
    ]
    return statement.order_by(*order, _last_order(r, query.sort))


def _last_order(r: FromClause, sorts: tuple[Sort, ...]) -> ColumnElement[Any]:
    # An index is walked one way or the other: equal keys follow the first direction.
    return r.c.key.desc() if sorts and sorts[0].descending else r.c.key.asc()


def _is_column(sort: Sort) -> bool:
    return sort.parameter.code in ("_id", "_lastUpdated")


def _sort_key(r: FromClause, types: tuple[str, ...], sort: Sort) -> ColumnElement[Any]:
    if sort.parameter.code == "_lastUpdated":
        return r.c.last_updated
    if sort.parameter.code == "_id":
        return r.c.id
    index = TABLES[sort.parameter.type].alias()
    # R4 §3.1.1.5.1: of several values the first in the order asked for counts.
    name = _SORTED_BY[sort.parameter.type]
    if sort.parameter.type == "date" and sort.descending:
        name = "high"
    best = (func.max if sort.descending else func.min)(index.c[name])
    of = [definition.number for definition in numbers(types, sort.parameter.code)]
    return (
        select(best)
        .where(index.c.key == r.c.key, index.c.parameter.in_(of))
        .scalar_subquery()
    )


def _order(sort: Sort, key: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    directed = key.desc() if sort.descending else key.asc()
    # Columns are never null, and an index serves only the plain order.
    return (directed,) if _is_column(sort) else (key.is_(None), directed)


def _after(
    r: FromClause,
    sorts: tuple[Sort, ...],
    keys: list[ColumnElement[Any]],
    cursor: Cursor,
) -> ColumnElement[bool]:
    """Rows behind the cursor in the order of `_page`; nulls come last."""
    place = split(str(cursor[-1])) if len(cursor) == len(keys) + 1 else None
    if place is None:
        raise FhirError(issue("HUB-SEARCH-012"))
    last = tables.resource.alias("last")
    last_key = (
        select(last.c.key)
        .where(last.c.type == place[0], last.c.id == place[1])
        .scalar_subquery()
    )
    backwards = sorts and sorts[0].descending
    behind: ColumnElement[bool] = (
        r.c.key < last_key if backwards else r.c.key > last_key
    )
    for sort, key, value in reversed(list(zip(sorts, keys, cursor[:-1], strict=True))):
        behind = _behind(sort, key, value, behind)
    return behind


def _behind(
    sort: Sort, key: ColumnElement[Any], value: Any, rest: ColumnElement[bool]
) -> ColumnElement[bool]:
    if value is None:
        return and_(key.is_(None), rest)
    later = key < value if sort.descending else key > value
    if _is_column(sort):
        # The first condition is what an index can be entered by.
        enter = key <= value if sort.descending else key >= value
        return and_(enter, or_(later, rest))
    return or_(key.is_(None), later, and_(key == value, rest))


def _cursor(row: StoredRow, sorts: tuple[Sort, ...]) -> Cursor:
    values = tuple(row._mapping[f"sort_{n}"] for n in range(len(sorts)))  # noqa: SLF001 - SQLAlchemy's public name
    return (*values, f"{row.type}/{row.id}")
