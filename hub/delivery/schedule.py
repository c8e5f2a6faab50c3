"""When a message is tried again (workflow.md §8, security.md §5)."""

import random
from datetime import UTC
from email.utils import parsedate_to_datetime

from hub.fhir.dates import now

# Seconds before attempt 1, 2, ... 10; about 76 hours in all.
SCHEDULE = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MAX_ATTEMPTS = len(SCHEDULE)

_JITTER = 0.1
# A receiver may ask for patience, not for silence.
_LONGEST_RETRY_AFTER = 86_400.0
# From this many failures in a row the endpoint is down: one alert, and only one
# message at a time finds out whether it is back.
OUTAGE = 3
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 60.0


def delay(attempts: int, retry_after: float | None, rng: random.Random) -> float | None:
    """Seconds until the next try after `attempts` tries; None = dead letter.

    Jittered by ten percent, so that a recovered receiver is not met by everything
    at once. `retry_after` (seconds) only lengthens it.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    seconds = SCHEDULE[attempts] * rng.uniform(1 - _JITTER, 1 + _JITTER)
    if retry_after is not None:
        seconds = max(seconds, min(max(retry_after, 0.0), _LONGEST_RETRY_AFTER))
    return seconds


def pause(failures: int, retry_after: float | None) -> float:
    """Seconds for which an endpoint that failed `failures` times in a row rests.

    0 below an outage, so that one poisoned message does not hold up the others;
    then 5 s doubling to 60 s, always shorter than the schedule of its messages.
    """
    asked = min(max(retry_after or 0.0, 0.0), _LONGEST_RETRY_AFTER)
    if failures < OUTAGE:
        return asked
    doublings = min(failures - OUTAGE, 10)  # more would overflow a float, in time
    return max(asked, min(_FIRST_PAUSE * 2.0**doublings, _LONGEST_PAUSE))


def retry_after(value: str | None) -> float | None:
    """Seconds to wait: Retry-After in seconds or as a date (RFC 9110 §10.2.3)."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now()).total_seconds(), 0.0), _LONGEST_RETRY_AFTER)
