"""Notifications and status answers as Backport 1.1 wants them on R4. Pure.

A notification is a history Bundle whose first entry is a subscription-status
Parameters; ids and counters are strings there.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from hub.fhir import dates
from hub.fhir.json import Resource
from hub.subscriptions import backport
from hub.subscriptions.registry import Subscription

Type = Literal[
    "handshake", "heartbeat", "event-notification", "query-status", "query-event"
]
_TEST = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "HTEST",
}


class Event(NamedTuple):
    """One event of a subscription; `at` microseconds UTC, `focus` a reference."""

    number: int
    at: int
    focus: str

    @property
    def is_test(self) -> bool:
        """Fired without a Task: about the Subscription itself."""
        return self.focus.startswith("Subscription/")


def bundle(
    of: Subscription,
    type: Type,
    at: datetime,
    events: Sequence[Event] = (),
    *,
    count: int | None = None,
    content: str = "",
    known: frozenset[str] = frozenset(),
) -> Resource:
    """The notification Bundle.

    `count` is how many events were generated up to and with this notification (the
    subscription's own count when not given); `content` replaces the subscription's
    level; of `known` focuses it is known that they were created by their event.
    """
    level = content or of.content
    status = parameters(of, type, events, count=count, content=level)
    first = {
        "fullUrl": f"urn:uuid:{uuid.uuid4()}",
        "resource": status,
        "request": {
            "method": "GET",
            "url": f"{of.base}/Subscription/{of.id}/$status",
        },
        "response": {"status": "200"},
    }
    entries = [first]
    if level == "id-only":
        focuses = dict.fromkeys(event.focus for event in events)
        entries += [_entry(of, focus, is_new=focus in known) for focus in focuses]
    meta: dict[str, Any] = {"profile": [backport.NOTIFICATION]}
    if events and all(event.is_test for event in events):
        meta["tag"] = [_TEST]
    return {
        "resourceType": "Bundle",
        "id": str(uuid.uuid4()),
        "meta": meta,
        "type": "history",
        "timestamp": dates.instant(at),
        "entry": entries,
    }


def parameters(
    of: Subscription,
    type: Type,
    events: Sequence[Event] = (),
    *,
    count: int | None = None,
    content: str = "",
) -> Resource:
    """The subscription-status Parameters."""
    level = content or of.content
    told = [
        _value(
            "subscription", Reference={"reference": f"{of.base}/Subscription/{of.id}"}
        ),
        *([_value("topic", Canonical=of.topic)] if level != "empty" else []),
        _value("status", Code=of.status),
        _value("type", Code=type),
        _value(
            "events-since-subscription-start",
            String=str(of.events if count is None else count),
        ),
        *(_event(of, event, level) for event in events),
    ]
    if type == "query-status" or of.status == "error":
        told += [
            _value("error", CodeableConcept={"text": _error(moment, reason)})
            for moment, reason in of.errors
        ]
    return {
        "resourceType": "Parameters",
        "id": str(uuid.uuid4()),
        "meta": {"profile": [backport.STATUS]},
        "parameter": told,
    }


def _event(of: Subscription, event: Event, level: str) -> dict[str, Any]:
    moment = dates.instant(dates.from_micros(event.at))
    part = [
        _value("event-number", String=str(event.number)),
        _value("timestamp", Instant=moment),
    ]
    if level == "id-only":
        url = f"{of.base}/{event.focus}"
        part.append(_value("focus", Reference={"reference": url}))
    return {"name": "notification-event", "part": part}


def _entry(of: Subscription, focus: str, *, is_new: bool) -> dict[str, Any]:
    """Where the resource is; never the resource itself."""
    url = focus.partition("/")[0] if is_new else focus
    return {
        "fullUrl": f"{of.base}/{focus}",
        "request": {"method": "POST" if is_new else "PUT", "url": url},
        "response": {"status": "201" if is_new else "200"},
    }


def _value(name: str, **value: Any) -> dict[str, Any]:
    (datatype, given), *_ = value.items()
    return {"name": name, f"value{datatype}": given}


def _error(moment: int, reason: str) -> str:
    return f"{dates.instant(dates.from_micros(moment))} {reason}"
