"""Connections that cannot be led astray, beneath the guarded client.

A name is resolved once for a connection, every address is judged, and the socket
goes to the judged address while TLS (SNI) and Host keep the name.
"""

import socket
import ssl
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Literal

import httpcore

from hub.delivery.addresses import is_permitted

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


class FetchError(Exception):
    """A request that brought no answer. `retry`: could it succeed later?"""

    def __init__(self, reason: Reason, *, retry: bool = False) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.retry = retry


def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, in the order the system prefers."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedBackend(httpcore.NetworkBackend):
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
