"""How often somebody may call: a token bucket each, in this process (AB26).

Counted is the authenticated client, never a person: no patient is locked out, and
nobody can use up another's allowance. With several processes each allows as much.
"""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

_MOST = 20_000  # buckets; who invents names must not fill the memory


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Allowance:
    """`per_second` calls each in the long run, `burst` at once; 0 is no limit."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        most: int = _MOST,
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._most = most
        self._buckets: dict[Hashable, _Bucket] = {}
        self._lock = threading.Lock()

    def wait(self, who: Hashable) -> float:
        """Count a call; 0.0 when it may go on, else the seconds until one may."""
        return self._wait(who, take=True)

    def left(self, who: Hashable) -> float:
        """As `wait`, and nothing is counted."""
        return self._wait(who, take=False)

    def _wait(self, who: Hashable, *, take: bool) -> float:
        if not self._per_second:
            return 0.0
        with self._lock:
            now = self._clock()
            # Taken out and put back: the first is the one that was asked longest ago.
            bucket = self._buckets.pop(who, None) or _Bucket(self._burst, now)
            self._buckets[who] = bucket
            if len(self._buckets) > self._most:
                del self._buckets[next(iter(self._buckets))]
            earned = (now - bucket.at) * self._per_second
            bucket.left, bucket.at = min(self._burst, bucket.left + earned), now
            if bucket.left < 1:
                return (1 - bucket.left) / self._per_second
            if take:
                bucket.left -= 1
            return 0.0
