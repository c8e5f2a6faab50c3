"""The whole hub killed while it numbers events (rest.md S9; security.md K4)."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from hub.database import Database
from hub.demo.processes import free_port
from tests.cli.processes import run
from tests.cli.test_serve import SOURCE
from tests.cli.test_survival import _client, _end_leases, _serving
from tests.restful.build import a_referral
from tests.smart.build import ec_key, public
from tests.subscriptions.build import Hook, a_subscription, listening, numbers, value

_SECONDS = 40


def test_S9_event_numbers_have_no_gap_across_kill_9(
    loaded: Database, empty_folder: Path, database_url: str, tmp_path: Path
):
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    settings = {"database_url": database_url, "state": str(tmp_path / "state")}
    (empty_folder / "jwks.json").write_text(json.dumps(public(ec_key())))
    added = run(
        "client", "add", "--organization", SOURCE, "--role", "source",
        "--jwks", "jwks.json", "--json", folder=empty_folder, **settings,
    )  # fmt: skip
    made = json.loads(added.stdout)
    taken: list[int] = []
    with listening() as hook:
        with _serving(empty_folder, port, settings) as hub, _client(base, made) as http:
            posted = http.post("Subscription", json=a_subscription(hook.url))
            subscription = f"Subscription/{posted.json()['id']}"
            _until(lambda: http.get(subscription).json()["status"] == "active")
            _submit_until_killed(http, hub, taken)
        assert taken
        _end_leases(loaded)
        with _serving(empty_folder, port, settings), _client(base, made) as http:
            last = _require_all(http, subscription, hook)
    # Each referral is two events: its own Task and its desk's.
    assert last >= 2 * len(taken)


def _submit_until_killed(http: httpx.Client, hub: Any, taken: list[int]) -> None:
    def submit() -> None:
        while True:
            try:
                answer = http.post("", json=a_referral())
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                taken.append(1)

    senders = [threading.Thread(target=submit) for _ in range(2)]
    for sender in senders:
        sender.start()
    _until(lambda: len(taken) >= 2)
    hub.kill()
    for sender in senders:
        sender.join()


def _require_all(http: httpx.Client, subscription: str, hook: Hook) -> int:
    """Every number up to the count, in `$events` and at the endpoint; the count."""
    status = http.get(f"{subscription}/$status").json()
    last = int(value(status, "events-since-subscription-start"))
    kept = http.get(f"{subscription}/$events").json()
    assert numbers(kept) == list(range(1, last + 1))
    _until(lambda: set(hook.numbers()) == set(range(1, last + 1)))
    # At most one is told twice: the one that was under way (Q4).
    assert len(hook.numbers()) <= last + 1
    return last


def _until(happened: Any) -> None:
    deadline = time.monotonic() + _SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
