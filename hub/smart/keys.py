"""The keys of a client at the moment of use: by value, or by URL with a cache.

A JWKS by URL comes through the guarded fetcher, 256 KiB and 3 s at most, and is
kept no longer than its Cache-Control says and one hour (security.md §2).
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import structlog

from hub.delivery.fetch import Fetcher, FetchError, Response
from hub.fhir.json import decode_value
from hub.fhir.outcome import FhirError
from hub.smart import jwks
from hub.smart.clients import Client

_log = structlog.get_logger()

MAX_BYTES = 256 * 1024
TIMEOUT = 3.0
MAX_AGE = 3600.0
# Anyone can name a client in an assertion; a key server must not be called for each.
_MIN_AGE = 5.0
_UNSTATED_AGE = 300.0
_REFETCH_UNKNOWN_KID = 60.0
_RETRY_FAILED = 10.0
_MAX_AGE_DIRECTIVE = re.compile(
    r"(?:^|[,\s])max-age=(\d{1,10})(?:$|[,\s])", re.IGNORECASE
)


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    keys: Any = None
    fresh_until: float = float("-inf")
    fetched_at: float = float("-inf")


class ClientKeys:
    """Finds the public key that an assertion names. Thread-safe; one a process."""

    def __init__(
        self, fetcher: Fetcher, clock: Callable[[], float] = monotonic
    ) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._entries_lock = threading.Lock()

    def find(self, client: Client, kid: str, algorithm: str) -> jwks.Key | None:
        """The one fitting key with this kid; None when there is none to trust."""
        if client.jwks_url is None:
            return jwks.choose(client.jwks, kid, algorithm)
        return jwks.choose(self.at(client.jwks_url, kid), kid, algorithm)

    def at(self, url: str, kid: str) -> Any:
        """The unverified JWKS at a URL, fetched anew for a kid it did not have.

        None when it cannot be had now.
        """
        entry = self._entry(url)
        # One fetch at a time for each URL: the others wait for its answer.
        with entry.lock:
            moment = self._clock()
            rests = moment - entry.fetched_at < _REFETCH_UNKNOWN_KID
            if moment >= entry.fresh_until or not (_has_kid(entry.keys, kid) or rests):
                self._fetch(url, entry)
            return entry.keys

    def _entry(self, url: str) -> _Entry:
        with self._entries_lock:
            return self._entries.setdefault(url, _Entry())

    def _fetch(self, url: str, entry: _Entry) -> None:
        entry.fetched_at = self._clock()
        try:
            response = self._fetcher.request(
                "GET",
                url,
                headers={"Accept": "application/json"},
                max_bytes=MAX_BYTES,
                timeout=TIMEOUT,
            )
            entry.keys, age = _read(response)
        except (FetchError, FhirError) as error:
            # Old keys are not kept in place of new ones: a withdrawn key would live on.
            _log.warning("jwks_unreadable", reason=type(error).__name__)
            entry.keys, age = None, _RETRY_FAILED
        entry.fresh_until = self._clock() + age


def _read(response: Response) -> tuple[Any, float]:
    if response.status != 200:  # noqa: PLR2004
        raise FetchError("status", retry=True)
    return decode_value(response.content, max_depth=8), _age(
        response.headers.get("cache-control", "")
    )


def _age(cache_control: str) -> float:
    directives = cache_control.lower()
    if "no-store" in directives or "no-cache" in directives:
        return _MIN_AGE
    stated = _MAX_AGE_DIRECTIVE.search(directives)
    age = float(stated[1]) if stated else _UNSTATED_AGE
    return min(max(age, _MIN_AGE), MAX_AGE)


def _has_kid(keys: Any, kid: str) -> bool:
    members = keys.get("keys") if isinstance(keys, dict) else None
    return isinstance(members, list) and any(
        isinstance(key, dict) and key.get("kid") == kid for key in members
    )
