"""The demonstration's processes: the hub and two stand-in systems, each its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hub.delivery.fetch import Fetcher, FetchError


@dataclass
class Processes:
    """Started processes; `stop` ends them all. Logs go to files in `folder`."""

    folder: Path
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self, name: str, arguments: list[str], environment: Mapping[str, str]
    ) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )
        self._running.append(process)

    def stop(self) -> None:
        """Ask every process to end, and make sure that it did."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def require_alive(self) -> None:
        """Raise when one ended by itself."""
        for process in self._running:
            if process.poll() is not None:
                raise RuntimeError(f"process ended with {process.returncode}")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, fetcher: Fetcher, processes: Processes, seconds: float) -> float:
    """Wait until a URL answers 200; the seconds it took. Raises TimeoutError."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        processes.require_alive()
        try:
            if fetcher.request("GET", url).status == 200:  # noqa: PLR2004
                return time.monotonic() - start
        except FetchError:
            pass
        time.sleep(0.02)
    raise TimeoutError(url)
