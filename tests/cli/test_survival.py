"""The whole hub killed in the middle of its work (security.md §5: K1, K4, K6, Q1)."""

import json
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select, update

from hub.audit.tables import audit_event
from hub.database import Database
from hub.delivery import operate
from hub.delivery.tables import outbox
from hub.demo.processes import free_port
from hub.store.tables import resource, resource_version
from tests.cli.processes import run, started
from tests.cli.test_serve import SOURCE, _endpoint, _received, _standin, _token
from tests.restful.build import a_referral
from tests.smart.build import ec_key, public

_CENTRE = "kagoshima-shi"
_SECONDS = 120  # only a bound: under load everything is slow


def test_K1_K4_K6_Q1_kill_9_of_the_hub_loses_nothing_it_acknowledged(
    loaded: Database, empty_folder: Path, database_url: str, tmp_path: Path
):
    centre, port = free_port(), free_port()
    base = f"http://127.0.0.1:{port}"
    settings = {"database_url": database_url, "state": str(tmp_path / "state")}
    _endpoint(loaded, _CENTRE, f"http://127.0.0.1:{centre}/fhir")
    (empty_folder / "jwks.json").write_text(json.dumps(public(ec_key())))
    added = run(
        "client", "add", "--organization", SOURCE, "--role", "source",
        "--jwks", "jwks.json", "--json", folder=empty_folder, **settings,
    )  # fmt: skip
    made = json.loads(added.stdout)
    acknowledged: dict[str, dict[str, Any]] = {}
    with _standin(centre, base):
        for _ in range(2):
            with (
                _serving(empty_folder, port, settings) as hub,
                _client(base, made) as http,
            ):
                _submit_until_killed(http, hub, acknowledged)
        assert len(acknowledged) > 1
        _end_leases(loaded)
        with _serving(empty_folder, port, settings), _client(base, made) as http:
            _require_kept(http, acknowledged)
            _require_delivered(loaded, len(acknowledged))
            assert len(_received(centre)) >= len(acknowledged)
            _require_order(loaded, _received(centre))
        _require_audited(loaded)
    told = run("audit", "verify", folder=empty_folder, **settings)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "intact" in told.stdout


def _require_order(database: Database, received: list[Any]) -> None:
    """K4: within a case and destination in the order of their commits."""
    arrived = [one["id"] for one in received]
    with database.transaction(write=False) as session:
        rows = session.execute(
            select(outbox.c.id, outbox.c.order_key).order_by(outbox.c.position)
        ).all()
    for key in {row.order_key for row in rows}:
        places = [
            arrived.index(row.id)
            for row in rows
            if row.order_key == key and row.id in arrived
        ]
        assert places == sorted(places)


def _require_audited(database: Database) -> None:
    """K6: every version there is has exactly one row, and every row its version."""
    with database.transaction(write=False) as session:
        bodies = session.execute(
            select(audit_event.c.body).where(audit_event.c.action.in_(("C", "U", "D")))
        ).scalars()
        told = Counter(
            entity["what"]["reference"]
            for body in bodies
            for entity in json.loads(bytes(body)).get("entity", ())
            if "/_history/" in entity.get("what", {}).get("reference", "")
        )
        kept = [
            f"{row.type}/{row.id}/_history/{row.version}"
            for table in (resource, resource_version)
            for row in session.execute(
                select(table.c.type, table.c.id, table.c.version)
            )
        ]
    assert told == Counter(kept)


def _serving(folder: Path, port: int, settings: dict[str, str]) -> Any:
    return started("serve", "--dev", "--port", port, folder=folder, **settings)


def _client(base: str, made: dict[str, Any]) -> httpx.Client:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            httpx.get(f"{base}/readyz").raise_for_status()
            break
        except httpx.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    token = _token(base, made["client_id"], made["scope"]).json()["access_token"]
    return httpx.Client(
        base_url=f"{base}/fhir/R4/",
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/fhir+json",
        },
        timeout=20,
    )


def _submit_until_killed(
    http: httpx.Client, hub: Any, acknowledged: dict[str, dict[str, Any]]
) -> None:
    """Three senders; the kill comes while they write."""

    def send() -> None:
        while True:
            key = str(uuid.uuid4())
            sent = {"bundle": a_referral(), "answer": b""}
            try:
                answer = http.post(
                    "", json=sent["bundle"], headers={"Idempotency-Key": key}
                )
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                acknowledged[key] = sent | {"answer": answer.content}

    senders = [threading.Thread(target=send) for _ in range(3)]
    for sender in senders:
        sender.start()
    time.sleep(1)
    hub.kill()
    for sender in senders:
        sender.join()


def _end_leases(database: Database) -> None:
    """As if the lease of the killed worker had run out."""
    with database.transaction() as session:
        session.execute(
            update(outbox)
            .where(outbox.c.status.in_(("claimed", "sending")))
            .values(lease_until=0)
        )


def _require_kept(http: httpx.Client, acknowledged: dict[str, dict[str, Any]]) -> None:
    for key, sent in acknowledged.items():
        again = http.post("", json=sent["bundle"], headers={"Idempotency-Key": key})
        assert again.content == sent["answer"]
        for entry in json.loads(sent["answer"])["entry"]:
            place = entry["response"]["location"].partition("/_history")[0]
            assert http.get(place).status_code == 200


def _require_delivered(database: Database, at_least: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        with database.transaction(write=False) as session:
            found = operate.counts(session)
        if set(found) == {"delivered"}:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    assert found["delivered"] >= at_least
