"""A hub that keeps drafts, as a vendor tries it with `--dev`, and a source's client."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.restful.build import HOSPITAL, a_caller
from tests.running import Caller, RunningHub, running_hub

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def hub(tmp_path_factory, sqlite_template: Path) -> Iterator[RunningHub]:
    folder = tmp_path_factory.mktemp("clients")
    shutil.copyfile(sqlite_template, folder / "hub.db")
    with running_hub(f"sqlite:///{folder}/hub.db", folder, drafts=True) as made:
        yield made


@pytest.fixture
def vendor(hub: RunningHub) -> Caller:
    """One with every scope: what it may not do, it may not for other reasons."""
    return a_caller(hub, HOSPITAL)


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory) -> Path:
    """Where the clients of package-lock.json are installed, from the lock alone.

    TSUNAGI_CLIENTS=required (CI) fails where Node or npm is missing; else it skips.
    """
    problem = _install()
    if problem and os.environ.get("TSUNAGI_CLIENTS") == "required":
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)
    return HERE / "node_modules"


def _install() -> str | None:
    import subprocess

    lock, mark = (
        HERE / "package-lock.json",
        HERE / "node_modules" / ".package-lock.json",
    )
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "Node.js with npm is not here: apt-get install nodejs npm"
    if mark.exists() and mark.stat().st_mtime >= lock.stat().st_mtime:
        return None
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return None if done.returncode == 0 else f"npm ci failed: {done.stderr[-300:]}"
