"""Clients that keep their connections and wait for one answer before the next."""

import math
import statistics
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import cycle

from tests.bench.server import Server


@dataclass(frozen=True)
class Request:
    """One call; `units` is how many things it does (the rows of a sheet)."""

    method: str
    path: str
    body: bytes = b""
    media_type: str = "application/fhir+json"
    units: int = 1


@dataclass(frozen=True)
class Measured:
    """What a load gave: per second, and milliseconds for each unit."""

    per_second: float
    p50: float
    p95: float
    p99: float
    cpu: float
    count: int


def load(
    servers: Sequence[Server],
    token: str,
    requests: Iterable[Request],
    *,
    clients: int,
    seconds: float,
) -> Measured:
    """Send requests until there are none left or the time is over.

    Each client keeps to one of the servers, which share a database. Raises RuntimeError at the first answer that is not 200.
    """
    shared = _Shared(iter(requests), time.perf_counter() + seconds)
    threads = [
        threading.Thread(target=_client, args=(server, token, shared))
        for server, _ in zip(cycle(servers), range(clients), strict=False)
    ]
    cpu, began = _cpu(servers), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if shared.failure:
        raise RuntimeError(shared.failure)
    return _measured(shared, time.perf_counter() - began, _cpu(servers) - cpu)


def repeated(*requests: Request) -> Iterator[Request]:
    """The same requests in turn, without end."""
    return cycle(requests)


def answer(server: Server, token: str, request: Request) -> bytes:
    """One request outside any measurement."""
    connection = HTTPConnection("127.0.0.1", server.port)
    try:
        return _send(connection, token, request)
    finally:
        connection.close()


class _Shared:
    """What the clients share: the requests left and the seconds each took."""

    def __init__(self, requests: Iterator[Request], until: float) -> None:
        self._requests, self._until = requests, until
        self._lock = threading.Lock()
        self.took: list[float] = []
        self.units = 0
        self.failure = ""

    def next(self) -> Request | None:
        with self._lock:
            if self.failure or time.perf_counter() > self._until:
                return None
            return next(self._requests, None)

    def done(self, request: Request, seconds: float) -> None:
        with self._lock:
            self.took.append(seconds / request.units)
            self.units += request.units


def _client(server: Server, token: str, shared: _Shared) -> None:
    connection = HTTPConnection("127.0.0.1", server.port)
    try:
        while (request := shared.next()) is not None:
            began = time.perf_counter()
            _send(connection, token, request)
            shared.done(request, time.perf_counter() - began)
    except (OSError, RuntimeError) as error:
        shared.failure = str(error)
    finally:
        connection.close()


def _send(connection: HTTPConnection, token: str, request: Request) -> bytes:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": request.media_type}
    connection.request(request.method, request.path, request.body or None, headers)
    given = connection.getresponse()
    body = given.read()
    if given.status != 200:
        raise RuntimeError(f"{request.method} {request.path}: {given.status}")
    return body


def _cpu(servers: Sequence[Server]) -> float:
    return sum(server.cpu() for server in servers)


def _measured(shared: _Shared, wall: float, cpu: float) -> Measured:
    if not shared.took:
        raise RuntimeError("nothing was answered in time")
    milliseconds = sorted(1000 * one for one in shared.took)

    def below(part: float) -> float:
        return milliseconds[math.ceil(part * (len(milliseconds) - 1))]

    return Measured(
        per_second=shared.units / wall,
        p50=statistics.median(milliseconds),
        p95=below(0.95),
        p99=below(0.99),
        cpu=1000 * cpu / shared.units,
        count=shared.units,
    )
