"""The hub as one process of its own, and what the system says of that process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from hub.database import Database
from hub.settings import Settings
from hub.smart import clients
from tests.bench.people import HOSPITAL
from tests.smart.build import (
    ASSERTION_TYPE,
    assertion,
    ec_key,
    listening_socket,
    public,
)

_PATIENCE = 30  # seconds until a server that does not answer counts as broken


@dataclass(frozen=True)
class Server:
    """A running hub; `started` is the time from the process to the first answer."""

    settings: Settings
    port: int
    pid: int
    started: float

    def cpu(self) -> float:
        """CPU seconds used so far, of all threads."""
        fields = _proc(self.pid, "stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident memory in MB."""
        lines = _proc(self.pid, "status").splitlines()
        resident = next(line for line in lines if line.startswith("VmRSS:"))
        return int(resident.split()[1]) / 1024


@contextmanager
def running(database_url: str, folder: Path) -> Iterator[Server]:
    """`tsunagi serve --dev` on a free port until the block is left."""
    sock = listening_socket()
    port = sock.getsockname()[1]
    sock.close()
    settings = Settings(
        dev=True,
        base_url=f"http://127.0.0.1:{port}",
        state=folder,
        database_url=database_url,
    )
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "hub", "serve", "--dev", "--port", str(port)],
        env={**os.environ, **_environment(settings)},
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait(process, f"{settings.base_url}/readyz")
        started = time.perf_counter() - began
        yield Server(settings, port, process.pid, started)
    finally:
        process.terminate()
        process.wait()


def access_token(server: Server, database: Database) -> str:
    """A token of a hospital's client, registered now."""
    with database.transaction() as session:
        made = clients.register(
            session, organization=HOSPITAL, roles={"source"}, jwks=public(ec_key())
        )
    url = server.settings.token_url
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(made.client_id, ec_key(), url, None),
        "scope": made.scopes,
    }
    answer = httpx.post(url, data=form)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "TSUNAGI_DATABASE_URL": settings.database_url,
        "TSUNAGI_STATE": str(settings.state),
        "TSUNAGI_BASE_URL": settings.base_url,
    }


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    until = time.perf_counter() + _PATIENCE
    while time.perf_counter() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the hub ended with status {process.returncode}")
        try:
            if httpx.get(url).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.01)
    raise TimeoutError("the hub does not answer")


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text("ascii")
