"""What people and withdrawals do to the outbox: stop, look, replay, cancel."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select, update

from hub.database import Session
from hub.delivery.outbox import OPEN, Envelope, envelope_of
from hub.delivery.tables import outbox
from hub.fhir.dates import micros
from hub.fhir.outcome import issue, require_none


class Sent(NamedTuple):
    """A message that left or may have left before a withdrawal.

    `status`: `delivered`; `sending` (may still arrive; it is not tried again);
    `attempted` (every try failed, but a receiver may have kept one). `at` is
    microseconds UTC of the delivery, else None.
    """

    id: str
    kind: str
    subject: str
    patients: tuple[str, ...]
    organisation: str
    status: str
    sends: int
    at: int | None


def withdraw(
    session: Session, case: str, organisation: str | None = None, *, at: datetime
) -> list[Sent]:
    """Stop all messages of a case (to one organisation), in this transaction.

    Queued, claimed and dead ones end as `withdrawn` and lose their body at once;
    those being sent are recalled: they may end, and are not tried again. Returns
    what left or may have left, retractions not counted. Close the grants first (see
    outbox.py on locks), and add retractions afterwards.
    """
    where = [outbox.c.case_id == case]
    if organisation is not None:
        where.append(outbox.c.organisation == organisation)
    # Locked before judged: a send that ends meanwhile must not slip back to queued.
    rows = session.execute(
        select(outbox).where(*where).order_by(outbox.c.id).with_for_update()
    ).all()
    stopped = [r.id for r in rows if r.status in ("queued", "claimed", "dead")]
    _end(session, stopped, "withdrawn", "consent-withdrawn", at)
    sending = [r.id for r in rows if r.status == "sending"]
    session.execute(update(outbox).where(outbox.c.id.in_(sending)).values(recalled=1))
    return [
        Sent(
            row.id,
            row.kind,
            row.subject,
            tuple(row.patients.split()),
            row.organisation,
            row.status if row.status in ("delivered", "sending") else "attempted",
            row.sends,
            row.settled if row.status == "delivered" else None,
        )
        for row in sorted(rows, key=lambda row: row.created)
        if row.sends and row.kind != "retraction"
    ]


def cancel(
    session: Session, ids: Sequence[str], *, at: datetime, claimed: bool = False
) -> list[str]:
    """End queued or dead messages unsent and erase them; those it ended.

    With `claimed` those too that a worker holds but has not begun to send.
    """
    statuses = ("queued", "dead", *(("claimed",) if claimed else ()))
    rows = session.execute(
        select(outbox.c.id)
        .where(outbox.c.id.in_(ids), outbox.c.status.in_(statuses))
        .order_by(outbox.c.id)
        .with_for_update()
    ).scalars()
    ended = list(rows)
    _end(session, ended, "cancelled", None, at)
    return ended


def replay(
    session: Session,
    *,
    at: datetime,
    ids: Sequence[str] | None = None,
    organisation: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> list[str]:
    """Queue dead letters again, with their old ids and a fresh schedule.

    All dead letters that fit every condition given: `ids`; the destination; created
    `since` <= t < `until`, microseconds UTC. The grant is still asked before the
    send. Returns their ids. Raises HUB-DEL-001 (404) or HUB-DEL-002 (409) when one
    of `ids` does not exist or is no dead letter.
    """
    _require_dead(session, ids or ())
    where: list[ColumnElement[bool]] = [
        outbox.c.status == "dead",
        outbox.c.body.is_not(None),
    ]
    if ids is not None:
        where.append(outbox.c.id.in_(ids))
    if organisation is not None:
        where.append(outbox.c.organisation == organisation)
    if since is not None:
        where.append(outbox.c.created >= since)
    if until is not None:
        where.append(outbox.c.created < until)
    rows = session.execute(
        update(outbox)
        .where(*where)
        .values(status="queued", attempts=0, next_at=micros(at), settled=None)
        .returning(outbox.c.id)
    )
    return sorted(rows.scalars())


def find(
    session: Session,
    *,
    status: str | None = None,
    organisation: str | None = None,
    case: str | None = None,
    limit: int = 100,
) -> list[Envelope]:
    """Messages, oldest first. `status="dead"` lists the dead letters."""
    statement = select(outbox).order_by(outbox.c.created, outbox.c.id).limit(limit)
    if status is not None:
        statement = statement.where(outbox.c.status == status)
    if organisation is not None:
        statement = statement.where(outbox.c.organisation == organisation)
    if case is not None:
        statement = statement.where(outbox.c.case_id == case)
    return [envelope_of(row) for row in session.execute(statement)]


def read(session: Session, id: str) -> Envelope | None:
    """The message with this id."""
    row = session.execute(select(outbox).where(outbox.c.id == id)).first()
    return envelope_of(row) if row else None


def counts(session: Session) -> dict[str, int]:
    """How many messages are in each status."""
    rows = session.execute(
        select(outbox.c.status, func.count()).group_by(outbox.c.status)
    )
    return {row[0]: row[1] for row in rows}


def oldest_queued(session: Session) -> int | None:
    """When the oldest message that has not ended was added, microseconds UTC."""
    oldest: int | None = session.execute(
        select(func.min(outbox.c.created)).where(outbox.c.status.in_(OPEN))
    ).scalar_one()
    return oldest


def _require_dead(session: Session, ids: Sequence[str]) -> None:
    statuses = {
        row.id: row.status
        for row in session.execute(
            select(outbox.c.id, outbox.c.status).where(outbox.c.id.in_(ids))
        )
    }
    require_none(
        [
            issue("HUB-DEL-002", status=statuses[id_])
            if id_ in statuses
            else issue("HUB-DEL-001")
            for id_ in ids
            if statuses.get(id_) != "dead"
        ]
    )


def _end(
    session: Session, ids: Sequence[str], status: str, error: str | None, at: datetime
) -> None:
    session.execute(
        update(outbox)
        .where(outbox.c.id.in_(ids))
        .values(
            status=status,
            body=None,
            settled=micros(at),
            lease_until=None,
            error=error,
        )
    )
