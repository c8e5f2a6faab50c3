"""A backup taken while the hub writes, put back, and taken up again (K7, A8)."""

import json
import shutil
import sqlite3
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.engine import make_url

from hub.database import Database
from hub.demo.processes import free_port
from tests.cli.conftest import Tsunagi
from tests.cli.processes import end, run, started, wait_for
from tests.cli.test_serve import SOURCE, _endpoint, _received, _standin, _token
from tests.conftest import _admin
from tests.restful.build import a_referral, refusal
from tests.smart.build import ec_key, public

_CENTRE = "kagoshima-shi"


def test_K7_a_restored_backup_is_whole_and_read_only_until_it_is_reconciled(
    loaded: Database, empty_folder: Path, database_url: str, tmp_path: Path,
    tsunagi: Tsunagi, monkeypatch,
):  # fmt: skip
    state, backup, centre = tmp_path / "state", tmp_path / "backup", free_port()
    monkeypatch.setenv("TSUNAGI_STATE", str(state))
    _endpoint(loaded, _CENTRE, f"http://127.0.0.1:{centre}/fhir")
    loaded.close()
    settings = {"database_url": database_url, "state": str(state)}
    client = _a_client(empty_folder, settings)
    base = f"http://127.0.0.1:{free_port()}"
    with _hub(empty_folder, base, settings) as hub, _standin(centre, base):
        with _http(base, client) as http, _writing(http) as acknowledged:
            _wait_until(lambda: _anchored(state) > 0 and len(acknowledged) > 2)
            sure = list(acknowledged)
            _back_up(database_url, backup)
            until = len(acknowledged) + 3
            _wait_until(lambda: len(acknowledged) >= until)
        _deliver(empty_folder, base, settings, centre, len(acknowledged))
        end(hub)
        _restore(database_url, backup)

        assert "HUB-AUD-005" in tsunagi("audit", "verify").must(1).err
        sent = _times(centre)
        with (
            _hub(empty_folder, base, settings, worker="true") as restored,
            _http(base, client) as http,
        ):
            # Nobody can tell which consents were withdrawn after the backup.
            for place in (*sure[0], "Task?status=requested", "_history"):
                closed = http.get(place)
                assert refusal(closed) == (503, "HUB-CON-032"), place
            assert http.get(f"Organization/{SOURCE}").status_code == 200
            brought = http.get(f"Organization?_id={SOURCE}&_revinclude=Task:requester")
            kinds = {e["resource"]["resourceType"] for e in brought.json()["entry"]}
            assert kinds == {"Organization"}
            answer = http.post("", json=a_referral())
            assert refusal(answer) == (503, "HUB-REST-082")
            assert answer.headers["Retry-After"]
            assert "reconcile" in end(restored)
        assert _times(centre) == sent  # nothing was delivered
        assert "reconcile" in tsunagi("work", "--dev").must(2).err

        assert "--yes" in tsunagi("reconcile").must(1).err
        tsunagi("reconcile", "--yes").must()
        assert "nothing" in tsunagi("reconcile", "--yes").must().out
        assert "intact" in tsunagi("audit", "verify").must().out

        with (
            _hub(empty_folder, base, settings) as resumed,
            _http(base, client) as http,
        ):
            for places in sure:
                for place in places:
                    assert http.get(place).status_code == 200, place
            assert http.post("", json=a_referral()).status_code == 200
            _deliver(empty_folder, base, settings, centre, len(sent) + 1)
            end(resumed)
        again = _times(centre)
        # What left after the backup leaves once more: the same ids, the same bytes.
        assert set(sent) <= set(again)
        assert sum(again[id] > sent[id] for id in sent) >= len(sure)
    assert "intact" in tsunagi("audit", "verify").must().out


@contextmanager
def _hub(folder: Path, base: str, settings: dict[str, str], worker: str = "false"):
    """Always at the same address: it is who the hub is to the receiver."""
    port = base.rpartition(":")[2]
    with started(
        "serve", "--dev", "--port", port, folder=folder, worker=worker, **settings
    ) as process:
        wait_for(f"{base}/readyz", process)
        yield process


def _a_client(folder: Path, settings: dict[str, str]) -> dict[str, Any]:
    (folder / "jwks.json").write_text(json.dumps(public(ec_key())))
    added = run(
        "client", "add", "--organization", SOURCE, "--role", "source",
        "--jwks", "jwks.json", "--json", folder=folder, **settings,
    )  # fmt: skip
    made: dict[str, Any] = json.loads(added.stdout)
    return made


def _http(base: str, client: dict[str, Any]) -> httpx.Client:
    token = _token(base, client["client_id"], client["scope"]).json()["access_token"]
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/fhir+json",
    }
    return httpx.Client(base_url=f"{base}/fhir/R4/", headers=headers, timeout=20)


@contextmanager
def _writing(http: httpx.Client):
    """Referrals without a pause; of each acknowledged one what it stored."""
    acknowledged: list[list[str]] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            answer = http.post("", json=a_referral())
            assert answer.status_code == 200, answer.text
            entries = answer.json()["entry"]
            acknowledged.append(
                [e["response"]["location"].partition("/_history")[0] for e in entries]
            )

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        thread.join()


def _deliver(
    folder: Path, base: str, settings: dict[str, str], centre: int, least: int
) -> None:
    with started("work", folder=folder, base_url=base, dev="true", **settings) as work:
        database = Database(settings["database_url"])
        _wait_until(lambda: _waiting(database) == 0)
        database.close()
        end(work)
    assert len(_received(centre)) >= least


def _waiting(database: Database) -> int:
    with database.engine.connect() as session:
        found = session.exec_driver_sql(
            "SELECT count(*) FROM outbox WHERE status != 'delivered'"
            f" AND organisation = '{_CENTRE}'"
        )
        return int(found.scalar_one())


def _times(centre: int) -> dict[str, int]:
    return {one["id"]: one["times"] for one in _received(centre)}  # type: ignore[index]


def _anchored(state: Path) -> int:
    path = state / "audit-checkpoints.jsonl"
    found = path.read_text().splitlines() if path.exists() else []
    return int(json.loads(found[-1])["seq"]) if found else 0


def _back_up(url: str, backup: Path) -> None:
    """As the README says: `sqlite3 .backup`, which is this call, or pg_dump."""
    if url.startswith("sqlite"):
        source = sqlite3.connect(url.removeprefix("sqlite:///"))
        with sqlite3.connect(backup) as target:
            source.backup(target)
        target.close()
        source.close()
        return
    _tool("pg_dump", "--format=custom", f"--file={backup}", url)


def _restore(url: str, backup: Path) -> None:
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        for old in path.parent.glob(f"{path.name}*"):
            old.unlink()
        shutil.copyfile(backup, path)
        return
    name = make_url(url).database
    _admin(f"DROP DATABASE {name} WITH (FORCE)")
    _admin(f"CREATE DATABASE {name}")
    _tool("pg_restore", f"--dbname={url}", str(backup))


def _tool(name: str, *arguments: str) -> None:
    found = shutil.which(name) or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), ""
    )
    if not found:
        pytest.skip(f"{name} is not here")
    subprocess.run([found, *arguments], check=True, capture_output=True)


def _wait_until(is_true, patience: float = 120.0) -> None:
    deadline = time.monotonic() + patience
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
