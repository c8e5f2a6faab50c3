"""Two hub processes on one database: nothing is decided in the memory of one."""

from pathlib import Path

import pytest

from tests.bench import races
from tests.bench.races import Hubs


@pytest.fixture
def hubs(database_url: str, tmp_path: Path):
    with races.hubs_on(database_url, tmp_path, processes=2, players=8) as made:
        yield made


def test_F4_F6_F11_K2_K3_every_race_ends_as_some_order_one_after_another(hubs: Hubs):
    """Twenty clients and a thousand rounds of each: `make races`."""
    for race in races.RACES:
        for _ in range(3):
            race(hubs)
