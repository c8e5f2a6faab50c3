"""Transactions that PostgreSQL rolls back for another's sake are done again inside."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from hub import faults
from tests.conftest import POSTGRES
from tests.restful.build import (
    HOSPITAL,
    a_bundle,
    a_caller,
    a_patient,
    count,
    put,
    refusal,
    stored,
)
from tests.running import RunningHub, running_hub

pytestmark = [
    pytest.mark.skipif(not POSTGRES, reason="SQLite has one writer"),
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]

LOST = {"serialization failure": "40001", "deadlock": "40P01", "key taken": "23505"}
_LOSE = """
CREATE FUNCTION lose() RETURNS trigger AS $$ BEGIN
  IF nextval('tries') <= TG_ARGV[0]::int THEN
    RAISE EXCEPTION 'lost' USING ERRCODE = TG_ARGV[1];
  END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql
"""


@pytest.fixture
def hub(database_url, tmp_path) -> Iterator[RunningHub]:
    with running_hub(database_url, tmp_path, drafts=True) as made:
        yield made


@pytest.fixture
def author(hub):
    return a_caller(hub, HOSPITAL)


@contextmanager
def _losing(hub: RunningHub, table: str, tries: int, code: str) -> Iterator[None]:
    """The first `tries` writes of a row of `table` fail with this SQLSTATE."""
    with hub.database.engine.begin() as session:
        session.exec_driver_sql("CREATE SEQUENCE tries")
        session.exec_driver_sql(_LOSE)
        session.exec_driver_sql(
            f"CREATE TRIGGER lose BEFORE INSERT OR UPDATE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION lose('{tries}', '{code}')"
        )
    yield
    with hub.database.engine.begin() as session:
        session.exec_driver_sql(f"DROP TRIGGER lose ON {table}")
        session.exec_driver_sql("DROP FUNCTION lose")
        session.exec_driver_sql("DROP SEQUENCE tries")


def _patch(author, path):
    body = json.dumps([{"op": "add", "path": "/active", "value": True}]).encode()
    media = {"Content-Type": "application/json-patch+json"}
    return author.request("PATCH", path, content=body, headers=media)


@pytest.mark.parametrize("code", LOST.values(), ids=LOST)
def test_F18_what_was_rolled_back_twice_is_stored_once_and_audited_once(
    hub, author, code
):
    made = author.post("/Patient", a_patient()).json()
    bundle = a_bundle(put(made), {**_post(a_patient()), "fullUrl": "urn:uuid:1"})
    bundle["entry"][1]["fullUrl"] = "urn:uuid:2c9a1c5e-9d4b-4b51-9d3c-0d3d6c5a7b11"
    calls = {
        "create": (lambda: author.post("/Patient", a_patient()), 1),
        "update": (lambda: author.put(f"/Patient/{made['id']}", made), 0),
        "conditional update": (
            lambda: author.put("/Patient?identifier=urn:x|1", a_patient()),
            1,
        ),
        "patch": (lambda: _patch(author, f"/Patient/{made['id']}"), 0),
        "transaction": (lambda: author.post("", bundle), 1),
        "batch": (lambda: author.post("", {**bundle, "type": "batch"}), 1),
        "delete": (lambda: author.request("DELETE", f"/Patient/{made['id']}"), 0),
    }
    for name, (call, created) in calls.items():
        before, audited = stored(hub), count(hub, "audit_event")
        with _losing(hub, "resource", 2, code):
            answer = call()
        assert answer.status_code < 300, (name, answer.text)
        assert "40" not in str([_status(e) for e in _entries(answer)]), name
        assert stored(hub)["resource"] == before["resource"] + created, name
        assert count(hub, "audit_event") == audited + max(1, len(_entries(answer)))


@pytest.mark.parametrize("code", LOST.values(), ids=LOST)
def test_F18_five_tries_then_503_and_nothing_is_stored(hub, author, code):
    before = stored(hub)
    with _losing(hub, "resource", 1000, code):
        answer = author.post("/Patient", a_patient())
        with hub.database.engine.connect() as session:
            tried = session.exec_driver_sql("SELECT last_value FROM tries").scalar()
    assert refusal(answer) == (503, "HUB-REST-017")
    assert answer.headers["Retry-After"]
    assert tried == 5
    assert stored(hub) == before


def test_the_server_may_have_another_isolation_by_default(hub, author):
    """What a conditional write reads after it waited must be what is there then."""
    _set(hub, "default_transaction_isolation = 'repeatable read'")
    with hub.database.transaction() as session:
        shown = session.exec_driver_sql("SHOW transaction_isolation").scalar()
    assert shown == "read committed"


def test_an_error_that_is_nobodys_rivalry_is_not_tried_again(hub, author):
    with _losing(hub, "resource", 1000, "23514"), capture_logs():
        answer = author.post("/Patient", a_patient())
        with hub.database.engine.connect() as session:
            tried = session.exec_driver_sql("SELECT last_value FROM tries").scalar()
    assert answer.status_code == 500
    assert tried == 1


@pytest.mark.parametrize("is_tried_again", [True, False])
def test_F18_a_real_serialization_failure_of_two_sessions(
    hub, author, monkeypatch, is_tried_again
):
    """REPEATABLE READ: another session changes the row that the hub has read."""
    if not is_tried_again:
        monkeypatch.setattr(faults, "_PAUSES", ())
    strict = hub.database.engine.execution_options(isolation_level="REPEATABLE READ")
    monkeypatch.setattr(hub.database, "engine", strict)
    made = author.post("/Patient", a_patient()).json()
    with _rival(hub) as rival:
        rival.exec_driver_sql(_TOUCH.format(made["id"]))
        answers, thread = _in_thread(
            lambda: author.put(f"/Patient/{made['id']}", {**made, "active": True})
        )
        _wait_for_a_waiting_session(hub)
        rival.commit()
        thread.join()
    if is_tried_again:
        assert answers[0].status_code == 200, answers[0].text
        assert answers[0].json()["meta"]["versionId"] == "2"
    else:
        assert refusal(answers[0]) == (503, "HUB-REST-017")


@pytest.mark.parametrize("is_tried_again", [True, False])
def test_F18_a_real_deadlock_of_two_sessions(hub, author, monkeypatch, is_tried_again):
    """Each holds a row that the other wants; PostgreSQL lets the hub lose."""
    if not is_tried_again:
        monkeypatch.setattr(faults, "_PAUSES", ())
    _set(hub, "deadlock_timeout = '1s'")
    one, two = (author.post("/Patient", a_patient()).json() for _ in "12")
    with _rival(hub) as rival:
        rival.exec_driver_sql("SET deadlock_timeout = '60s'")
        rival.exec_driver_sql(_TOUCH.format(two["id"]))
        answers, thread = _in_thread(
            lambda: author.post("", a_bundle(put(one), put(two)))
        )
        _wait_for_a_waiting_session(hub)
        rival.exec_driver_sql(_TOUCH.format(one["id"]))
        rival.commit()
        thread.join()
    if is_tried_again:
        assert answers[0].status_code == 200, answers[0].text
        for patient in (one, two):
            now = author.read(f"/Patient/{patient['id']}")
            assert now["meta"]["versionId"] == "2"
    else:
        assert refusal(answers[0]) == (503, "HUB-REST-017")


_TOUCH = "UPDATE resource SET deleted = deleted WHERE id = '{}'"
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


def _post(resource):
    return {"resource": resource, "request": {"method": "POST", "url": "Patient"}}


def _entries(answer) -> list[Any]:
    return answer.json().get("entry", []) if answer.content else []


def _status(entry) -> str:
    return str(entry["response"]["status"])[:2]


def _set(hub: RunningHub, setting: str) -> None:
    """For the sessions that the hub opens from now on."""
    name = hub.database.engine.url.database
    with hub.database.engine.begin() as session:
        session.exec_driver_sql(f"ALTER DATABASE {name} SET {setting}")
    hub.database.engine.dispose()


@contextmanager
def _rival(hub: RunningHub) -> Iterator[Connection]:
    """A session of somebody else, in a transaction."""
    with hub.database.engine.connect() as session:
        yield session
        session.rollback()


def _in_thread(call):
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    return answers, thread


def _wait_for_a_waiting_session(hub: RunningHub) -> None:
    until = time.monotonic() + 20
    with hub.database.glance() as session:
        while not session.exec_driver_sql(_WAITING).scalar():
            assert time.monotonic() < until
