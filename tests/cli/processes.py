"""`tsunagi` as processes of their own, with nothing of this process's settings."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from hub.demo.processes import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = [sys.executable, "-m", "hub"]


def environment(**settings: str) -> dict[str, str]:
    """This environment without any TSUNAGI_ setting but those given."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TSUNAGI_")}
    given = {f"TSUNAGI_{name.upper()}": value for name, value in settings.items()}
    # A hub that is set right says so when it delivers nowhere.
    nowhere = {"TSUNAGI_DELIVERY_ALLOWED_HOSTS": "none"}
    return {**clean, "PYTHONPATH": str(ROOT), **nowhere, **given}


def run(
    *arguments: object, folder: Path, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def started(
    *arguments: object, folder: Path, **settings: str
) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended at the end, whatever happens."""
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    """Ask it to end; it does with exit 0 within seconds. What it printed."""
    process.send_signal(number)
    printed, _ = process.communicate(timeout=20)
    assert process.returncode == 0, printed
    assert "Traceback" not in printed
    return printed


def wait_for(url: str, process: subprocess.Popen[str], patience: float = 90.0) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise TimeoutError(url)


@contextmanager
def serving(
    folder: Path, *options: str, **settings: str
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """`tsunagi serve --dev` on a free port: its base URL and its process."""
    port = free_port()
    with started(
        "serve", "--dev", "--port", port, *options, folder=folder, **settings
    ) as process:
        base = f"http://127.0.0.1:{port}"
        wait_for(f"{base}/readyz", process)
        yield base, process
