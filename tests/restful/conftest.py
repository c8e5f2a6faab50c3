"""One running hub per module and database: tests share it and bring their own data."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BACKENDS, _admin, _url
from tests.restful.build import CENTRE, HOSPITAL, OTHER_HOSPITAL
from tests.running import Caller, RunningHub, running_hub


@pytest.fixture(scope="module", params=BACKENDS)
def module_url(request, tmp_path_factory) -> Iterator[str]:
    """A migrated, empty database for the tests of one module."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("hub") / "hub.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    template = request.getfixturevalue("postgres_template")
    name = f"tsunagi_test_{uuid.uuid4().hex[:12]}"
    _admin(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _url(name)
    _admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def hub(module_url: str, tmp_path_factory) -> Iterator[RunningHub]:
    """As in operation: no drafts, so that case data needs a case."""
    state: Path = tmp_path_factory.mktemp("state")
    with running_hub(module_url, state, drafts=False) as made:
        yield made


@pytest.fixture(scope="module")
def drafting(tmp_path_factory, sqlite_template: Path) -> Iterator[RunningHub]:
    """A hub that keeps drafts, as with `--dev`."""
    folder = tmp_path_factory.mktemp("drafting")
    shutil.copyfile(sqlite_template, folder / "hub.db")
    with running_hub(f"sqlite:///{folder}/hub.db", folder, drafts=True) as made:
        yield made


@pytest.fixture
def source(hub: RunningHub) -> Caller:
    return hub.caller(HOSPITAL, "source")


@pytest.fixture
def stranger(hub: RunningHub) -> Caller:
    return hub.caller(OTHER_HOSPITAL, "source")


@pytest.fixture
def centre(hub: RunningHub) -> Caller:
    return hub.caller(CENTRE, "recipient")


@pytest.fixture
def privacy(hub: RunningHub) -> Caller:
    return hub.caller("tsunagi-hub", "privacy")
