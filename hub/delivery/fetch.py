"""The one guarded outbound client: every request the hub makes goes through here.

Security.md §6. https to listed hosts; a name is resolved once for a connection,
every address is judged, and the connection goes to the judged address while TLS
(SNI) and Host keep the name. No redirects, no proxies, caps on time and size.
Nothing that was received is repeated in an error.
"""

import re
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self

import httpcore
import httpx

from hub.delivery.addresses import (
    Target,
    read_hosts,
    is_loopback_host,
    is_permitted,
    target,
)

Resolve = Callable[[str, int], Sequence[str]]
Reason = Literal[
    "url",  # not plainly one http(s) URL
    "scheme",  # http outside this machine
    "host",  # not on the allow-list
    "header",  # a header a caller may not set
    "name",  # the name does not resolve
    "address",  # it resolves to where the hub must not go
    "connect",
    "tls",
    "timeout",
    "protocol",  # the answer is not HTTP, or was cut off
    "encoding",  # Content-Encoding that was not asked for
    "size",
    "status",  # an answer that the caller cannot use
]

_MAX_BYTES = 1_000_000
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_OWN_HEADERS = frozenset(
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


class FetchError(Exception):
    """A request that brought no answer. `retry`: could it succeed later?"""

    def __init__(self, reason: Reason, *, retry: bool = False) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.retry = retry


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: header names in lower case, values joined by `, ` when repeated."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of 2xx


def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, in the order the system prefers."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher:
    """Makes requests that cannot be led astray. Thread-safe; `close` when done.

    `dev` allows loopback (and http there) and any public host; without it only
    https to `allowed_hosts` (`host` or `host:port`) is possible, so an empty list allows
    nothing. `timeout` is seconds for a whole exchange, answer included. `verify`
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
            transport=_GuardedTransport(_GuardedBackend(resolve, dev=dev), verify),
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
            or name.lower() in _OWN_HEADERS
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

    def __init__(
        self, backend: "_GuardedBackend", verify: ssl.SSLContext | None
    ) -> None:
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


class _GuardedBackend(httpcore.NetworkBackend):
    """Opens connections: resolve once, judge every address, connect to one of them."""

    def __init__(self, resolve: Resolve, *, dev: bool) -> None:
        self._resolve = resolve
        self._dev = dev
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        deadline = monotonic() + (20.0 if timeout is None else timeout)
        failure: Exception = FetchError("name", retry=True)
        for address in self._addresses(host, port):
            try:
                stream = self._sockets.connect_tcp(
                    address, port, _left(deadline), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, deadline)
        raise failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> httpcore.NetworkStream:
        del path, timeout, socket_options
        raise FetchError("address")

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = self._resolve(host, port)
        except OSError:
            raise FetchError("name", retry=True) from None
        # One bad address condemns all: the name is not in honest hands.
        if not all(is_permitted(a, loopback=self._dev) for a in addresses):
            raise FetchError("address")
        return addresses


class _TimedStream(httpcore.NetworkStream):
    """A connection that ends at its deadline, however slowly the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        del timeout
        secured = self._stream.start_tls(
            ssl_context, server_hostname, _left(self._deadline)
        )
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise FetchError("timeout", retry=True)
    return left
