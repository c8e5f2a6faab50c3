"""What is known of each destination's endpoint: stopped, failing, resting.

One row per organisation that ever had a message. A failing endpoint rests, so that
its queue neither costs attempts nor delays anybody else's messages.
"""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.database import Session
from hub.delivery.schedule import OUTAGE, pause
from hub.delivery.tables import endpoint_state
from hub.fhir.dates import micros

_SECOND = 1_000_000


class Endpoint(NamedTuple):
    """One row: `is_disabled` until a person starts it, `retry_at` microseconds UTC."""

    organisation: str
    is_disabled: bool
    reason: str | None
    failures: int
    retry_at: int
    is_alerted: bool


def remember(session: Session, organisation: str) -> None:
    """Make the row if this is the first message to this organisation."""
    dialect = postgresql if session.dialect.name == "postgresql" else sqlite
    row = dialect.insert(endpoint_state).values(
        organisation=organisation, disabled=0, failures=0, retry_at=0, alerted=0
    )
    session.execute(row.on_conflict_do_nothing())


def listing(session: Session) -> list[Endpoint]:
    """Every endpoint, by organisation."""
    rows = session.execute(
        select(endpoint_state).order_by(endpoint_state.c.organisation)
    )
    return [_endpoint(row) for row in rows]


def stop(session: Session, organisation: str, reason: str) -> None:
    """Send nothing there until `start`; what is queued stays queued."""
    remember(session, organisation)
    _set(session, organisation, disabled=1, reason=reason)


def start(session: Session, organisation: str) -> None:
    """Send again at once, and forget the outage."""
    remember(session, organisation)
    _set(
        session,
        organisation,
        disabled=0,
        reason=None,
        failures=0,
        retry_at=0,
        alerted=0,
    )


def forget(session: Session, organisation: str) -> None:
    """Drop the row of a destination that is gone for good."""
    session.execute(
        endpoint_state.delete().where(endpoint_state.c.organisation == organisation)
    )


def rest(session: Session, organisation: str, reason: str, until: datetime) -> bool:
    """Try nothing there before `until`, without counting a failure.

    True when this reason is new, that is, to be reported.
    """
    row = _locked(session, organisation)
    _set(session, organisation, reason=reason, retry_at=micros(until))
    return row is None or row.reason != reason


def succeeded(session: Session, organisation: str) -> bool:
    """A message arrived; True when that ends an outage that was reported."""
    row = _locked(session, organisation)
    if row is None or (row.failures == 0 and row.reason is None):
        return False
    _set(session, organisation, failures=0, retry_at=0, alerted=0, reason=None)
    return row.is_alerted


def failed(
    session: Session,
    organisation: str,
    reason: str,
    *,
    retry_after: float | None,
    disable: bool,
    at: datetime,
) -> bool:
    """Count a failure; True exactly once per outage, when it is to be reported."""
    row = _locked(session, organisation)
    if row is None:
        return False
    failures = row.failures + 1
    is_outage = disable or failures >= OUTAGE
    resting = int(pause(failures, retry_after) * _SECOND)
    _set(
        session,
        organisation,
        failures=failures,
        reason=reason,
        disabled=int(disable or row.is_disabled),
        retry_at=micros(at) + resting,
        alerted=int(is_outage or row.is_alerted),
    )
    return is_outage and not row.is_alerted


def _locked(session: Session, organisation: str) -> Endpoint | None:
    row = session.execute(
        select(endpoint_state)
        .where(endpoint_state.c.organisation == organisation)
        .with_for_update()
    ).first()
    return _endpoint(row) if row else None


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        row.organisation,
        bool(row.disabled),
        row.reason,
        row.failures,
        row.retry_at,
        bool(row.alerted),
    )


def _set(session: Session, organisation: str, **values: object) -> None:
    session.execute(
        update(endpoint_state)
        .where(endpoint_state.c.organisation == organisation)
        .values(**values)
    )
