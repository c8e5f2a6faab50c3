"""Limits of rate and time, and a disk that is full (AB26, security.md §5)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from hub.allowance import Allowance
from hub.database import Database
from hub.faults import is_too_slow
from tests.restful.build import (
    HOSPITAL,
    OTHER_HOSPITAL,
    a_caller,
    a_patient,
    refusal,
    stored,
)
from tests.running import RunningHub, running_hub


def test_a_client_may_call_in_a_burst_and_then_as_often_as_it_earns():
    moment = [100.0]
    allowance = Allowance(2, 3, clock=lambda: moment[0])
    assert [allowance.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert allowance.wait("b") == 0
    moment[0] += 0.5
    assert [allowance.wait("a") for _ in range(2)] == [0, 0.5]
    moment[0] += 1000
    assert [allowance.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_without_a_limit_nobody_waits():
    allowance = Allowance(0, 1)
    assert {allowance.wait("a") for _ in range(100)} == {0}


def test_AB26_too_many_calls_of_one_client_are_429_with_retry_after(
    database_url, tmp_path
):
    with running_hub(database_url, tmp_path, rate_per_second=0.01, rate_burst=3) as hub:
        one, other = a_caller(hub, HOSPITAL), a_caller(hub, OTHER_HOSPITAL)
        answers = [one.get("/Patient") for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429]
        assert refusal(answers[3]) == (429, "HUB-REST-081")
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 100
        assert other.get("/Patient").status_code == 200
        told = hub.http.get("/fhir/R4/metadata").json()
        assert "0.01" in told["rest"][0]["documentation"]


def test_the_limits_are_told_in_the_capability_statement(hub):
    told = hub.http.get("/fhir/R4/metadata").json()["rest"][0]["documentation"]
    limits = hub.settings
    for limit in (
        limits.max_bundle_entries,
        limits.max_body_bytes,
        limits.max_page_size,
        limits.max_depth,
        int(limits.request_seconds),
    ):
        assert str(limit) in told


_ENDLESS = {
    "sqlite": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
    " SELECT count(*) FROM c",
    "postgresql": "SELECT pg_sleep(60)",
}


def test_AB26_no_statement_takes_longer_than_it_may(database_url):
    database = Database(database_url, seconds=0.2)
    began = time.monotonic()
    with pytest.raises(OperationalError) as ended, database.transaction() as session:
        session.exec_driver_sql(_ENDLESS[session.dialect.name])
    assert is_too_slow(ended.value)
    assert time.monotonic() - began < 20
    with database.transaction() as session:
        assert session.exec_driver_sql("SELECT 1").scalar() == 1
    database.close()


def test_AB26_a_search_that_is_ended_is_503_with_retry_after(hub, source, monkeypatch):
    with _slow(hub):
        answer = source.get("/Patient?name=x")
    assert refusal(answer) == (503, "HUB-REST-080")
    assert answer.headers["Retry-After"]
    assert source.get("/Patient?name=x").status_code == 200


def test_a_full_disk_is_507_and_not_ready_until_there_is_room(database_url, tmp_path):
    """SQLite's own limit of pages stands for the disk."""
    if not database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL has no such limit; its error is below")
    with running_hub(database_url, tmp_path, drafts=True) as hub:
        author, pages = a_caller(hub, HOSPITAL), [1_000_000_000]

        def limit(connection, _record, _proxy) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages[0]}")

        event.listen(hub.database.engine, "checkout", limit)
        pages[0] = 1  # SQLite takes the size there is
        answers = [author.post("/Patient", a_patient()) for _ in range(60)]
        full = [a for a in answers if a.status_code != 201]
        assert full
        before = stored(hub)
        assert {refusal(a) for a in full} == {(507, "HUB-REST-025")}
        assert hub.http.get("/readyz").status_code == 503
        assert hub.http.get("/livez").status_code == 200
        assert stored(hub) == before
        assert before["resource"] >= len(answers) - len(full)
        pages[0] = 1_000_000_000
        assert hub.http.get("/readyz").status_code == 200
        assert author.post("/Patient", a_patient()).status_code == 201


@pytest.mark.parametrize("code", ["53100", "58030"])
def test_a_full_disk_of_postgresql_is_507_and_stores_nothing(
    database_url, tmp_path, code
):
    """The server's error, raised by a trigger: its text is in any language."""
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite has a test of its own")
    with running_hub(database_url, tmp_path, drafts=True) as hub:
        author = a_caller(hub, HOSPITAL)
        with hub.database.engine.begin() as session:
            session.exec_driver_sql(
                "CREATE FUNCTION full_() RETURNS trigger AS $$ BEGIN"
                f" RAISE EXCEPTION '空きがありません' USING ERRCODE = '{code}';"
                " END $$ LANGUAGE plpgsql"
            )
            for table in ("resource", "audit_event"):
                session.exec_driver_sql(
                    f"CREATE TRIGGER full_ BEFORE INSERT ON {table}"
                    " FOR EACH ROW EXECUTE FUNCTION full_()"
                )
        before = stored(hub)
        answer = author.post("/Patient", a_patient())
        assert refusal(answer) == (507, "HUB-REST-025")
        assert "空き" in answer.text
        assert stored(hub) == before
        # No audit row, no answer.
        assert author.get("/Patient/x").status_code in (503, 507)
        # There is room in truth, and the trial of it says so.
        assert hub.http.get("/readyz").status_code == 200


@contextmanager
def _slow(hub: RunningHub) -> Iterator[None]:
    """Every search statement of the hub takes for ever, within its limit."""
    engine, was = hub.database.engine, list[str]()

    def endless(connection, _cursor, statement, *_more) -> None:
        if "search_string" in statement and not was:
            was.append(statement)
            if connection.dialect.name == "postgresql":
                connection.connection.driver_connection.execute(
                    "SET LOCAL statement_timeout = 200"
                )
            else:
                connection.info["deadline"][0] = time.monotonic() + 0.2
            connection.exec_driver_sql(_ENDLESS[connection.dialect.name])

    event.listen(engine, "before_cursor_execute", endless)
    yield
    event.remove(engine, "before_cursor_execute", endless)
    assert was
