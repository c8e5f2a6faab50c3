"""Who may see a row: the predicate that every query is handed (security.md G1-G3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Table, bindparam, true

# Over an alias with the columns `type` and `id`: true where the actor may see it.
Visible = Callable[[FromClause], ColumnElement[bool]]


def hub_sees_all(_rows: FromClause) -> ColumnElement[bool]:
    """For the hub's own bookkeeping only: never for an answer to a client."""
    return true()


@dataclass(frozen=True, slots=True)
class Shaped:
    """A predicate as `shape(rows, values)`, so that statements can be built once.

    Called, it holds its values itself; `restricted` takes them as parameters. `set`
    is the same rule over rows of known types, said as a set to be in.
    """

    shape: Callable[[FromClause, Mapping[str, Any]], ColumnElement[bool]]
    values: Mapping[str, Any]
    set: Callable[[FromClause, tuple[str, ...], Mapping[str, Any]], ColumnElement[bool]]

    def __call__(self, rows: FromClause) -> ColumnElement[bool]:
        return self.shape(rows, self.values)


def among(
    visible: Visible, rows: FromClause, types: tuple[str, ...]
) -> ColumnElement[bool]:
    """The predicate over rows of `types`, for a search.

    Of a row already found one asks who may see it; a search must be able to begin
    with what the caller may see, or it would look at everybody's rows (measured among
    10,000 cases, 1,000 of them the caller's: 1,700 ms against 120 ms).
    """
    if isinstance(visible, Shaped):
        return visible.set(rows, types, visible.values)
    return visible(rows)


def restricted(
    query: Select[Any], rows: Table, visible: Visible
) -> tuple[Select[Any], Mapping[str, Any]]:
    """`query` with the predicate over `rows`, and the parameters this brings along.

    `query` is a constant: building a statement costs more than running it.
    """
    if visible is hub_sees_all:
        return query, {}
    if not isinstance(visible, Shaped):
        return query.where(visible(rows)), {}
    return _once(query, rows, visible.shape, tuple(visible.values)), visible.values


@lru_cache(maxsize=64)
def _once(
    query: Select[Any],
    rows: Table,
    shape: Callable[[FromClause, Mapping[str, Any]], ColumnElement[bool]],
    names: tuple[str, ...],
) -> Select[Any]:
    return query.where(shape(rows, {name: bindparam(name) for name in names}))
