"""What the commands on clients and persons share: one transaction, with its log."""

from collections.abc import Iterator
from contextlib import contextmanager

from hub.cli.opening import local_settings, opened
from hub.database import Session


@contextmanager
def administering() -> Iterator[Session]:
    """One transaction on the hub's database; the log names the hub as it is set."""
    from hub import audit

    settings = local_settings()
    with opened(settings) as database:
        audit.observe(database, settings.organization, settings.base_url)
        with database.transaction() as session:
            yield session
