"""Twenty writers at once, as threads and as if in two processes (K9, K2)."""

import threading

from hub import changes
from hub.actor import Actor
from hub.changes import By
from hub.database import Database
from hub.store import resources as store
from hub.store.visibility import hub_sees_all

_BY = Actor("test", "tsunagi-hub", roles=frozenset({"hub"}))
_WRITERS, _EACH = 20, 5


def test_K9_database_is_locked_never_surfaces_with_twenty_writers(database_url):
    """Two engines: one process takes turns, two leave it to the database."""
    databases = [Database(database_url), Database(database_url)]
    failed: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for turn in range(_EACH):
                with databases[number % 2].transaction() as session:
                    _append(session, f"{number}-{turn}")
        except BaseException as error:  # noqa: BLE001 - what a writer met is the test
            failed.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(_WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with databases[0].transaction() as session:
        found = store.read(session, "Organization", "one", hub_sees_all)
    assert found is not None
    assert found.version == _WRITERS * _EACH
    written = {one["value"] for one in found.resource()["identifier"]}
    assert len(written) == _WRITERS * _EACH
    for database in databases:
        database.close()


def _append(session, value: str) -> None:
    found = store.read(session, "Organization", "one", hub_sees_all)
    before = found.resource()["identifier"] if found else []
    organisation = {
        "resourceType": "Organization",
        "id": "one",
        "identifier": [*before, {"system": "urn:x", "value": value}],
    }
    changes.put(session, By(_BY), organisation)
