"""Counted by template, told with ids, and nothing personal in logs or metrics (AB20)."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from hub.audit.checkpoint import load_key
from hub.database import Database
from hub.demo.processes import free_port
from hub.running.parts import audit_key_path
from hub.running.prepare import import_directory
from hub.settings import Settings
from hub.smart import clients
from hub.smart.signing import signing_keys
from tests.cli.processes import end, started, wait_for
from tests.cli.test_serve import _endpoint
from tests.restful.build import CENTRE, HOSPITAL, a_name, a_referral, locations
from tests.running import running_hub
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key, public


@pytest.fixture
def hub(database_url, tmp_path):
    with running_hub(database_url, tmp_path, drafts=False) as made:
        yield made


def sample(text_: str, name: str, **labels: str) -> float:
    """The value of one sample of the text format; 0 when it is not there."""
    for line in text_.splitlines():
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if match and match[1] == name:
            found = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            if labels.items() <= found.items():
                return float(match[3])
    return 0.0


def test_requests_are_counted_and_timed_by_route_template(hub):
    source = hub.caller(HOSPITAL, "source")
    for id in ("one", "two"):
        assert source.get(f"/Patient/{id}").status_code == 404
    assert hub.http.get("/nowhere").status_code == 404
    told = hub.http.get("/metrics").text
    read = {"method": "GET", "route": "/fhir/R4/{type}/{id}"}
    assert sample(told, "tsunagi_requests_total", **read, status="404") == 2
    assert sample(told, "tsunagi_request_seconds_count", **read) == 2
    assert sample(told, "tsunagi_request_seconds_sum", **read) > 0
    assert sample(told, "tsunagi_requests_total", route="none", status="404") == 1
    assert "one" not in re.findall(r'"([^"]*)"', told)


def test_a_method_of_nobodys_invention_is_not_a_label(hub):
    hub.http.request("PROPFIND", "/fhir/R4/Patient")
    told = hub.http.get("/metrics").text
    assert "PROPFIND" not in told
    assert sample(told, "tsunagi_requests_total", method="other") == 1


def test_metrics_tell_the_outbox_and_the_pool(hub):
    _endpoint(hub.database, CENTRE, "http://127.0.0.1:9/fhir")
    source = hub.caller(HOSPITAL, "source")
    assert source.post("", a_referral()).status_code == 200
    told = hub.http.get("/metrics").text
    assert sample(told, "tsunagi_outbox_messages", status="queued") >= 1
    assert sample(told, "tsunagi_outbox_oldest_seconds") > 0
    assert sample(told, "tsunagi_database_up") == 1
    used = sample(told, "tsunagi_database_connections", state="used")
    idle = sample(told, "tsunagi_database_connections", state="idle")
    assert used + idle >= 1


def test_metrics_are_told_while_the_database_is_not_there(hub):
    with hub.database.engine.begin() as session:
        session.exec_driver_sql("ALTER TABLE outbox RENAME TO outbox_gone")
    answer = hub.http.get("/metrics")
    assert answer.status_code == 200
    assert "tsunagi_database_up 0.0" in answer.text
    assert "tsunagi_requests_total" in answer.text


def test_readyz_is_503_while_the_schema_is_not_current(hub):
    assert hub.http.get("/readyz").status_code == 200
    with hub.database.engine.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    answer = hub.http.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "not migrated\n")
    assert hub.http.get("/livez").status_code == 200


def test_readyz_is_503_while_the_database_is_not_there(hub):
    with hub.database.engine.begin() as session:
        session.exec_driver_sql("DROP TABLE alembic_version")
    assert hub.http.get("/readyz").status_code == 503


@pytest.fixture
def real(sqlite_template: Path, tmp_path: Path) -> Iterator[tuple[str, str, object]]:
    """`tsunagi serve` as in operation: base URL, a source's token, the process."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    shutil.copyfile(sqlite_template, tmp_path / "hub.db")
    database_url = f"sqlite:///{tmp_path}/hub.db"
    database = Database(database_url)
    settings: dict[str, Any] = {
        "database_url": database_url,
        "base_url": base,
        "worker": "false",
    }
    import_directory(Settings(dev=True, state=tmp_path / "var", **settings), database)
    with database.transaction() as session:
        made = clients.register(
            session, organization=HOSPITAL, roles={"source"}, jwks=public(ec_key())
        )
    database.close()
    as_dev = Settings(dev=True, state=tmp_path / "var", **settings)
    signing_keys(as_dev)
    load_key(audit_key_path(as_dev), create=True)
    hosts = {"delivery_allowed_hosts": "centre.example.jp"}
    with started(
        "serve", "--port", port, folder=tmp_path, **settings, **hosts
    ) as process:
        wait_for(f"{base}/readyz", process)
        token_url = f"{base}/oauth/token"
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion(made.client_id, ec_key(), token_url, None),
            "scope": made.scopes,
        }
        answer = httpx.post(token_url, data=form)
        assert answer.status_code == 200, answer.text
        yield base, answer.json()["access_token"], process


BIRTH = "1987-06-05"


def drive(base: str, token: str, name: str) -> str:
    """A session full of what must not be told; the id of the person it stored."""
    who = {"Authorization": f"Bearer {token}", "X-Correlation-ID": "case-7"}
    with httpx.Client(base_url=f"{base}/fhir/R4", headers=who) as http:
        bundle = a_referral(name=name, patient={"birthDate": BIRTH})
        made = locations(http.post("/", json=bundle, headers={"X-Request-ID": "r-1"}))
        patient = made["Patient"]
        assert http.get(f"/{patient}").status_code == 200
        assert http.get("/Patient", params={"name": name}).json()["total"] == 1
        form = {"name": name, "birthdate": BIRTH}
        assert http.post("/Patient/_search", data=form).json()["total"] == 1
        assert http.get("/Patient", params={name: name}).status_code == 400
        assert http.get(f"/Patient/{name}").status_code == 404
        broken = {"resourceType": "Patient", "name": name, "birthDate": BIRTH + "x"}
        assert http.post("/Patient", json=broken).status_code in (403, 422)
        odd = {"X-Request-ID": f"{token} {token}"}
        assert http.get("/Patient", headers=odd).status_code == 200
        bad = {"Authorization": f"Bearer {token}x"}
        assert http.get("/Patient", headers=bad).status_code == 401
        assert (
            http.post(f"{base}/intake/auto", content=name.encode()).status_code >= 400
        )
    return patient.split("/")[1]


def test_AB20_logs_and_metrics_of_a_session_have_nothing_personal(real):
    base, token, process = real
    name = a_name()
    patient = drive(base, token, name)
    told = httpx.get(f"{base}/metrics").text
    printed = end(process)
    # But for the first word to the person who started it, all is JSON.
    said = [line for line in printed.splitlines() if not line.startswith("つなぎハブ")]
    lines = [json.loads(line) for line in said]
    asked = [line for line in lines if line["event"] == "request"]
    assert len(asked) >= 11
    (first,) = [line for line in asked if line["request_id"] == "r-1"]
    assert first["correlation_id"] == "case-7"
    assert first["route"] in ("/fhir/R4", "/fhir/R4/")
    assert (first["method"], first["status"]) == ("POST", 200)
    assert first["milliseconds"] > 0
    assert len({line["request_id"] for line in asked}) == len(asked)
    for secret in (name, name[2:], BIRTH, token, patient, "birthdate", "name="):
        for where, text_ in (("log", printed), ("metrics", told)):
            assert secret not in text_, where
            assert json.dumps(secret)[1:-1] not in text_, where
