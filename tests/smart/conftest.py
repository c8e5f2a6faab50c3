import pytest

from hub.delivery.fetch import Fetcher
from tests.smart.build import running_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    with Fetcher(dev=True) as fetcher, running_hub(folder, fetcher) as running:
        yield running
