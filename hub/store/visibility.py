"""Who may see a row: the predicate that every query is handed (security.md G1-G3)."""

from collections.abc import Callable

from sqlalchemy import ColumnElement, FromClause, true

# Over an alias with the columns `type` and `id`: true where the actor may see it.
Visible = Callable[[FromClause], ColumnElement[bool]]


def hub_sees_all(_rows: FromClause) -> ColumnElement[bool]:
    """For the hub's own bookkeeping only: never for an answer to a client."""
    return true()
