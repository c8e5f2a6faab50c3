"""Instants and dates. The hub's day is Japan's (Asia/Tokyo)."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

JST = ZoneInfo("Asia/Tokyo")


def now() -> datetime:
    """The present moment, aware, UTC, whole milliseconds (as FHIR instants show)."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def today() -> date:
    """Today in Japan."""
    return datetime.now(JST).date()


def instant(moment: datetime) -> str:
    """A FHIR instant in Japan's time with milliseconds."""
    return moment.astimezone(JST).isoformat(timespec="milliseconds")


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC: how every table stores a moment."""
    return int(moment.timestamp() * 1_000_000 + 0.5)


def from_micros(value: int) -> datetime:
    """The aware UTC moment of `micros`."""
    return datetime.fromtimestamp(value // 1_000_000, UTC).replace(
        microsecond=value % 1_000_000
    )
