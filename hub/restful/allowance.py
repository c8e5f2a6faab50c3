"""How often a client may call: a token bucket each, in this process (AB26).

Counted is the authenticated client, never a person or an address: no patient is
locked out, and nobody can use up another's allowance. With several processes each
allows as much.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Allowance:
    """`per_second` calls a client in the long run, `burst` at once; 0 is no limit."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def wait(self, client_id: str) -> float:
        """Count a call; 0.0 when it may go on, else the seconds until one may."""
        if not self._per_second:
            return 0.0
        with self._lock:
            now = self._clock()
            bucket = self._buckets.setdefault(client_id, _Bucket(self._burst, now))
            earned = (now - bucket.at) * self._per_second
            bucket.left, bucket.at = min(self._burst, bucket.left + earned), now
            if bucket.left < 1:
                return (1 - bucket.left) / self._per_second
            bucket.left -= 1
            return 0.0
