"""Polling by `_lastUpdated` loses nothing, however slow a writer is (rest.md §3)."""

import threading
import time
from urllib.parse import quote

from hub import changes
from hub.actor import Actor
from hub.changes import By
from hub.database import Database, flush
from tests.running import Caller


def test_polling_misses_nothing_that_a_stalled_writer_commits_late(
    hub, source, module_url
):
    """Whether the faster ones wait for it or are shown later is not asked here."""
    poller, stalled, fast = _Poller(source), Database(module_url), Database(module_url)
    poller.poll()
    with stalled.transaction() as session:
        _store(session, "late")
        flush(session)
        writers = [
            threading.Thread(target=_commit, args=(fast, f"fast-{number}"))
            for number in range(3)
        ]
        for writer in writers:
            writer.start()
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            if hub.database.is_sqlite:
                break  # a read waits for the writer as well
            poller.poll()
    for writer in writers:
        writer.join()
    poller.poll()
    poller.poll()
    assert {"late", "fast-0", "fast-1", "fast-2"} <= poller.seen
    stalled.close()
    fast.close()


class _Poller:
    """Asks as a receiver does: what changed since the last thing it saw."""

    def __init__(self, caller: Caller) -> None:
        self.seen: set[str] = set()
        self._caller = caller
        self._since = ""

    def poll(self) -> None:
        since = f"&_lastUpdated=ge{quote(self._since)}" if self._since else ""
        path = f"/Organization?_sort=-_lastUpdated&_count=1000{since}"
        found = self._caller.search(path)
        self.seen |= {one["id"] for one in found}
        if found:
            self._since = found[0]["meta"]["lastUpdated"]


def _commit(database: Database, id: str) -> None:
    with database.transaction() as session:
        _store(session, id)


def _store(session, id: str) -> None:
    by = By(Actor("test", "tsunagi-hub", roles=frozenset({"hub"})))
    changes.put(session, by, {"resourceType": "Organization", "id": id, "name": "架空"})
