"""Where the hub may connect to: URLs and addresses, judged. Pure.

Security.md §6. A host is a name or a canonical address; every other spelling of an
address (decimal, octal, hexadecimal, short, trailing dot) is refused, because two
readers could understand it differently.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, cast

_DEFAULT_PORTS = {"https": 443, "http": 80}
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]*)?"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")

# `is_global` of CPython 3.11 is True inside each of these but the mapped one and
# 2001::/23, which newer versions judge differently again: all are named.
_NEVER = tuple(
    ip_network(network)
    for network in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
    )
)


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL; `host` is lower case, an IPv6 address without brackets."""

    url: str
    scheme: Literal["http", "https"]
    host: str
    port: int


def target(url: str) -> Target | None:
    """Read a URL strictly; None for what is not plainly one http(s) URL.

    Refused: userinfo, fragment, backslash, white space, non-ASCII, and hosts in any
    spelling but a DNS name, a dotted quad or a bracketed IPv6 address.
    """
    match = _URL.fullmatch(url)
    if match is None:
        return None
    host = _host(match["host"].lower())
    scheme = cast("Literal['http', 'https']", match["scheme"])
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if host is None or not 0 < port < 65536:  # noqa: PLR2004 - 16 bits
        return None
    return Target(url, scheme, host, port)


def is_loopback_host(host: str) -> bool:
    """True for `localhost` and the canonical loopback addresses."""
    return host in ("localhost", "::1") or (
        _address(host) is not None and host.startswith("127.")
    )


def is_permitted(address: str, *, loopback: bool) -> bool:
    """May the hub connect to this address? Loopback only when asked for (`dev`)."""
    parsed = _address(address)
    if parsed is None:
        return False
    if parsed.is_loopback:
        return loopback
    if any(parsed in network for network in _NEVER):
        return False
    return parsed.is_global and not parsed.is_multicast


def read_hosts(entries: Iterable[str]) -> frozenset[tuple[str, int]]:
    """Read an allow-list: `host` (port 443) or `host:port`, one an entry."""
    return frozenset(
        (found.host, found.port)
        for entry in entries
        if entry.strip() and (found := target(f"https://{entry.strip()}")) is not None
    )


def _host(raw: str) -> str | None:
    if raw.startswith("["):
        address = _address(raw[1:-1])
        return str(address) if isinstance(address, IPv6Address) else None
    labels = raw.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        return None
    if _NUMERIC_LABEL.fullmatch(labels[-1]):  # WHATWG: "ends in a number"
        address = _address(raw)
        return raw if isinstance(address, IPv4Address) else None
    return raw


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
