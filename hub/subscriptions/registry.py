"""The rows of subscriptions: by what is matched, numbered and delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, bindparam, func, or_, select, update

from hub.database import Session, run
from hub.fhir.dates import micros
from hub.subscriptions.filters import Filter
from hub.subscriptions.tables import subscription as table

ERRORS = 5  # how many are kept (rest.md §6)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One row. Moments are microseconds UTC, periods seconds.

    `is_verified`: its endpoint took a handshake since it was last changed; before
    that nothing but the handshake is sent. `errors` are (moment, reason), oldest
    first. `events` counts those generated since it was created.
    """

    id: str
    organisation: str
    client_id: str
    status: str
    is_verified: bool
    handshake: str | None
    base: str
    topic: str
    filters: tuple[Filter, ...]
    endpoint: str
    payload: str
    content: str
    headers: bytes | None
    heartbeat: int | None
    timeout: int | None
    max_count: int
    ends: int | None
    events: int
    errors: tuple[tuple[int, str], ...]
    heartbeat_at: int | None

    @property
    def destination(self) -> str:
        """Its key in the outbox: an endpoint of its own beside its owner's."""
        return f"{self.organisation}#{self.id}"

    def is_over(self, at: datetime) -> bool:
        """True when it was turned off or its end has come."""
        return self.status == "off" or (
            self.ends is not None and self.ends <= micros(at)
        )


# Built once: the first is asked in every transaction that changes a Task.
_LIVE = (
    select(table)
    .where(
        table.c.status.in_(("requested", "active", "error")),
        or_(table.c.ends.is_(None), table.c.ends > bindparam("at")),
    )
    .order_by(table.c.id)
)
_ONE = select(table).where(table.c.id == bindparam("id"))


def live(session: Session, at: datetime) -> list[Subscription]:
    """Those that count events now, in the order in which they are locked."""
    return [_of(row) for row in run(session, _LIVE, {"at": micros(at)})]


def find(session: Session, id: str, *, lock: bool = False) -> Subscription | None:
    """The row of a Subscription, locked until the commit if wanted."""
    query = _ONE.with_for_update() if lock else _ONE
    row = session.execute(query, {"id": id}).first()
    return _of(row) if row else None


def of_destination(session: Session, destination: str) -> Subscription | None:
    """The row behind an outbox destination `organisation#id`."""
    _, mark, id = destination.partition("#")
    return find(session, id) if mark else None


def owned(session: Session, organisation: str) -> list[str]:
    """Ids of an organisation's subscriptions, in order."""
    rows = session.execute(
        select(table.c.id)
        .where(table.c.organisation == organisation)
        .order_by(table.c.id)
    )
    return [row.id for row in rows]


def add(session: Session, new: Subscription) -> None:
    """Store a new row."""
    session.execute(table.insert(), _values(new))


def replace(session: Session, new: Subscription) -> None:
    """Store a row anew, but for its count of events."""
    values = _values(new)
    del values["events"]
    session.execute(update(table).where(table.c.id == new.id), values)


def remove(session: Session, id: str) -> None:
    """Forget a row."""
    session.execute(table.delete().where(table.c.id == id))


def count(session: Session, id: str, events: int) -> int:
    """Take so many event numbers: the last one taken.

    The row stays locked until the commit, so numbers have no gaps and no two
    transactions share one; a rollback gives them back (S9).
    """
    last: int = session.execute(
        update(table)
        .where(table.c.id == id)
        .values(events=table.c.events + events)
        .returning(table.c.events)
    ).scalar_one()
    return last


def due(session: Session, at: datetime) -> list[str]:
    """Ids of those whose heartbeat is due or whose end has come."""
    now = micros(at)
    rows = session.execute(
        select(table.c.id)
        .where(
            table.c.status != "off",
            or_(table.c.heartbeat_at <= now, table.c.ends <= now),
        )
        .order_by(table.c.id)
    )
    return [row.id for row in rows]


def number_of(session: Session, organisation: str) -> int:
    """How many subscriptions an organisation has."""
    found: int = session.execute(
        select(func.count()).where(table.c.organisation == organisation)
    ).scalar_one()
    return found


def with_error(
    errors: Sequence[tuple[int, str]], at: datetime, reason: str
) -> tuple[tuple[int, str], ...]:
    """The last five errors with one more."""
    return (*errors, (micros(at), reason))[-ERRORS:]


def _of(row: Row[Any]) -> Subscription:
    values = row._asdict()
    filters = orjson.loads(values["filters"])
    return Subscription(
        **{
            **{k: v for k, v in values.items() if k != "verified"},
            "is_verified": bool(values["verified"]),
            "filters": tuple(Filter(name, tuple(given)) for name, given in filters),
            "headers": None if row.headers is None else bytes(row.headers),
            "errors": tuple((m, reason) for m, reason in orjson.loads(row.errors)),
        }
    )


def _values(new: Subscription) -> dict[str, Any]:
    values = {name: getattr(new, name) for name in Subscription.__slots__}
    values["verified"] = int(values.pop("is_verified"))
    values["filters"] = orjson.dumps([list(one) for one in new.filters]).decode()
    values["errors"] = orjson.dumps(new.errors).decode()
    return values
