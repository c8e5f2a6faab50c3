"""Read the log back, for privacy officers. The scope is checked above."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select

from hub.audit.tables import audit_event
from hub.database import Session, flush


class Entry(NamedTuple):
    """One event: `recorded` in microseconds UTC, `body` the AuditEvent as stored."""

    id: str
    recorded: int
    body: bytes


def read(session: Session, id: str) -> bytes | None:
    """The AuditEvent with this id, as stored; None when there is none."""
    flush(session)
    statement = select(audit_event.c.body).where(audit_event.c.id == id)
    body = session.execute(statement).scalar_one_or_none()
    return None if body is None else bytes(body)


def find(
    session: Session,
    *,
    patient: str | None = None,
    organisation: str | None = None,
    action: str | None = None,
    since: int | None = None,
    until: int | None = None,
    before: tuple[int, str] | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Events, newest first.

    `patient` and `organisation` are ids or references; `since` <= recorded < `until`
    in microseconds UTC; `before` is (recorded, id) of the last entry of the page
    before; `action` one of C R U D E.
    """
    flush(session)
    where = _where(patient, organisation, action, since, until)
    if before is not None:
        recorded, id_ = before
        where.append(
            or_(
                audit_event.c.recorded < recorded,
                and_(audit_event.c.recorded == recorded, audit_event.c.id < id_),
            )
        )
    statement = (
        select(audit_event.c.id, audit_event.c.recorded, audit_event.c.body)
        .where(*where)
        .order_by(audit_event.c.recorded.desc(), audit_event.c.id.desc())
        .limit(limit)
    )
    return [
        Entry(row.id, row.recorded, bytes(row.body))
        for row in session.execute(statement)
    ]


def count(
    session: Session,
    *,
    patient: str | None = None,
    organisation: str | None = None,
    action: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> int:
    """How many events `find` would return without a limit."""
    flush(session)
    where = _where(patient, organisation, action, since, until)
    statement = select(func.count()).select_from(audit_event).where(*where)
    return session.execute(statement).scalar_one()


def _where(
    patient: str | None,
    organisation: str | None,
    action: str | None,
    since: int | None,
    until: int | None,
) -> list[ColumnElement[bool]]:
    columns = audit_event.c
    tests: list[ColumnElement[bool]] = []
    if patient is not None:
        tests.append(columns.patient == f"Patient/{_id(patient)}")
    if organisation is not None:
        tests.append(columns.organisation == _id(organisation))
    if action is not None:
        tests.append(columns.action == action)
    if since is not None:
        tests.append(columns.recorded >= since)
    if until is not None:
        tests.append(columns.recorded < until)
    return tests


def _id(reference: str) -> str:
    return reference.rpartition("/")[2]
