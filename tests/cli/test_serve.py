"""`tsunagi serve` and `tsunagi work` as real processes on real databases."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from hub.database import Database
from hub.delivery.fetch import Fetcher
from hub.demo.processes import free_port
from hub.directory import resources
from hub.directory.values import Address
from tests.cli import processes
from tests.cli.conftest import Tsunagi
from tests.cli.processes import ROOT, end, run, serving, started, wait_for
from tests.conftest import BACKENDS
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key, public

SHEET = ROOT / "tests" / "mappings" / "data" / "yoshiki1_wide_cp932.csv"
SOURCE = "4619999917"


@pytest.fixture(params=BACKENDS)
def empty_database(request, tmp_path: Path) -> str:
    """The URL of a database in which there is nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/hub.db"
    url: str = request.getfixturevalue("empty_postgres")
    return url


def test_serve_dev_starts_from_nothing_and_a_new_client_gets_a_token_at_once(
    empty_database: str, empty_folder: Path, tsunagi: Tsunagi, monkeypatch
):
    settings = {"database_url": empty_database}
    with serving(empty_folder, **settings) as (base, process):
        told = httpx.get(f"{base}/fhir/R4/metadata").json()
        assert told["implementation"]["url"] == f"{base}/fhir/R4"
        (empty_folder / "jwks.json").write_text(json.dumps(public(ec_key())))
        added = run(
            "client", "add", "--organization", SOURCE, "--role", "source",
            "--jwks", "jwks.json", "--json", folder=empty_folder, **settings,
        )  # fmt: skip
        assert added.returncode == 0, added.stderr
        made = json.loads(added.stdout)
        answer = _token(base, made["client_id"], made["scope"])
        assert answer.status_code == 200, answer.text
        printed = end(process)
    assert base in printed
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", empty_database)
    told = tsunagi("audit", "verify").must().out
    assert "intact" in told
    assert "unsealed 0" in told
    assert int(told.partition("anchored ")[2].partition("（")[0]) > 0


def test_with_nothing_set_everything_stays_in_the_folder_var(
    empty_folder: Path, tsunagi: Tsunagi
):
    """A database that was set back behind its checkpoints (A8) does not start."""
    with serving(empty_folder) as (_, process):
        end(process, signal.SIGINT)
    assert {path.name for path in empty_folder.iterdir()} == {"var"}
    assert {path.name for path in (empty_folder / "var").iterdir()} == {
        "tsunagi.db",
        "signing-key.json",
        "content-keys.json",
        "audit-key.pem",
        "audit-key.pem.pub",
        "audit-checkpoints.jsonl",
    }
    (empty_folder / "var" / "tsunagi.db").unlink()
    told = tsunagi("serve", "--dev", "--port", 0).must(2)
    assert "audit-checkpoints.jsonl" in told.err


def test_a_second_hub_on_the_same_sqlite_serves_beside_the_first(empty_folder: Path):
    """And needs less than two seconds of a processor until it answers (item 14)."""
    with (
        serving(empty_folder) as (first, one),
        serving(empty_folder) as (second, two),
    ):
        for base in (first, second):
            assert httpx.get(f"{base}/readyz").status_code == 200
        end(one)
        end(two)


def test_a_hub_that_is_set_right_serves_without_dev(
    tsunagi: Tsunagi, loaded: Database, empty_folder: Path, database_url: str
):
    tsunagi("keys").must()
    port = free_port()
    settings = {"database_url": database_url, "base_url": "https://hub.example.jp"}
    with started("serve", "--port", port, folder=empty_folder, **settings) as process:
        wait_for(f"http://127.0.0.1:{port}/readyz", process)
        told = httpx.get(
            f"http://127.0.0.1:{port}/.well-known/smart-configuration"
        ).json()
        assert told["token_endpoint"] == "https://hub.example.jp/oauth/token"
        end(process)


def test_the_worker_alone_delivers_what_a_hub_without_worker_queued(
    loaded: Database,
    empty_folder: Path,
    database_url: str,
    tmp_path: Path,
    tsunagi: Tsunagi,
    monkeypatch,
):
    """Also: an intake from another process is delivered, and idempotent."""
    centre = free_port()
    monkeypatch.setenv("TSUNAGI_STATE", str(tmp_path / "state"))
    _endpoint(loaded, "kagoshima-shi", f"http://127.0.0.1:{centre}/fhir")
    settings = {"database_url": database_url, "state": str(tmp_path / "state")}
    with (
        serving(empty_folder, worker="false", **settings) as (base, hub),
        _standin(centre, base),
    ):
        first = _intake(tsunagi)
        assert [row["outcome"] for row in first].count("accepted") > 0
        again = _intake(tsunagi)
        assert [r.get("task") for r in again] == [r.get("task") for r in first]
        assert {r["code"] for r in again if "task" in r} == {"HUB-INT-006"}
        time.sleep(0.3)
        assert _received(centre) == []
        with started(
            "work", folder=empty_folder, base_url=base, dev="true", **settings
        ) as worker:
            deadline = time.monotonic() + 20
            while not _received(centre):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            end(worker)
        end(hub)


def _token(base: str, client_id: str, scope: str) -> httpx.Response:
    return httpx.post(
        f"{base}/oauth/token",
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion(
                client_id, ec_key(), f"{base}/oauth/token", None
            ),
            "scope": scope,
        },
    )


def _endpoint(database: Database, organisation: str, address: str) -> None:
    from hub import changes
    from hub.actor import Actor
    from hub.changes import By

    by = By(Actor("test", "tsunagi-hub", roles=frozenset({"hub"})))
    made = resources.endpoint(Address("e", organisation, address, "hl7-fhir-rest"))
    with database.transaction() as session:
        changes.put(session, by, made)


def _intake(tsunagi: Tsunagi) -> list[dict[str, str]]:
    done = tsunagi("intake", SHEET, "--source", SOURCE, "--json").must()
    rows: list[dict[str, str]] = json.loads(done.out)
    return rows


def _received(port: int) -> list[object]:
    answer = Fetcher(dev=True).request("GET", f"http://127.0.0.1:{port}/fhir/_received")
    found: list[object] = json.loads(answer.content)["received"]
    return found


@contextmanager
def _standin(port: int, base: str) -> Iterator[None]:
    """The small receiver of the demonstration, as a process."""
    with subprocess.Popen(
        [
            sys.executable, "-m", "hub.demo.standin", "--name", "centre",
            "--port", str(port), "--hub-jwks", f"{base}/oauth/jwks",
            "--client-id", base,
        ],
        env=processes.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{port}/livez", process)
            yield
        finally:
            process.terminate()
            process.communicate(timeout=20)
