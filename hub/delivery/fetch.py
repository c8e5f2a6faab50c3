"""The one guarded outbound client: every request the hub makes goes through here.

Security.md §6. https to listed hosts; a name is resolved once for a connection,
every address is judged, and the connection goes to the judged address while TLS
(SNI) and Host keep the name. No redirects, no proxies, caps on time and size.
Nothing that was received is repeated in an error.
"""

import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

import httpcore
import httpx

from hub.delivery.addresses import (
    Target,
    is_loopback_host,
    read_hosts,
    target,
)
from hub.delivery.guard import (
    FetchError,
    GuardedBackend,
    Resolve,
    resolve_by_system,
)

__all__ = ["FetchError", "Fetcher", "Response"]

_MAX_BYTES = 1_000_000
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
# Hop by hop, framing, and what the client itself says.
OWN_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "accept-encoding",
        "proxy-authorization",
    }
)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: header names in lower case, values joined by `, ` when repeated."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of 2xx


class Fetcher:
    """Makes requests that cannot be led astray. Thread-safe; `close` when done.

    `dev` allows loopback (and http there) and any public host; without it only
    https to `allowed_hosts` (`host` or `host:port`) is possible, so an empty list
    allows nothing. `timeout` is seconds for a whole exchange, answer included. `verify`
    replaces the public certificate authorities.
    """

    def __init__(
        self,
        *,
        dev: bool = False,
        allowed_hosts: Iterable[str] = (),
        timeout: float = 20.0,
        resolve: Resolve = resolve_by_system,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._dev = dev
        self._hosts = read_hosts(allowed_hosts)
        self._timeout = timeout
        self._client = httpx.Client(
            transport=_GuardedTransport(GuardedBackend(resolve, dev=dev), verify),
            trust_env=False,  # a proxy variable would lead every request elsewhere
            follow_redirects=False,
        )

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        max_bytes: int = _MAX_BYTES,
        timeout: float | None = None,
        discard: bool = False,
    ) -> Response:
        """Send one request; the answer whatever its status, redirects included.

        Raises FetchError. `max_bytes` caps the body, `timeout` (seconds) replaces
        the fetcher's own, `discard` leaves the body unread (`content` is empty).
        """
        checked = self._require_allowed(url)
        seconds = self._timeout if timeout is None else timeout
        request = self._client.build_request(
            method,
            checked.url,
            headers={**_checked(headers or {}), "Accept-Encoding": "identity"},
            content=content,
            timeout=seconds,
        )
        if request.url.host != checked.host:
            # Two readers of one URL must agree on where it leads.
            raise FetchError("url")
        return self._send(
            request, None if discard else max_bytes, monotonic() + seconds
        )

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _require_allowed(self, url: str) -> Target:
        checked = target(url)
        if checked is None:
            raise FetchError("url")
        is_local = self._dev and is_loopback_host(checked.host)
        if checked.scheme == "http" and not is_local:
            raise FetchError("scheme")
        listed = (checked.host, checked.port) in self._hosts
        if not (listed or is_local or (self._dev and not self._hosts)):
            raise FetchError("host")
        return checked

    def _send(
        self, request: httpx.Request, max_bytes: int | None, deadline: float
    ) -> Response:
        try:
            response = self._client.send(request, stream=True)
            try:
                content = (
                    b"" if max_bytes is None else _read(response, max_bytes, deadline)
                )
            finally:
                response.close()
        except httpx.TimeoutException:
            raise FetchError("timeout", retry=True) from None
        except httpx.ConnectError as error:
            raise FetchError(
                "tls" if _is_tls(error) else "connect", retry=True
            ) from None
        except httpx.HTTPError:
            raise FetchError("protocol", retry=True) from None
        return Response(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            content,
        )


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if (
            not _HEADER_NAME.fullmatch(name)
            or not _HEADER_VALUE.fullmatch(value)
            or name.lower() in OWN_HEADERS
        ):
            raise FetchError("header")
    return dict(headers)


def _read(response: httpx.Response, max_bytes: int, deadline: float) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        # Never expanded, so that a small answer cannot fill the memory.
        raise FetchError("encoding")
    received = bytearray()
    for chunk in response.iter_raw():
        received += chunk
        if len(received) > max_bytes:
            raise FetchError("size")
        if monotonic() > deadline:
            raise FetchError("timeout", retry=True)
    return bytes(received)


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


class _GuardedTransport(httpx.HTTPTransport):
    """httpx's transport over a pool whose connections are made by our backend."""

    def __init__(self, backend: GuardedBackend, verify: ssl.SSLContext | None) -> None:
        context = verify or httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        # One connection for one request: its name is resolved and judged anew, and
        # the time cap belongs to the connection.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=100,
            max_keepalive_connections=0,
            network_backend=backend,
        )
