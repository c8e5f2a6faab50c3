"""history of a type and of the system, and the walk through pages (rest.md F9)."""

import time
import uuid

import pytest

from hub.fhir.json import decode
from hub.validation import validate
from tests.restful.build import (
    HOSPITAL,
    OTHER_HOSPITAL,
    a_caller,
    a_patient,
    child_of,
    count,
    refusal,
    submit,
)


def _page(caller, path):
    """A page that is a valid history, and the path of each link by relation."""
    answer = caller.get(path)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "history"
    valid = decode(answer.content, 100)
    assert not [i for i in validate(valid) if i.severity == "error"]
    for entry in bundle.get("entry", ()):
        assert {"request", "response"} <= entry.keys()
    links = {one["relation"]: one["url"] for one in bundle["link"]}
    return bundle, {k: v.partition("/fhir/R4")[2] for k, v in links.items()}


def _versions(bundle):
    """(reference, version) of each entry, newest first as they stand."""
    return [
        (
            "/".join(entry["fullUrl"].split("/")[-2:]),
            entry["response"]["etag"],
        )
        for entry in bundle.get("entry", ())
    ]


def _walk(caller, path, relation, most):
    """Every page from here in one direction."""
    pages = []
    while path:
        bundle, links = _page(caller, path)
        assert len(bundle.get("entry", ())) <= most
        pages.append(_versions(bundle))
        path, last = links.get(relation), path
    return pages, last


@pytest.fixture(scope="module")
def changed(hub):
    """A hospital with three referrals of which some resources have versions."""
    caller = a_caller(hub, HOSPITAL)
    for _ in range(3):
        made = submit(caller)
        request = caller.read(f"/{made['ServiceRequest']}")
        for priority in ("urgent", "asap"):
            caller.put(f"/{made['ServiceRequest']}", {**request, "priority": priority})
    return caller


@pytest.mark.parametrize("path", ["/ServiceRequest/_history", "/_history"])
def test_F9_the_walk_forth_is_the_walk_back(hub, changed, path):
    reader = a_caller(hub, HOSPITAL, scopes="system/ServiceRequest.rs system/Consent.s")
    until, _ = _page(reader, f"{path}?_count=1000")
    whole = _versions(until)
    assert len(set(whole)) == len(whole)
    assert until["total"] == len(whole) >= 9
    forth, last = _walk(reader, f"{path}?_count=4", "next", 4)
    assert [one for page in forth for one in page] == whole
    assert [len(page) for page in forth[:-1]] == [4] * (len(forth) - 1)
    back, _ = _walk(reader, last, "previous", 4)
    assert back[::-1] == forth


def test_F9_type_history_is_newest_first_with_request_and_response(changed):
    path = f"/{submit(changed)['ServiceRequest']}"
    for priority in ("urgent", "asap"):
        changed.put(path, {**changed.read(path), "priority": priority})
    bundle, links = _page(changed, "/ServiceRequest/_history?_count=3")
    moments = [e["response"]["lastModified"] for e in bundle["entry"]]
    assert moments == sorted(moments, reverse=True)
    put, _, post = bundle["entry"]
    assert put["request"]["method"] == "PUT"
    assert put["request"]["url"].startswith("ServiceRequest/")
    assert put["response"]["status"] == "200"
    assert (post["request"]["method"], post["request"]["url"]) == (
        "POST",
        "ServiceRequest",
    )
    assert post["response"]["status"] == "201"
    assert links["self"] == links["first"] == "/ServiceRequest/_history?_count=3"
    assert "previous" not in links


def test_F9_a_deleted_resource_is_in_the_history_of_its_type(drafting):
    caller = a_caller(drafting, HOSPITAL)
    made = caller.post("/Patient", a_patient()).json()
    caller.request("DELETE", f"/Patient/{made['id']}")
    bundle, _ = _page(caller, "/Patient/_history?_count=2")
    methods = [e["request"]["method"] for e in bundle["entry"]]
    assert methods == ["DELETE", "POST"]
    assert bundle["entry"][0]["response"]["status"] == "204"
    assert "resource" not in bundle["entry"][0]


@pytest.mark.parametrize("path", ["/Task/_history", "/_history"])
def test_F9_since_the_future_is_nothing_and_since_creation_all(changed, path):
    future, _ = _page(changed, f"{path}?_since=2099-01-01T00:00:00Z")
    assert future["total"] == 0
    assert "entry" not in future
    made = submit(changed)["Task"]
    oldest = changed.read(f"/{made}/_history")["entry"][-1]["response"]
    stamp = oldest["lastModified"].replace("+", "%2B")
    since, links = _page(changed, f"{path}?_since={stamp}&_count=1000")
    assert (made, 'W/"1"') in _versions(since)
    assert all(
        e["response"]["lastModified"] >= oldest["lastModified"] for e in since["entry"]
    )
    assert "_since=" in links["self"]


def test_F9_a_count_of_nothing_counts(changed):
    bundle, links = _page(changed, "/Task/_history?_count=0")
    assert bundle["total"] >= 6
    assert "entry" not in bundle
    assert "next" not in links


@pytest.mark.parametrize("path", ["/Task/_history", "/_history", "/Task/x/_history"])
@pytest.mark.parametrize(
    ("query", "id"),
    [
        ("_at=2026", "HUB-SEARCH-003"),
        ("_list=x", "HUB-SEARCH-003"),
        ("_sort=_lastUpdated", "HUB-SEARCH-001"),
        ("_since=yesterday", "HUB-SEARCH-002"),
        ("_count=-1", "HUB-SEARCH-008"),
        ("_count=1&_count=2", "HUB-SEARCH-001"),
    ],
)
def test_F9_what_is_not_understood_is_400(source, path, query, id):
    if "/x/" in path:
        path = f"/{submit(source)['Task']}/_history"
    assert refusal(source.get(f"{path}?{query}")) == (400, id)


def test_F9_under_lenient_handling_the_unknown_is_left_out_and_at_is_not(source):
    lenient = {"Prefer": "handling=lenient"}
    answer = source.get("/Task/_history?nonsense=1&_count=1", headers=lenient)
    assert answer.status_code == 200
    assert "nonsense" not in answer.text
    answer = source.get("/Task/_history?_at=2026", headers=lenient)
    assert refusal(answer) == (400, "HUB-SEARCH-003")


@pytest.mark.parametrize("path", ["/ServiceRequest/_history", "/_history"])
def test_F16_a_page_link_is_its_callers_and_expires(hub, changed, path, monkeypatch):
    _, links = _page(changed, f"{path}?_count=1")
    other = a_caller(hub, HOSPITAL)
    assert refusal(other.get(links["next"])) == (404, "HUB-REST-001")
    assert refusal(changed.get(links["next"][:-3] + "AAA"))[0] == 404
    assert refusal(changed.get(f"{links['next']}&_count=2"))[0] == 404
    elsewhere = links["next"].replace(path, "/Task/_history")
    assert refusal(changed.get(elsewhere))[0] == 404
    later = time.time() + 3601
    monkeypatch.setattr("hub.restful.links.time.time", lambda: later)
    assert refusal(changed.get(links["next"])) == (404, "HUB-REST-001")


def test_G2_the_grants_are_asked_again_on_each_page(hub, source, centre):
    made = submit(source)
    child = child_of(centre, made)
    centre.move(child, status="received")
    path = f"/Task/{child['id']}/_history?_count=1"
    _, links = _page(centre, path)
    with hub.database.transaction() as session:
        session.exec_driver_sql(
            "UPDATE grant_ SET closed_at = starts + 1 WHERE case_id IN"
            " (SELECT case_id FROM case_resource WHERE id = "
            f"'{child['id']}') AND organisation = '{centre.organisation}'"
        )
    assert refusal(centre.get(links["next"])) == (404, "HUB-REST-001")
    listed = centre.read("/Task/_history?_count=1000")
    assert f"Task/{child['id']}" not in {one for one, _ in _versions(listed)}


def test_G1_history_shows_and_counts_only_what_the_caller_sees(hub, source, stranger):
    made = submit(source)
    for path in ("/Patient/_history", "/_history"):
        before, _ = _page(stranger, f"{path}?_count=1000")
        submit(source)
        after, _ = _page(stranger, f"{path}?_count=1000")
        assert after["total"] == before["total"]
        assert made["Patient"] not in {one for one, _ in _versions(after)}


def test_RS8_type_and_system_history_need_the_search_letter(hub):
    reader = a_caller(hub, HOSPITAL, scopes="system/Patient.r system/Task.s")
    assert refusal(reader.get("/Patient/_history")) == (403, "HUB-AUTH-003")
    assert refusal(reader.get("/Task/x/_history")) == (403, "HUB-AUTH-003")
    assert reader.get("/Task/_history").status_code == 200
    instance = a_caller(hub, HOSPITAL, scopes="system/Patient.r")
    assert refusal(instance.get("/_history")) == (403, "HUB-AUTH-003")


def test_RS8_system_history_holds_the_types_that_may_be_searched(hub):
    everything = a_caller(hub, HOSPITAL)
    submit(everything)
    some = a_caller(hub, HOSPITAL, scopes="system/Task.s system/Consent.rs")
    bundle, _ = _page(some, "/_history?_count=1000")
    types = {one.split("/")[0] for one, _ in _versions(bundle)}
    assert types == {"Task", "Consent"}
    assert bundle["total"] == len(bundle["entry"])
    # The log has a door of its own, and is in no history.
    whole, _ = _page(everything, "/_history?_count=1000")
    assert "AuditEvent" not in {one.split("/")[0] for one, _ in _versions(whole)}


def test_F9_a_type_that_is_not_served_is_404(source):
    assert refusal(source.get("/Nonsense/_history")) == (404, "HUB-REST-003")
    assert refusal(source.get("/AuditEvent/_history")) == (405, "HUB-REST-004")
    unknown = f"/Patient/{uuid.uuid4()}/_history"
    assert refusal(source.get(unknown)) == (404, "HUB-REST-001")


def test_F17_a_history_is_one_audit_row_per_patient_disclosed(hub):
    caller = a_caller(hub, OTHER_HOSPITAL)
    made = [submit(caller) for _ in range(2)]
    start = caller.read(f"/{made[0]['Patient']}")["meta"]["lastUpdated"]
    since = start.replace("+", "%2B")
    for path in (f"/Patient/_history?_since={since}", f"/_history?_since={since}"):
        before = count(hub, "audit_event")
        shown, _ = _page(caller, path)
        patients = {one for one, _ in _versions(shown) if one.startswith("Patient/")}
        assert len(patients) == 2
        assert count(hub, "audit_event") == before + 2
    before = count(hub, "audit_event")
    caller.get("/Patient/_history?_since=2099-01-01")
    assert count(hub, "audit_event") == before + 1
