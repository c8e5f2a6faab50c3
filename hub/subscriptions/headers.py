"""`channel.header`: read, masked for all, merged with what is stored (S10). Pure."""

import re
from collections.abc import Mapping, Sequence

from hub.delivery.fetch import OWN_HEADERS
from hub.fhir.outcome import Issue, issue

MASK = "********"
MOST = 20
_LONGEST = 4096  # characters of one header
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([\x21-\x7e][\x20-\x7e]*)")
# What the request itself says, and what the hub says in it.
_FORBIDDEN = OWN_HEADERS | frozenset(
    [
        "keep-alive",
        "content-type",
        "content-encoding",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "x-request-id",
        "idempotency-key",
    ]
)


def read(lines: Sequence[str]) -> tuple[dict[str, str], list[Issue]]:
    """Headers by name as written, and what is wrong with them (HUB-SUB-010)."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    wrong = []
    for index, line in enumerate(lines):
        match = _HEADER.fullmatch(line)
        name = match[1].lower() if match else ""
        if (
            match is None
            or name in _FORBIDDEN
            or name in seen
            or index >= MOST
            or len(line) > _LONGEST
        ):
            path = f"Subscription.channel.header[{index}]"
            wrong.append(issue("HUB-SUB-010", path, most=MOST))
            continue
        seen.add(name)
        found[match[1]] = match[2]
    return found, wrong


def masked(headers: Mapping[str, str]) -> list[str]:
    """As they are stored and shown: names alone."""
    return [f"{name}: {MASK}" for name in headers]


def merged(
    given: Mapping[str, str], stored: Mapping[str, str]
) -> tuple[dict[str, str], list[Issue]]:
    """A masked value means the stored one: who reads and writes back changes nothing.

    HUB-SUB-011 for a mask behind which nothing is stored.
    """
    known = {name.lower(): value for name, value in stored.items()}
    found, wrong = {}, []
    for index, (name, value) in enumerate(given.items()):
        if value != MASK:
            found[name] = value
        elif name.lower() in known:
            found[name] = known[name.lower()]
        else:
            wrong.append(issue("HUB-SUB-011", f"Subscription.channel.header[{index}]"))
    return found, wrong
