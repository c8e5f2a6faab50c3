"""create_app: own routes, error handlers, and that no traceback or input gets out."""

import logging

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from hub.app import create_app
from hub.restful.refusals import issues_of
from tests.restful.build import HOSPITAL, a_name, a_referral, refusal, stored, submit
from tests.running import running_hub
from tests.smart.build import serve


@pytest.fixture
def hub(database_url, tmp_path):
    with running_hub(database_url, tmp_path, drafts=False) as made:
        yield made


def test_live_ready_and_metrics_answer(hub):
    assert hub.http.get("/livez").text == "ok\n"
    assert hub.http.get("/readyz").text == "ready\n"
    assert hub.http.get("/metrics").status_code == 200


def test_a_hub_whose_log_is_not_sealed_is_not_ready(hub):
    well = [True]
    app = create_app(hub.settings, hub.database, is_sealing=lambda: well[0])
    with serve(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        assert http.get("/readyz").status_code == 200
        well[0] = False
        answer = http.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "audit log not sealed\n")
        assert http.get("/livez").status_code == 200


def test_an_unknown_path_is_an_outcome_with_the_request_id(hub):
    answer = hub.http.get("/nowhere", headers={"X-Request-ID": "r1"})
    assert refusal(answer) == (404, "HUB-REST-003")
    assert answer.headers["X-Request-ID"] == "r1"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_wrong_method_of_an_own_route_is_405_with_allow(hub):
    answer = hub.http.post("/livez")
    assert refusal(answer) == (405, "HUB-REST-004")
    assert "GET" in answer.headers["Allow"]


def test_no_documents_of_the_framework_are_served(hub):
    for path in ("/redoc", "/docs/oauth2-redirect"):
        assert hub.http.get(path).status_code == 404


def test_F18_an_internal_error_says_nothing_and_is_audited(hub, caplog):
    """A table that vanished stands for whatever nobody foresaw."""
    source = hub.caller(HOSPITAL, "source")
    name = a_name()
    with hub.database.engine.begin() as session:
        session.exec_driver_sql("ALTER TABLE case_ RENAME TO case_gone")
    caplog.set_level(logging.DEBUG)
    answer = source.post("", a_referral(name=name), headers={"X-Request-ID": "r2"})
    assert answer.status_code in (500, 503)
    assert answer.headers["X-Request-ID"] == "r2"
    for secret in (name, "case_", "Traceback", "SELECT", "/hub/"):
        assert secret not in answer.text
    with hub.database.engine.connect() as session:
        bodies = session.exec_driver_sql("SELECT body FROM audit_event").scalars()
        assert any(b"HUB-REST-0" in bytes(body) for body in bodies)


def test_what_is_not_audited_is_not_answered(hub):
    """Security.md §4: no row, no answer."""
    source = hub.caller(HOSPITAL, "source")
    made = submit(source)
    before = stored(hub)
    with hub.database.engine.begin() as session:
        session.exec_driver_sql("ALTER TABLE audit_event RENAME TO audit_gone")
    read = source.get(f"/{made['Patient']}")
    assert read.status_code == 503
    assert read.headers["Retry-After"]
    assert "name" not in read.json()
    assert source.post("", a_referral()).status_code == 503
    assert source.get("/Patient/never-there").status_code == 503
    with hub.database.engine.begin() as session:
        session.exec_driver_sql("ALTER TABLE audit_gone RENAME TO audit_event")
    assert stored(hub) == before
    assert source.get(f"/{made['Patient']}").status_code == 200


def test_a_token_that_cannot_be_looked_up_lets_nobody_in(hub):
    source = hub.caller(HOSPITAL, "source")
    with hub.database.engine.begin() as session:
        session.exec_driver_sql("ALTER TABLE smart_token RENAME TO token_gone")
    answer = source.get("/Patient")
    assert answer.status_code in (500, 503)
    assert "smart_token" not in answer.text


@pytest.mark.parametrize(
    ("sign", "id"),
    [
        ("database is locked", "HUB-REST-017"),
        ("database or disk is full", "HUB-REST-025"),
        ("could not extend file: No space left on device", "HUB-REST-025"),
        ("disk I/O error", "HUB-REST-025"),
    ],
)
def test_a_full_disk_is_507_and_a_busy_database_503(hub, sign, id):
    error = OperationalError("INSERT", {}, Exception(sign))
    (found,) = issues_of(hub, error, "r")
    assert found.id == id
    assert found.kind.status in (503, 507)
