"""What of whom was seen by whom between two moments, gathered from the log.

One line for each person, organisation, client and kind of act: as much memory as there
are such lines, not as there are events. Refused attempts stand apart: they brought
nothing, and tell who tried.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import orjson

from hub.audit.columns import columns
from hub.audit.search import Entry

Way = Literal["read", "search", "write", "sent", "perhaps-sent", "other", "log"]
_READS = ("read", "vread", "history-instance", "history-type", "history-system")
_WRITES = ("create", "update", "patch", "delete")
_DISCLOSED, _LOG_USED, _REST = "110106", "110101", "rest"


class Who(NamedTuple):
    """An organisation and its client; the client is "" where it was sent something."""

    organisation: str
    client: str


@dataclass(slots=True)
class Line:
    """How often and when (microseconds UTC); `types` of resources, where named."""

    count: int = 0
    first: int = 0
    last: int = 0
    types: set[str] = field(default_factory=set)

    def add(self, at: int, entity: str | None) -> None:
        self.first = at if not self.count else min(self.first, at)
        self.last = max(self.last, at)
        self.count += 1
        if entity:
            self.types.add(entity.partition("/")[0])


@dataclass(slots=True)
class Seen:
    """`persons` by Patient id, `attempts` that were refused; `events` read in all."""

    persons: dict[str, dict[tuple[Who, Way], Line]] = field(default_factory=dict)
    attempts: dict[Who, Line] = field(default_factory=dict)
    events: int = 0


def gather(entries: Iterable[Entry], hub: str) -> Seen:
    """The events as lines. What the hub itself wrote (its organisation id) is none."""
    found = Seen()
    for entry in entries:
        found.events += 1
        event: dict[str, Any] = orjson.loads(entry.body)
        _add(found, entry.recorded, columns(event), hub)
    return found


def _add(found: Seen, at: int, row: dict[str, str | None], hub: str) -> None:
    who = Who(row["organisation"] or "", row["client"] or "")
    if who.client == hub:
        return
    way = _way(row)
    if way is None:
        return
    if row["outcome"] != "0" and way != "perhaps-sent":
        found.attempts.setdefault(who, Line()).add(at, row["entity"])
    elif row["patient"]:
        person = found.persons.setdefault(row["patient"].partition("/")[2], {})
        person.setdefault((who, way), Line()).add(at, row["entity"])


def _way(row: dict[str, str | None]) -> Way | None:
    """How data reached somebody; None for what brings nobody anything."""
    if row["type"] == _DISCLOSED:
        return "sent" if row["outcome"] == "0" else "perhaps-sent"
    if row["type"] == _LOG_USED:
        return "log"
    if row["type"] != _REST:
        return None
    code = row["subtype"] or ""
    if code in _READS:
        return "read"
    if code in _WRITES:
        return "write"
    return "search" if code.startswith("search") else "other"
