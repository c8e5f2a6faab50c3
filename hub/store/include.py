"""`_include` and `_revinclude`: what a page of matches brings along.

A reference from something visible gives no right to its target (security.md G5):
every branch carries the predicate before its LIMIT (G2).
"""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Select, and_, or_, select

from hub.database import Session
from hub.fhir.outcome import FhirError, issue
from hub.fhir.search import MAX_DEPTH, Include
from hub.store import tables
from hub.store.conditions import known
from hub.store.parameters import definitions
from hub.store.stored import StoredRow, columns
from hub.store.visibility import Visible

Found = dict[int, StoredRow]  # resource rows by key, in the order found


def included(
    session: Session,
    includes: tuple[Include, ...],
    matches: Found,
    visible: Visible,
    limit: int,
    allowed: Collection[str],
) -> list[StoredRow]:
    """The rows that the includes add to `matches`, each once and none twice.

    Of a parameter that may point to anything only the types in `allowed` come along.

    `:iterate` goes on from what was added, at most three rounds. Raises FhirError
    HUB-SEARCH-011 when more than `limit` would be added: a cut would be silent.
    """
    added: Found = {}
    start = matches
    for round_ in range(MAX_DEPTH):
        fresh: Found = {}
        for include in includes:
            if round_ == 0 or include.iterate:
                rows = _follow(session, include, start, visible, limit, allowed)
                fresh |= {
                    row.key: row
                    for row in rows
                    if row.key not in matches and row.key not in added
                }
        added |= fresh
        if len(added) > limit:
            raise FhirError(issue("HUB-SEARCH-011", limit=limit))
        if not fresh:
            break
        start = fresh
    return list(added.values())


def _follow(
    session: Session,
    include: Include,
    start: Found,
    visible: Visible,
    limit: int,
    allowed: Collection[str],
) -> Iterable[StoredRow]:
    make = _reverse if include.reverse else _forward
    query = make(include, start)
    if query is None:
        return ()
    found = tables.resource.alias()
    statement = (
        select(*columns(found), found.c.key)
        .where(found.c.key.in_(query), ~found.c.deleted, visible(found))
        .order_by(found.c.key)
        .limit(known(limit + 1))
    )
    if not include.reverse and include.target is None:
        statement = statement.where(found.c.type.in_(sorted(allowed)))
    return session.execute(statement).all()


def _forward(include: Include, start: Found) -> Select[Any] | None:
    """Keys of what the matches of the source type point to."""
    sources = [row.key for row in start.values() if row.type == include.source]
    if not sources:
        return None
    link, target = tables.reference.alias(), tables.resource.alias()
    query = (
        select(target.c.key)
        .join(
            link,
            and_(target.c.type == link.c.target_type, target.c.id == link.c.target_id),
        )
        .where(link.c.key.in_(sources), link.c.parameter == known(_number(include)))
    )
    return query.where(target.c.type == include.target) if include.target else query


def _reverse(include: Include, start: Found) -> Select[Any] | None:
    """Keys of what points to the matches (of the target type)."""
    by_type: dict[str, list[str]] = {}
    for row in start.values():
        if include.target in (None, row.type):
            by_type.setdefault(row.type, []).append(row.id)
    if not by_type:
        return None
    link = tables.reference.alias()
    return select(link.c.key).where(
        link.c.parameter == known(_number(include)),
        or_(
            *(
                and_(link.c.target_type == name, link.c.target_id.in_(ids))
                for name, ids in by_type.items()
            )
        ),
    )


def _number(include: Include) -> int:
    return definitions()[include.source][include.parameter.code].number
