"""Days and moments of FHIR strings, by Japan's calendar."""

from datetime import date, datetime

from hub.fhir.dates import JST

_DAY = len("2026-04-01")


def moment(text: str | None) -> datetime | None:
    """An aware moment; a dateTime without a time of day begins in Japan."""
    if not text or len(text) < _DAY:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=JST)


def day(text: str | None) -> date | None:
    """The day in Japan of a date or dateTime; None for a year or a month alone."""
    found = moment(text)
    return found.astimezone(JST).date() if found else None
