"""One running hub for all tests of the machine, on each database there is."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BACKENDS, _admin, _url
from tests.running import RunningHub, running_hub


@pytest.fixture(scope="session", params=BACKENDS)
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHub]:
    """Each test sends its own referral: cases never meet."""
    folder: Path = tmp_path_factory.mktemp("machine")
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        shutil.copyfile(template, folder / "hub.db")
        with running_hub(f"sqlite:///{folder}/hub.db", folder / "state") as running:
            yield running
        return
    template = request.getfixturevalue("postgres_template")
    name = f"tsunagi_test_{uuid.uuid4().hex[:12]}"
    _admin(f"CREATE DATABASE {name} TEMPLATE {template}")
    with running_hub(_url(name), folder / "state") as running:
        yield running
    _admin(f"DROP DATABASE {name} WITH (FORCE)")
