"""Events of a subscription: numbered, kept, queued for its endpoint (S9).

An event is stored with its change, in the same transaction. It goes to the outbox at
once when the endpoint took its handshake, else when it does: none is lost meanwhile.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import or_, select, update

from hub.database import Session
from hub.delivery import endpoints, operate, outbox
from hub.delivery.tables import outbox as outbox_table
from hub.disclosure import cases
from hub.fhir.dates import from_micros, micros
from hub.fhir.json import encode
from hub.subscriptions import registry
from hub.subscriptions.notification import Event, bundle
from hub.subscriptions.registry import Subscription
from hub.subscriptions.tables import subscription_event as table

_AT_ONCE = 500  # rows of one statement
_NOT_SENT = ("cancelled", "withdrawn", "dead")


def happen(
    session: Session,
    to: Subscription,
    focuses: Sequence[str],
    at: datetime,
    created: Collection[str] = (),
) -> list[Event]:
    """New events of a subscription, in order; of `created` focuses it is the first."""
    last = registry.count(session, to.id, len(focuses))
    first = last - len(focuses) + 1
    found = [
        Event(first + place, micros(at), focus) for place, focus in enumerate(focuses)
    ]
    session.execute(
        table.insert(),
        [{"subscription_id": to.id, **event._asdict()} for event in found],
    )
    if to.is_verified:
        _queue(session, to, found, at, frozenset(created))
    return found


def queue_waiting(session: Session, to: Subscription, at: datetime) -> None:
    """Queue what the endpoint did not get while it was not known to listen, in order.

    Also what was given up or withheld before: the owner has asked again.
    """
    gone = or_(table.c.message.is_(None), outbox_table.c.status.in_(_NOT_SENT))
    rows = session.execute(
        select(table.c.number, table.c.at, table.c.focus)
        .outerjoin(outbox_table, outbox_table.c.id == table.c.message)
        .where(table.c.subscription_id == to.id, gone)
        .order_by(table.c.number)
    )
    _queue(session, to, [Event(*row) for row in rows], at, frozenset())


def take_back(session: Session, to: Subscription, at: datetime) -> None:
    """Nothing that waits is sent before the next handshake, which waits for nothing."""
    waiting = [
        message.id
        for status in ("queued", "claimed")
        for message in operate.find(
            session, status=status, organisation=to.destination, limit=1_000_000
        )
    ]
    for start in range(0, len(waiting), _AT_ONCE):
        some = waiting[start : start + _AT_ONCE]
        operate.cancel(session, some, at=at, claimed=True)
    endpoints.start(session, to.destination)


def forget(session: Session, to: Subscription, at: datetime) -> None:
    """A Subscription was deleted: nothing of it is sent or kept."""
    take_back(session, to, at)
    endpoints.forget(session, to.destination)
    session.execute(table.delete().where(table.c.subscription_id == to.id))


def between(
    session: Session, id: str, since: int, until: int, limit: int
) -> list[Event]:
    """Events `since` <= number <= `until`, at most `limit`, in order."""
    rows = session.execute(
        select(table.c.number, table.c.at, table.c.focus)
        .where(
            table.c.subscription_id == id,
            table.c.number >= since,
            table.c.number <= until,
        )
        .order_by(table.c.number)
        .limit(limit)
    )
    return [Event(*row) for row in rows]


def of_message(session: Session, id: str, message: str) -> list[str]:
    """Focuses of the events that a message tells of."""
    rows = session.execute(
        select(table.c.focus).where(
            table.c.subscription_id == id, table.c.message == message
        )
    )
    return [row.focus for row in rows]


def send(session: Session, to: Subscription, kind: str, at: datetime) -> str:
    """Queue a handshake or heartbeat; its outbox id."""
    is_handshake = kind == "handshake"
    made = bundle(to, "handshake" if is_handshake else "heartbeat", at)
    return outbox.add(
        session,
        kind="handshake" if is_handshake else "heartbeat",
        case="",
        # A heartbeat is worth nothing later: it waits for no other message.
        order=to.id if is_handshake else "",
        subject=f"Subscription/{to.id}",
        organisation=to.destination,
        body=encode(made),
        grant_id=f"Subscription/{to.id}",
        content_type=to.payload,
        at=at,
    )


def _queue(
    session: Session,
    to: Subscription,
    events: Sequence[Event],
    at: datetime,
    created: frozenset[str],
) -> None:
    """One message for every `max_count` events; which ones never changes again.

    So a retry repeats its bytes, and a duplicate is told by the event number.
    """
    for start in range(0, len(events), to.max_count):
        some = events[start : start + to.max_count]
        made = bundle(
            to,
            "event-notification",
            from_micros(some[-1].at),
            some,
            count=some[-1].number,
            known=created,
        )
        keys = [(kind, id) for kind, _, id in (e.focus.partition("/") for e in some)]
        patients = sorted(cases.patients_of(session, keys))
        id_ = outbox.add(
            session,
            kind="event-notification",
            case="",
            order=to.id,
            subject=some[0].focus,
            organisation=to.destination,
            body=encode(made),
            grant_id=f"Subscription/{to.id}",
            patients=[f"Patient/{one}" for one in patients],
            content_type=to.payload,
            at=at,
        )
        session.execute(
            update(table)
            .where(
                table.c.subscription_id == to.id,
                table.c.number >= some[0].number,
                table.c.number <= some[-1].number,
            )
            .values(message=id_)
        )
