"""Ids and the hub's clock as functions of a step: two hubs that do the same say the same.

Nothing of an answer has then to be left out of a comparison, but the server's Date.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any

import pytest

from hub.fhir import dates
from hub.restful import links

START = datetime(2026, 11, 2, 0, 0, tzinfo=UTC)
_TICK = timedelta(milliseconds=70)


class Fixed:
    """`step` begins an act: from there ids follow from its name, moments from `tick`."""

    def __init__(self) -> None:
        self.moment = START
        self._label = ""
        self._count = 0

    def step(self, label: str) -> None:
        """Begin an act; the same label begins the same ids, at the same moment."""
        self._label, self._count = label, 0

    def tick(self, by: timedelta = _TICK) -> None:
        self.moment += by

    def seconds(self) -> float:
        """Since 1970, as `time.time`."""
        return self.moment.timestamp()

    def random(self, size: int) -> bytes:
        """What `uuid4` takes for random, while inside `fixed`."""
        self._count += 1
        text = f"{self._label}/{self._count}".encode()
        return hashlib.shake_256(text).digest(size)


@contextmanager
def fixed() -> Iterator[Fixed]:
    """Take ids and the hub's moments from a `Fixed`, in this process, while inside."""
    made = Fixed()

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return made.moment.astimezone(tz)

    clock = SimpleNamespace(
        **{name: getattr(time, name) for name in dir(time) if name[0] != "_"}
    )
    clock.time = made.seconds
    source = SimpleNamespace(urandom=made.random, getpid=os.getpid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uuid, "os", source)
        patch.setattr(dates, "datetime", Stopped)
        patch.setattr(links, "time", clock)
        yield made
