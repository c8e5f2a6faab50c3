"""read, vread and history (rest.md F1, F2, F7, F8, F9)."""

import pytest

from tests.restful.build import a_patient, refusal, submit


def _draft(drafting, **over):
    caller = drafting.caller("4619999917", "source")
    answer = caller.post("/ServiceRequest", {**_REQUEST, **over})
    assert answer.status_code == 201, answer.text
    return caller, answer.json()


_REQUEST = {
    "resourceType": "ServiceRequest",
    "status": "draft",
    "intent": "proposal",
    "subject": {"display": "架空"},
}


def test_F1_a_read_has_its_headers_and_its_bytes(source):
    made = submit(source)["Patient"]
    answer = source.get(f"/{made}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/fhir+json"
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["id"] == made.split("/")[1]
    assert answer.json()["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    ("path", "id"),
    [
        ("/Nonsense/1", "HUB-REST-003"),
        ("/Medication/1", "HUB-REST-003"),
        ("/Patient/never-there", "HUB-REST-001"),
        ("/Patient/ill_formed", "HUB-REST-001"),
        ("/Patient/" + "x" * 65, "HUB-REST-001"),
        ("/Patient/%E6%9E%B6%E7%A9%BA", "HUB-REST-001"),
        ("/Patient/%00", "HUB-REST-001"),
        ("/Patient/$everything", "HUB-REST-003"),
    ],
)
def test_F2_what_is_not_there_is_404(source, path, id):
    answer = source.get(path)
    assert refusal(answer) == (404, id)
    assert "架空" not in answer.text


def test_F2_the_summary_is_the_narrative_and_marked(source):
    text = {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml">架空</div>',
    }
    made = submit(source)
    task = source.read(f"/{made['Task']}")
    request = source.read(f"/{made['ServiceRequest']}")
    request["text"] = text
    assert source.put(f"/{made['ServiceRequest']}", request).status_code == 200
    short = source.read(f"/{made['ServiceRequest']}?_summary=text")
    assert short["meta"]["tag"][-1]["code"] == "SUBSETTED"
    assert short["text"] == text
    kept = {"resourceType", "id", "meta", "text", "status", "intent", "subject"}
    assert set(short) == kept
    data = source.read(f"/{made['ServiceRequest']}?_summary=data")
    assert "text" not in data
    assert data["meta"]["tag"][-1]["code"] == "SUBSETTED"
    part = source.read(f"/{made['Task']}?_elements=focus")
    assert set(part) == {"resourceType", "id", "meta", "focus", "status", "intent"}
    assert part["focus"] == task["focus"]


@pytest.mark.parametrize("query", ["_summary=nonsense", "_summary=text&_elements=name"])
def test_a_summary_that_cannot_be_made_is_refused(source, query):
    made = submit(source)["Patient"]
    assert source.get(f"/{made}?{query}").status_code == 400
    assert source.get(f"/Patient?{query}").status_code == 400


def test_a_parameter_that_a_read_does_not_know_is_refused(source):
    made = submit(source)["Patient"]
    for path in (made, f"{made}/_history/1", f"{made}/_history"):
        assert refusal(source.get(f"/{path}?name=x")) == (400, "HUB-SEARCH-001")
        lenient = {"Prefer": "handling=lenient"}
        assert source.get(f"/{path}?name=x", headers=lenient).status_code == 200


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', "1", 'W/"7", W/"1"', "*"])
def test_if_none_match_answers_304_without_a_body(source, tag):
    made = submit(source)["Patient"]
    answer = source.get(f"/{made}", headers={"If-None-Match": tag})
    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["ETag"] == 'W/"1"'


@pytest.mark.parametrize("tag", ['W/"2"', '"架空"'.encode(), "nonsense"])
def test_another_tag_gets_the_resource(source, tag):
    made = submit(source)["Patient"]
    assert source.get(f"/{made}", headers={"If-None-Match": tag}).status_code == 200


def test_if_modified_since_answers_304(source):
    made = submit(source)["Patient"]
    when = source.get(f"/{made}").headers["Last-Modified"]
    header = {"If-Modified-Since": when}
    assert source.get(f"/{made}", headers=header).status_code == 304
    past = {"If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"}
    assert source.get(f"/{made}", headers=past).status_code == 200
    wrong = {"If-Modified-Since": "yesterday"}
    assert source.get(f"/{made}", headers=wrong).status_code == 200
    other = {**header, "If-None-Match": 'W/"9"'}
    assert source.get(f"/{made}", headers=other).status_code == 200


def test_F7_vread_reads_every_version(source):
    made = submit(source)["ServiceRequest"]
    request = source.read(f"/{made}")
    request["priority"] = "urgent"
    assert source.put(f"/{made}", request).status_code == 200
    assert "priority" not in source.read(f"/{made}/_history/1")
    assert source.read(f"/{made}/_history/2")["priority"] == "urgent"
    assert source.get(f"/{made}/_history/2").headers["ETag"] == 'W/"2"'


@pytest.mark.parametrize(
    "version", ["0", "3", "x", "-1", "9" * 9, "9" * 30, "%EF%BC%91", "1.0"]
)
def test_F7_an_unknown_version_is_404(source, version):
    made = submit(source)["ServiceRequest"]
    answer = source.get(f"/{made}/_history/{version}")
    assert refusal(answer) == (404, "HUB-REST-001")


def test_F7_F8_a_deleted_version_is_410_and_the_former_stays(drafting):
    caller, made = _draft(drafting)
    path = f"/ServiceRequest/{made['id']}"
    for _ in range(2):
        answer = caller.request("DELETE", path)
        assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(caller.get(path)) == (410, "HUB-REST-010")
    assert refusal(caller.get(f"{path}/_history/2")) == (410, "HUB-REST-010")
    assert caller.get(f"{path}/_history/1").status_code == 200
    assert caller.search(f"/ServiceRequest?_id={made['id']}") == []


def test_F8_a_deleted_resource_cannot_be_patched_or_updated(drafting):
    caller, made = _draft(drafting)
    path = f"/ServiceRequest/{made['id']}"
    caller.request("DELETE", path)
    patch = {"Content-Type": "application/json-patch+json"}
    body = b'[{"op":"replace","path":"/status","value":"active"}]'
    answer = caller.request("PATCH", path, content=body, headers=patch)
    assert refusal(answer) == (410, "HUB-REST-010")
    assert caller.put(path, made).status_code == 405


def test_F8_410_only_for_one_who_may_see_it(drafting):
    caller, made = _draft(drafting)
    path = f"/ServiceRequest/{made['id']}"
    caller.request("DELETE", path)
    other = drafting.caller("4619999925", "source")
    assert refusal(other.get(path)) == (404, "HUB-REST-001")
    assert refusal(other.request("DELETE", path)) == (404, "HUB-REST-001")


def test_F8_what_belongs_to_a_case_is_not_deleted(source):
    made = submit(source)["ServiceRequest"]
    answer = source.request("DELETE", f"/{made}")
    assert refusal(answer) == (409, "HUB-REF-016")
    assert source.get(f"/{made}").status_code == 200


def test_F9_history_lists_each_version_newest_first(drafting):
    caller, made = _draft(drafting)
    path = f"/ServiceRequest/{made['id']}"
    for priority in ("urgent", "asap"):
        caller.put(path, {**made, "priority": priority})
    caller.request("DELETE", path)
    bundle = caller.read(f"{path}/_history")
    methods = [e["request"]["method"] for e in bundle["entry"]]
    assert methods == ["DELETE", "PUT", "PUT", "POST"]
    assert bundle["total"] == 4
    assert bundle["type"] == "history"
    assert [e["response"]["status"] for e in bundle["entry"]] == [
        "204",
        "200",
        "200",
        "201",
    ]
    assert "resource" not in bundle["entry"][0]
    versions = [e["resource"]["meta"]["versionId"] for e in bundle["entry"][1:]]
    assert versions == ["3", "2", "1"]


def test_F9_history_comes_in_pages(source, stranger):
    made = submit(source)["ServiceRequest"]
    request = source.read(f"/{made}")
    for priority in ("urgent", "asap", "stat", "routine"):
        source.put(f"/{made}", {**request, "priority": priority})
    seen, path = [], f"/{made}/_history?_count=2"
    pages = 0
    while path:
        bundle = source.read(path)
        assert len(bundle["entry"]) <= 2
        assert bundle["total"] == 5
        seen += [e["resource"]["meta"]["versionId"] for e in bundle["entry"]]
        link = next(
            (one["url"] for one in bundle["link"] if one["relation"] == "next"), ""
        )
        path = link.partition("/fhir/R4")[2]
        if path:
            assert stranger.get(path).status_code == 404
        pages += 1
    assert seen == ["5", "4", "3", "2", "1"]
    assert pages == 3


def test_F9_since_narrows_history(source):
    made = submit(source)["ServiceRequest"]
    stamp = source.read(f"/{made}")["meta"]["lastUpdated"].replace("+", "%2B")
    assert source.read(f"/{made}/_history?_since={stamp}")["total"] == 1
    future = source.read(f"/{made}/_history?_since=2099-01-01")
    assert future["total"] == 0
    assert "entry" not in future
    wrong = source.get(f"/{made}/_history?_since=yesterday")
    assert refusal(wrong) == (400, "HUB-SEARCH-002")
    for count in ("x", "-1", "9" * 30):
        assert source.get(f"/{made}/_history?_count={count}").status_code == 400


def test_F18_head_is_get_without_a_body(source):
    made = submit(source)["Patient"]
    for path in (f"/{made}", f"/{made}/_history", f"/{made}/_history/1", "/Patient"):
        got, head = source.get(path), source.request("HEAD", path)
        assert head.status_code == got.status_code == 200
        assert head.content == b""
        assert head.headers["Content-Length"] == got.headers["Content-Length"]
        assert head.headers.get("ETag") == got.headers.get("ETag")
    assert source.request("HEAD", "/Patient/never-there").status_code == 404


def test_a_directory_entry_is_read_by_every_client(centre):
    assert centre.read("/Organization/4619999917")["id"] == "4619999917"
    assert a_patient()["resourceType"] == "Patient"
