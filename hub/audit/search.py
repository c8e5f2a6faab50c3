"""Read the log back, for privacy officers. The scope is checked above.

Like every search it takes what the asker may see as an argument, before LIMIT: the
hub's own officer sees all, an organisation's the rows of its own cases and clients.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, union_all

from hub.audit.tables import audit_event
from hub.database import Session, flush

_EVENT = audit_event.c


class Entry(NamedTuple):
    """One event: `recorded` in microseconds UTC, `body` the AuditEvent as stored."""

    id: str
    recorded: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Criteria:
    """What is asked: of each column any of the values, of all columns all.

    `patient` and `entity` are references without a version (`Patient/1`, `Task/1`; a
    patient is an entity too), `organisation` an id, `client` a client id; `action` one
    of C R U D E, `outcome` one of 0 4 8 12, `type` and `subtype` codes; `since` <=
    recorded < `until` in microseconds UTC.

    A refused attempt at what its caller cannot see names no patient: it is the same
    row whether the resource is there or not. `attempts` are the resources of the
    patients asked for, at which such attempts count as about them.
    """

    patient: tuple[str, ...] = ()
    organisation: tuple[str, ...] = ()
    client: tuple[str, ...] = ()
    entity: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    subtype: tuple[str, ...] = ()
    outcome: tuple[str, ...] = ()
    attempts: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class OwnRows:
    """The rows of an organisation's clients, and those about its own cases.

    `patients` selects `Patient/<id>` of these cases, `resources` `<type>/<id>` of all
    that is in them: others' refused attempts at it name no patient.
    """

    organisation: str
    patients: Select[Any]
    resources: Select[Any]


Seen = OwnRows | None  # None: the whole log
ALL = Criteria()
_IS_ATTEMPT = (_EVENT.patient.is_(None), _EVENT.outcome != "0")


def read(session: Session, id: str, seen: Seen = None) -> bytes | None:
    """The AuditEvent with this id, as stored; None when there is none to be seen."""
    flush(session)
    statements = (
        select(_EVENT.body).where(_EVENT.id == id, *branch) for branch in _seen(seen)
    )
    found = (session.execute(one).scalar_one_or_none() for one in statements)
    body = next((one for one in found if one is not None), None)
    return None if body is None else bytes(body)


def find(
    session: Session,
    asked: Criteria = ALL,
    *,
    seen: Seen = None,
    before: tuple[int, str] | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Events, newest first; `before` is (recorded, id) of the page's last entry."""
    flush(session)
    tests = where(asked)
    if before is not None:
        recorded, id_ = before
        tests.append(
            or_(
                _EVENT.recorded < recorded,
                and_(_EVENT.recorded == recorded, _EVENT.id < id_),
            )
        )
    statement = page(tests, seen, limit)
    return [
        Entry(row.id, row.recorded, bytes(row.body))
        for row in session.execute(statement)
    ]


def count(session: Session, asked: Criteria = ALL, *, seen: Seen = None) -> int:
    """How many events `find` would return without a limit."""
    flush(session)
    tests = where(asked)
    counts = (
        select(func.count()).select_from(audit_event).where(*branch, *tests)
        for branch in _seen(seen)
    )
    return sum(session.execute(one).scalar_one() for one in counts)


def walk(
    session: Session, asked: Criteria, *, after: tuple[int, str], limit: int
) -> list[Entry]:
    """Events, oldest first, beyond `after`: a page of an export."""
    flush(session)
    recorded, id_ = after
    beyond = or_(
        _EVENT.recorded > recorded,
        and_(_EVENT.recorded == recorded, _EVENT.id > id_),
    )
    statement = (
        select(_EVENT.id, _EVENT.recorded, _EVENT.body)
        .where(*where(asked), _EVENT.recorded >= recorded, beyond)
        .order_by(_EVENT.recorded, _EVENT.id)
        .limit(limit)
    )
    return [
        Entry(row.id, row.recorded, bytes(row.body))
        for row in session.execute(statement)
    ]


def page(tests: list[ColumnElement[bool]], seen: Seen, limit: int) -> Select[Any]:
    """The statement of a page: places first, from the indexes; then their bodies."""
    newest = (_EVENT.recorded.desc(), _EVENT.id.desc())
    branches = [
        select(
            select(_EVENT.id)
            .where(*branch, *tests)
            .order_by(*newest)
            .limit(limit)
            .subquery()
        )
        for branch in _seen(seen)
    ]
    places = union_all(*branches).subquery()
    return (
        select(_EVENT.id, _EVENT.recorded, _EVENT.body)
        .join(places, places.c.id == _EVENT.id)
        .order_by(*newest)
        .limit(limit)
    )


def _seen(seen: Seen) -> Iterator[list[ColumnElement[bool]]]:
    """Disjoint branches: each enters an index of its own, and their counts add up."""
    if seen is None:
        yield []
        return
    yield [_EVENT.organisation == seen.organisation]
    is_others = or_(
        _EVENT.organisation.is_(None), _EVENT.organisation != seen.organisation
    )
    yield [_EVENT.patient.in_(seen.patients), is_others]
    yield [_EVENT.entity.in_(seen.resources), *_IS_ATTEMPT, is_others]


def where(asked: Criteria) -> list[ColumnElement[bool]]:
    """The criteria as tests of the event's row."""
    tests: list[ColumnElement[bool]] = []
    for one in fields(asked):
        value = getattr(asked, one.name)
        if one.name == "entity" and value:
            tests.append(or_(_EVENT.entity.in_(value), _EVENT.patient.in_(value)))
        elif one.name == "patient" and value:
            attempted = and_(_EVENT.entity.in_(asked.attempts), *_IS_ATTEMPT)
            named = _EVENT.patient.in_(value)
            tests.append(or_(named, attempted) if asked.attempts else named)
        elif one.name in _EVENT and value:
            tests.append(_EVENT[one.name].in_(value))
    if asked.since is not None:
        tests.append(_EVENT.recorded >= asked.since)
    if asked.until is not None:
        tests.append(_EVENT.recorded < asked.until)
    return tests
