"""The outbox: what must leave, and how far it got (security.md §5).

A row is added in the transaction of the act that causes it. It is claimed by status,
never by a cursor over ids; a lease and a fencing token (`token`) keep two workers
apart; within one case and destination the next message waits for the one before.

    queued -> claimed -> sending -> delivered
                 |          |-----> queued (again, later) | dead
                 '----------'-----> withdrawn | cancelled

Locks are always taken in the order grant, outbox row, endpoint: a withdrawal closes
its grants before it calls `withdraw`.
"""

import hashlib
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import uuid4

from sqlalchemy import and_, exists, func, insert, or_, select, update

from hub import sealing
from hub.database import Database, Session
from hub.delivery import endpoints
from hub.delivery.connector import DeliveryError, Kind
from hub.delivery.schedule import MAX_ATTEMPTS, delay
from hub.delivery.tables import endpoint_state, outbox, place
from hub.fhir.dates import micros

OPEN = ("queued", "claimed", "sending")
LEASE = 120  # seconds; longer than any connector's time-out, token fetch included

_SECOND = 1_000_000
_random = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Envelope:
    """An outbox row as claimed or listed.

    `attempts` counts sends begun since it was added or replayed, `sends` all of them.
    Moments are microseconds UTC. `body` is None once nothing may or need be sent;
    it is as stored: `content` opens it.
    """

    id: str
    kind: Kind
    case: str
    subject: str
    patients: tuple[str, ...]
    organisation: str
    grant_id: str | None
    correlation_id: str
    content_type: str
    body: bytes | None
    body_hash: bytes
    body_size: int
    status: str
    attempts: int
    sends: int
    token: int
    is_recalled: bool
    created: int
    next_at: int
    lease_until: int | None
    settled: int | None
    error: str | None

    @property
    def owner(self) -> str:
        """The destination's Organization id: `id`, or `id#subscription`."""
        return self.organisation.partition("#")[0]


class Settled(NamedTuple):
    """What became of a send. `next_at` (microseconds UTC) when it is queued again;
    `is_alert` when this failure is the one to report of its outage, `is_recovery`
    when this success ends a reported outage, `is_recalled` when a withdrawal came
    while it was being sent."""

    status: str
    attempts: int
    next_at: int | None = None
    is_alert: bool = False
    is_recovery: bool = False
    is_recalled: bool = False


def add(
    session: Session,
    *,
    kind: Kind,
    case: str,
    subject: str,
    organisation: str,
    body: bytes,
    grant_id: str | None,
    at: datetime,
    correlation_id: str = "",
    patients: Sequence[str] = (),
    content_type: str = "application/fhir+json",
    order: str = "",
) -> str:
    """Queue a message in the session's transaction; returns its id.

    `organisation` is the destination's Organization id, `subject` and `patients` are
    references, `case` may be empty (then no order is kept, but within `order`).
    `grant_id` None only for what needs no grant: a retraction, an aggregate.
    """
    id_ = str(uuid4())
    order_key = f"{case or order}|{organisation}" if case or order else id_
    earlier = select(func.coalesce(func.max(outbox.c.position), 0) + 1).where(
        outbox.c.order_key == order_key
    )
    endpoints.remember(session, organisation)
    row = {
        "id": id_,
        "kind": kind,
        "case_id": case,
        "subject": subject,
        "patients": "\n".join(patients),
        "organisation": organisation,
        "grant_id": grant_id,
        "correlation_id": correlation_id,
        "content_type": content_type,
        "body": _kept(session, id_, body),
        "body_hash": hashlib.sha256(body).digest(),
        "body_size": len(body),
        "status": "queued",
        "order_key": order_key,
        "attempts": 0,
        "sends": 0,
        "token": 0,
        "recalled": 0,
        "created": micros(at),
        "next_at": micros(at),
    }
    session.execute(insert(outbox).values(position=earlier.scalar_subquery(), **row))
    return id_


def content(database: Database, envelope: Envelope) -> bytes:
    """The bytes to send; raises as `sealing.opened`."""
    with database.glance() as session:
        return sealing.opened(session, place(envelope.id), envelope.body or b"")


def _kept(session: Session, id: str, body: bytes) -> bytes:
    if not sealing.carries_content("Bundle", body):
        return body
    return sealing.sealed(session, place(id), body)


def is_due(database: Database, at: datetime) -> bool:
    """True when some destination that is not stopped or resting has a due message."""
    with database.glance() as session:
        return bool(_due(session, micros(at)))


def claim(
    database: Database,
    worker_id: str,
    batch: int,
    at: datetime,
    *,
    busy: Collection[str] = (),
) -> list[Envelope]:
    """Take up to `batch` due messages of one destination, for `LEASE` seconds.

    The destination whose oldest message has been due longest comes first; those in
    `busy`, stopped or resting are passed over, so that none delays another.
    """
    now = micros(at)
    with database.transaction(write=False) as session:
        for organisation in _due(session, now):
            if organisation in busy:
                continue
            if claimed := _claim(session, worker_id, organisation, batch, now):
                return claimed
    return []


def release(
    session: Session, envelope: Envelope, *, error: str | None, until: datetime
) -> bool:
    """Give a claimed message back unsent, due again at `until`."""
    values: dict[str, Any] = {"status": "queued", "lease_until": None}
    if error:
        values["error"] = error
    values["next_at"] = max(envelope.next_at, micros(until))
    return _change(session, envelope, "claimed", **values)


def start_sending(
    session: Session,
    envelope: Envelope,
    may_leave: Callable[[Session, str], bool],
    at: datetime,
) -> Literal["sending", "withdrawn", "lost"]:
    """Ask for the grant again and mark the message as being sent.

    The commit of this transaction *is* the start of the send: no socket opens before
    it (C2, K5). `withdrawn`: the grant is closed and the body erased. `lost`: the
    lease went to another worker, or the message was withdrawn meanwhile.
    `may_leave(session, grant_id)` reads the grant FOR SHARE where there is such.
    """
    # The grant first: the order in which a withdrawal takes the same locks.
    if envelope.grant_id is not None and not may_leave(session, envelope.grant_id):
        closed = _final("withdrawn", at, "grant-closed")
        return (
            "withdrawn" if _change(session, envelope, "claimed", **closed) else "lost"
        )
    started = _change(
        session,
        envelope,
        "claimed",
        status="sending",
        attempts=outbox.c.attempts + 1,
        sends=outbox.c.sends + 1,
        lease_until=micros(at) + LEASE * _SECOND,
    )
    return "sending" if started else "lost"


def settle(
    session: Session,
    envelope: Envelope,
    error: DeliveryError | None,
    *,
    at: datetime,
    rng: random.Random = _random,
) -> Settled | None:
    """Write down how a send ended; None when it is too late (Q5).

    Too late means that the lease ran out and the message went on without this worker.
    `error` None: delivered. A recalled message is never tried again (C3).
    """
    row = session.execute(
        select(outbox.c.attempts, outbox.c.recalled)
        .where(
            outbox.c.id == envelope.id,
            outbox.c.status == "sending",
            outbox.c.token == envelope.token,
        )
        .with_for_update()
    ).first()
    if row is None:
        return None
    if error is None:
        _change(session, envelope, "sending", **_final("delivered", at, None))
        recovery = endpoints.succeeded(session, envelope.organisation)
        return Settled(
            "delivered",
            row.attempts,
            is_recovery=recovery,
            is_recalled=bool(row.recalled),
        )
    is_alert = _count_failure(session, envelope, error, at)
    if row.recalled:
        end = _final("withdrawn", at, error.reason)
        _change(session, envelope, "sending", **end)
        return Settled("withdrawn", row.attempts, is_alert=is_alert)
    seconds = delay(row.attempts, error.retry_after, rng) if error.retry else None
    if error.disable and row.attempts < MAX_ATTEMPTS:
        seconds = 0.0  # waits for the person who starts the endpoint again
    if seconds is None:
        _change(session, envelope, "sending", **_dead(at, error.reason))
        return Settled("dead", row.attempts, is_alert=is_alert)
    next_at = micros(at) + int(seconds * _SECOND)
    _change(
        session,
        envelope,
        "sending",
        status="queued",
        next_at=next_at,
        lease_until=None,
        error=error.reason,
    )
    return Settled("queued", row.attempts, next_at, is_alert=is_alert)


def recover(session: Session, at: datetime) -> list[Envelope]:
    """Take back what a dead or stopped worker held past its lease (Q4).

    Returns those that thereby ended: recalled ones (`withdrawn`) and those whose last
    attempt it was (`dead`).
    """
    late = session.execute(
        select(outbox)
        .where(
            outbox.c.status.in_(("claimed", "sending")),
            outbox.c.lease_until <= micros(at),
        )
        .order_by(outbox.c.id)
        .with_for_update(skip_locked=True)
    ).all()
    ended = []
    for row in late:
        values: dict[str, Any] = {"status": "queued", "next_at": micros(at)}
        if row.recalled:
            values = _final("withdrawn", at, "lease-expired")
        elif row.status == "sending" and row.attempts >= MAX_ATTEMPTS:
            values = _dead(at, "lease-expired")
        values["lease_until"] = None
        session.execute(update(outbox).where(outbox.c.id == row.id).values(**values))
        if values["status"] != "queued":
            ended.append(envelope_of(row, status=values["status"]))
    return ended


def envelope_of(row: Any, **over: Any) -> Envelope:
    """An Envelope from a full row of the table."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    for unused in ("order_key", "position", "worker"):
        del values[unused]
    body = values["body"]
    values["body"] = None if body is None else bytes(body)
    values["body_hash"] = bytes(values["body_hash"])
    values["case"] = values.pop("case_id")
    values["patients"] = tuple(values["patients"].split())
    values["is_recalled"] = bool(values.pop("recalled"))
    return Envelope(**(values | over))


def _due(session: Session, now: int) -> list[str]:
    # One look into the index per destination, however long its queue is (Q11).
    oldest = (
        select(func.min(outbox.c.next_at))
        .where(
            outbox.c.organisation == endpoint_state.c.organisation,
            outbox.c.status == "queued",
        )
        .scalar_subquery()
    )
    rows = session.execute(
        select(endpoint_state.c.organisation, oldest.label("oldest")).where(
            endpoint_state.c.disabled == 0, endpoint_state.c.retry_at <= now
        )
    ).all()
    due = [(row.oldest, row.organisation) for row in rows if row.oldest is not None]
    return [organisation for oldest, organisation in sorted(due) if oldest <= now]


def _claim(
    session: Session, worker_id: str, organisation: str, batch: int, now: int
) -> list[Envelope]:
    before = outbox.alias("before")
    waits = exists().where(
        before.c.order_key == outbox.c.order_key,
        before.c.id != outbox.c.id,
        or_(
            and_(before.c.position < outbox.c.position, before.c.status.in_(OPEN)),
            # A replayed message is older than the one under way.
            before.c.status.in_(("claimed", "sending")),
        ),
    )
    ids = session.execute(
        select(outbox.c.id)
        .where(
            outbox.c.organisation == organisation,
            outbox.c.status == "queued",
            outbox.c.next_at <= now,
            ~waits,
        )
        .order_by(outbox.c.next_at, outbox.c.position)
        .limit(batch)
        .with_for_update(skip_locked=True)
    ).scalars()
    if not (chosen := list(ids)):
        return []
    rows = session.execute(
        update(outbox)
        .where(outbox.c.id.in_(chosen))
        .values(
            status="claimed",
            worker=worker_id,
            token=outbox.c.token + 1,
            lease_until=now + LEASE * _SECOND,
        )
        .returning(*outbox.c)
    ).all()
    envelopes = [envelope_of(row) for row in rows]
    return sorted(envelopes, key=lambda each: chosen.index(each.id))


def _change(session: Session, envelope: Envelope, expected: str, **values: Any) -> bool:
    """Compare and set: only the holder of the token changes a claimed row."""
    changed = session.execute(
        update(outbox)
        .where(
            outbox.c.id == envelope.id,
            outbox.c.status == expected,
            outbox.c.token == envelope.token,
        )
        .values(**values)
    )
    return changed.rowcount == 1


def _final(status: str, at: datetime, error: str | None) -> dict[str, Any]:
    # What left, or may not leave, is not kept: hash and size remain as evidence.
    return {
        "status": status,
        "body": None,
        "settled": micros(at),
        "lease_until": None,
        "error": error,
    }


def _dead(at: datetime, error: str) -> dict[str, Any]:
    dead = _final("dead", at, error)
    del dead["body"]  # for the replay
    return dead


def _count_failure(
    session: Session, envelope: Envelope, error: DeliveryError, at: datetime
) -> bool:
    if not (error.retry or error.disable):
        return False  # the endpoint answered; it is the message that is wrong
    return endpoints.failed(
        session,
        envelope.organisation,
        error.reason,
        retry_after=error.retry_after,
        disable=error.disable,
        at=at,
    )
