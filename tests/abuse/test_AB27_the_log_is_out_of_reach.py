"""AB27: the log cannot be written, changed, deleted, subscribed to or read by the API."""

import pytest

from tests.restful.build import a_bundle, a_caller, post, submit
from tests.subscriptions.build import a_subscription

EVENT = {
    "resourceType": "AuditEvent",
    "type": {"code": "rest"},
    "recorded": "2026-11-01T10:00:00+09:00",
    "agent": [{"requestor": True}],
    "source": {"observer": {"display": "x"}},
}


@pytest.fixture(scope="module")
def almighty(hub):
    """A hospital's client with every letter on the log, and no privacy role."""
    scopes = "system/AuditEvent.cruds system/*.cruds"
    return a_caller(hub, "4619999917", scopes=scopes)


def test_AB27_no_interaction_changes_the_log(almighty, hub):
    with hub.database.engine.connect() as session:
        rows = session.exec_driver_sql("SELECT id FROM audit_event LIMIT 1").scalars()
        id_ = rows.first() or "x"
    patch = {"Content-Type": "application/json-patch+json"}
    for method, path, headers in (
        ("POST", "/AuditEvent", {}),
        ("PUT", f"/AuditEvent/{id_}", {}),
        ("PATCH", f"/AuditEvent/{id_}", patch),
        ("DELETE", f"/AuditEvent/{id_}", {}),
        ("DELETE", "/AuditEvent?date=ge2000", {}),
        ("GET", f"/AuditEvent/{id_}/_history", {}),
    ):
        body = [] if method == "PATCH" else {**EVENT, "id": id_}
        content = None if method in ("GET", "DELETE") else body
        answer = almighty.request(method, path, json=content, headers=headers)
        assert answer.status_code in (403, 404, 405), (method, path, answer.text)
    for kind in ("batch", "transaction"):
        answer = almighty.post("", a_bundle(post(EVENT), type=kind))
        assert "201" not in answer.text


def test_AB27_without_the_role_the_log_is_not_read_by_any_path(almighty, source):
    made = submit(source)
    patient = made["Patient"]
    assert almighty.get("/AuditEvent").status_code == 403
    assert almighty.get(f"/AuditEvent?patient={patient}").status_code == 403
    for path in (
        f"/Patient?_id={patient.partition('/')[2]}&_revinclude=AuditEvent:patient",
        "/Patient?_has:AuditEvent:patient:action=R",
        "/?_type=AuditEvent",
        f"/{patient}/AuditEvent",
    ):
        answer = almighty.get(path)
        assert answer.status_code in (400, 403, 404), (path, answer.text)
        assert "BALP" not in answer.text
    assert "AuditEvent/" not in almighty.get("/_history?_count=1000").text


def test_AB27_the_log_cannot_be_subscribed_to(almighty):
    for criteria in ("AuditEvent?action=R", "AuditEvent"):
        body = a_subscription("http://127.0.0.1:9/hook", criteria)
        assert almighty.post("/Subscription", body).status_code == 422
    plain = a_subscription("http://127.0.0.1:9/hook")
    plain["criteria"] = "AuditEvent?action=R"
    assert almighty.post("/Subscription", plain).status_code == 422
