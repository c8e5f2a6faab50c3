"""Do hidden and absent take the same time? Interleaved samples and what they say."""

import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Compared:
    """Medians in seconds, and the Kolmogorov-Smirnov distance of the two samples."""

    one: float
    other: float
    distance: float
    samples: int

    @property
    def limit(self) -> float:
        """The distance that chance exceeds once in a thousand times (two-sided)."""
        return 1.95 * math.sqrt(2 / self.samples)

    @property
    def is_alike(self) -> bool:
        return self.distance <= self.limit


def compared(
    one: Callable[[], object], other: Callable[[], object], samples: int
) -> Compared:
    """Take `samples` of each in turns, the order swapped every time."""
    for _ in range(20):
        one(), other()
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(samples):
        pairs = [(0, one), (1, other)]
        for index, act in pairs if number % 2 else reversed(pairs):
            started = time.perf_counter()
            act()
            taken[index].append(time.perf_counter() - started)
    first, second = sorted(taken[0]), sorted(taken[1])
    return Compared(median(first), median(second), _distance(first, second), samples)


def _distance(first: list[float], second: list[float]) -> float:
    """The largest gap between the two empirical distributions; both sorted."""
    points = sorted({*first, *second})
    gap, i, j = 0.0, 0, 0
    for point in points:
        while i < len(first) and first[i] <= point:
            i += 1
        while j < len(second) and second[j] <= point:
            j += 1
        gap = max(gap, abs(i / len(first) - j / len(second)))
    return gap


def nobody() -> str:
    return str(uuid.uuid4())
