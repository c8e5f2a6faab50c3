"""What a Subscription asks for: read whole, or refused with all that is wrong (S8).

An accepted subscription fires. So whatever would make it mute, or would be ignored, is
refused: an unknown topic, filter, channel, payload, extension or limit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.delivery.addresses import is_loopback_host, is_permitted, read_hosts, target
from hub.fhir import dates
from hub.fhir.json import Resource
from hub.fhir.outcome import Issue, issue
from hub.fhir.search_values import date_range
from hub.subscriptions import backport, headers
from hub.subscriptions.filters import Filter, FilterError, parse
from hub.subscriptions.topic import Topic

CONTENTS = ("empty", "id-only")
PAYLOADS = ("application/fhir+json", "application/json")
# Extension of the channel -> name, datatype, least, most. The longest timeout is
# below the lease of a message, the shortest heartbeat above a worker's round.
_LIMITS = {
    backport.HEARTBEAT_PERIOD: ("heartbeatPeriod", "valueUnsignedInt", 10, 604_800),
    backport.TIMEOUT: ("timeout", "valueUnsignedInt", 1, 60),
    backport.MAX_COUNT: ("maxCount", "valuePositiveInt", 1, 100),
}
_ELEMENTS = frozenset(
    [
        "resourceType",
        "id",
        "meta",
        "language",
        "text",
        "status",
        "contact",
        "end",
        "reason",
        "criteria",
        "_criteria",
        "error",
        "channel",
    ]
)
_CHANNEL = frozenset(
    ["id", "extension", "type", "endpoint", "payload", "_payload", "header", "_header"]
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the hub allows: its FHIR base, where it may send, its topics by url.

    `keys` seal headers (secrets.py), the current one first.
    """

    base: str
    dev: bool
    hosts: tuple[str, ...]
    topics: Mapping[str, Topic]
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A Subscription understood; seconds; `headers` as sent, masked ones too."""

    topic: str
    filters: tuple[Filter, ...]
    endpoint: str
    payload: str
    content: str
    headers: Mapping[str, str]
    heartbeat: int | None
    timeout: int | None
    max_count: int
    ends: datetime | None


def judge(
    rules: Rules, resource: Resource, at: datetime
) -> tuple[Wanted | None, list[Issue]]:
    """What a structurally valid Subscription asks for, and all that is wrong with it.

    None when anything refuses. `at` is now: `end` must lie ahead.
    """
    channel: dict[str, Any] = resource["channel"]
    found = [*_unknown(resource, channel), *_channel(rules, channel)]
    topic = _topic(rules, resource["criteria"])
    filters: list[Filter] = []
    if topic is None:
        found.append(issue("HUB-SUB-001", "Subscription.criteria"))
    else:
        found += _filters(rules, topic, resource, filters)
    given, wrong = headers.read(channel.get("header", ()))
    found += wrong
    numbers = {
        name: _number(channel, url, found) for url, (name, *_) in _LIMITS.items()
    }
    ends = _moment(resource["end"]) if "end" in resource else None
    if ends is not None and ends <= at:
        found.append(issue("HUB-SUB-012", "Subscription.end"))
    if found or topic is None:
        return None, found
    return (
        Wanted(
            topic=topic.url,
            filters=tuple(filters),
            endpoint=channel["endpoint"],
            payload=channel["payload"],
            content=_contents(channel)[0],
            headers=given,
            heartbeat=numbers["heartbeatPeriod"],
            timeout=numbers["timeout"],
            max_count=numbers["maxCount"] or 1,
            ends=ends,
        ),
        [],
    )


def _moment(instant: str) -> datetime:
    return dates.from_micros(date_range(instant)[0])


def _topic(rules: Rules, canonical: str) -> Topic | None:
    return next((t for t in rules.topics.values() if t.is_named(canonical)), None)


def _unknown(resource: Resource, channel: dict[str, Any]) -> list[Issue]:
    """Elements and extensions nobody here would heed, cross-version ones too."""
    places = [
        *(f"Subscription.{n.lstrip('_')}" for n in resource if n not in _ELEMENTS),
        *(
            f"Subscription.channel.{n.lstrip('_')}"
            for n in channel
            if n not in _CHANNEL
        ),
        *_foreign(channel, "Subscription.channel", _LIMITS),
        *_foreign(
            channel.get("_payload"),
            "Subscription.channel.payload",
            (backport.PAYLOAD_CONTENT,),
        ),
        *_foreign(
            resource.get("_criteria"),
            "Subscription.criteria",
            (backport.FILTER_CRITERIA,),
        ),
    ]
    if "_header" in channel:
        places.append("Subscription.channel.header")
    return [issue("HUB-SUB-008", place) for place in places]


def _foreign(element: Any, path: str, known: Iterable[str]) -> list[str]:
    extensions = (element or {}).get("extension", ())
    return [
        f"{path}.extension[{index}]"
        for index, one in enumerate(extensions)
        if one.get("url") not in known
    ]


def _channel(rules: Rules, channel: dict[str, Any]) -> list[Issue]:
    found = []
    if channel["type"] != "rest-hook":
        found.append(issue("HUB-SUB-004", "Subscription.channel.type"))
    if not _may_send(rules, channel.get("endpoint", "")):
        found.append(issue("HUB-SUB-005", "Subscription.channel.endpoint"))
    if channel.get("payload") not in PAYLOADS:
        found.append(issue("HUB-SUB-006", "Subscription.channel.payload"))
    contents = _contents(channel)
    if len(contents) != 1 or contents[0] not in CONTENTS:
        found.append(issue("HUB-SUB-007", "Subscription.channel.payload.extension"))
    return found


def _contents(channel: dict[str, Any]) -> list[str]:
    extensions = (channel.get("_payload") or {}).get("extension", ())
    return [
        one.get("valueCode", "")
        for one in extensions
        if one.get("url") == backport.PAYLOAD_CONTENT
    ]


def _may_send(rules: Rules, endpoint: str) -> bool:
    """As the guarded fetcher will judge it, but for what the name resolves to."""
    url = target(endpoint)
    if url is None:
        return False
    is_local = rules.dev and is_loopback_host(url.host)
    if url.scheme == "http" and not is_local:
        return False
    if _is_address(url.host) and not is_permitted(url.host, loopback=rules.dev):
        return False
    hosts = read_hosts(rules.hosts)
    return is_local or (url.host, url.port) in hosts or (rules.dev and not hosts)


def _is_address(host: str) -> bool:
    return ":" in host or host.rpartition(".")[2].isdigit()


def _filters(
    rules: Rules, topic: Topic, resource: Resource, into: list[Filter]
) -> list[Issue]:
    found = []
    extensions = (resource.get("_criteria") or {}).get("extension", ())
    for index, one in enumerate(extensions):
        if one.get("url") != backport.FILTER_CRITERIA:
            continue
        path = f"Subscription.criteria.extension[{index}]"
        try:
            text = one.get("valueString", "")
            into += parse(text, topic.resource, topic.filters, rules.base)
        except FilterError as error:
            names = ", ".join(sorted(topic.filters))
            kind = "HUB-SUB-002" if error.kind == "unknown" else "HUB-SUB-003"
            found.append(issue(kind, path, names=names))
    return found


def _number(channel: dict[str, Any], url: str, found: list[Issue]) -> int | None:
    name, datatype, least, most = _LIMITS[url]
    given = [one for one in channel.get("extension", ()) if one.get("url") == url]
    if not given:
        return None
    value = given[0].get(datatype)
    if len(given) == 1 and isinstance(value, int) and least <= value <= most:
        return value
    path = "Subscription.channel.extension"
    found.append(issue("HUB-SUB-009", path, name=name, least=least, most=most))
    return None
