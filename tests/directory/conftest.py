"""The committed directory, read once."""

from pathlib import Path

import pytest

from hub.directory import seeds
from hub.directory.ask import SeedDirectory
from hub.directory.gazetteer import read_gazetteer

PROFILES = Path(__file__).resolve().parents[2] / "profiles" / "directory"


@pytest.fixture(scope="session")
def seed():
    return seeds.read(PROFILES)


@pytest.fixture(scope="session")
def directory(seed):
    return SeedDirectory(seed)


@pytest.fixture(scope="session")
def gazetteer():
    return read_gazetteer(PROFILES)
