"""Access tokens of receivers: their discovery document, and a cache. SMART 2.2."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from joserfc.jwk import ECKey

from connectors.fhir_rest.answers import delivery_error, require_json
from connectors.fhir_rest.client import fetch_token
from hub.delivery.addresses import target
from hub.delivery.connector import DeliveryError, Destination
from hub.delivery.fetch import Fetcher, FetchError, Response

_DISCOVERY_SECONDS = 3600.0
_MARGIN_SECONDS = 30.0
_MAX_BYTES = 64 * 1024

_CacheKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str
    until: float


class Tokens:
    """Gets and keeps the access tokens of receivers. Thread-safe."""

    def __init__(self, fetcher: Fetcher, key: ECKey) -> None:
        self._fetcher = fetcher
        self._key = key
        self._lock = threading.Lock()
        self._tokens: dict[_CacheKey, _Kept] = {}
        self._endpoints: dict[str, _Kept] = {}

    def find(self, destination: Destination, stale: str | None = None) -> str:
        """A live token for this receiver; `stale` is one that it refused.

        Raises DeliveryError: `discovery`, `token`, or what the network says.
        """
        key = (destination.address, destination.client_id, destination.scope)
        kept = self._kept(self._tokens, key)
        if kept is not None and kept != stale:
            return kept
        token, seconds = self._fetch(destination)
        lifetime = max(seconds - _MARGIN_SECONDS, seconds / 2)
        with self._lock:
            self._tokens[key] = _Kept(token, monotonic() + lifetime)
        return token

    def _kept(self, cache: Mapping[Any, _Kept], key: Any) -> str | None:
        with self._lock:
            kept = cache.get(key)
        return kept.value if kept is not None and monotonic() < kept.until else None

    def _endpoint(self, base: str) -> str:
        """The token endpoint from the discovery document of the receiver's base."""
        kept = self._kept(self._endpoints, base)
        if kept is not None:
            return kept
        url = f"{base}/.well-known/smart-configuration"
        response = self._get(url)
        if not response.is_success:
            raise delivery_error(response, "discovery")
        endpoint = require_json(response, "discovery").get("token_endpoint")
        if not isinstance(endpoint, str) or not _is_same_host(endpoint, base):
            # A receiver that points to another host could collect assertions.
            raise DeliveryError("discovery", retry=False)
        with self._lock:
            self._endpoints[base] = _Kept(endpoint, monotonic() + _DISCOVERY_SECONDS)
        return endpoint

    def _get(self, url: str) -> Response:
        headers = {"Accept": "application/json"}
        try:
            return self._fetcher.request(
                "GET", url, headers=headers, max_bytes=_MAX_BYTES
            )
        except FetchError as error:
            raise DeliveryError(error.reason, retry=error.retry) from error

    def _fetch(self, destination: Destination) -> tuple[str, float]:
        base = destination.address.rstrip("/")
        endpoint = self._endpoint(base)
        try:
            return fetch_token(
                self._fetcher,
                self._key,
                endpoint=endpoint,
                client_id=destination.client_id,
                scope=destination.scope,
            )
        except DeliveryError:
            # The endpoint may have moved: ask the receiver again next time.
            with self._lock:
                self._endpoints.pop(base, None)
            raise


def _is_same_host(endpoint: str, base: str) -> bool:
    found, known = target(endpoint), target(base)
    return (
        found is not None
        and known is not None
        and (found.scheme, found.host) == (known.scheme, known.host)
    )
