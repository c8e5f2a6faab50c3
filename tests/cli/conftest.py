"""The command line as a person and as a script meet it: arguments, streams, code."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from hub import cli
from hub.database import Database
from hub.running.prepare import import_directory
from hub.settings import Settings


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command sets up logs on this test's stderr; the next test has another."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    def must(self, code: int = 0) -> "Said":
        assert self.code == code, f"{self.code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.out + self.err
        return self


Tsunagi = Callable[..., Said]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder, with no setting of ours."""
    for name in [n for n in os.environ if n.startswith("TSUNAGI_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")
    return folder


@pytest.fixture
def tsunagi(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Tsunagi:
    """Run `tsunagi ...` within this process; what it printed and its exit code."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["tsunagi", *map(str, arguments)])
        capfd.readouterr()
        try:
            cli.main()
            code: object = 0
        except SystemExit as left:
            code = left.code or 0
        printed = capfd.readouterr()
        assert isinstance(code, int)
        return Said(code, printed.out, printed.err)

    return run


@pytest.fixture
def loaded(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """A migrated database with the directory, named by TSUNAGI_DATABASE_URL."""
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)
    database = Database(database_url)
    settings = Settings(dev=True, database_url=database_url, state=tmp_path / "state")
    import_directory(settings, database)
    yield database
    database.close()
