"""Conditional patch and delete: one match or none, never several (rest.md §1, §4)."""

import concurrent.futures
import json
import uuid

import pytest

from tests.restful.build import (
    HOSPITAL,
    OTHER_HOSPITAL,
    a_bundle,
    a_caller,
    a_patient,
    a_request,
    case_of,
    child_of,
    delete,
    refusal,
    stored,
    submit,
)
from tests.restful.patches import patch, replace

PATCH = {"Content-Type": "application/json-patch+json"}


@pytest.fixture
def author(drafting):
    return a_caller(drafting, HOSPITAL)


def _numbered(caller, **over):
    """A new Patient with a number of its own, and the query that finds it."""
    number = str(uuid.uuid4())
    identifier = [{"system": "urn:x-test", "value": number}]
    made = caller.post("/Patient", a_patient(identifier=identifier, **over))
    assert made.status_code == 201, made.text
    return made.json(), f"identifier=urn:x-test|{number}"


def _patch(caller, path, *operations, **headers):
    body = json.dumps(operations or [_ACTIVE]).encode()
    return caller.request("PATCH", path, content=body, headers={**PATCH, **headers})


_ACTIVE = {"op": "add", "path": "/active", "value": True}


def test_conditional_delete_deletes_the_one_match(author):
    made, query = _numbered(author)
    answer = author.request("DELETE", f"/Patient?{query}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(author.get(f"/Patient/{made['id']}")) == (410, "HUB-REST-010")


def test_conditional_delete_of_nothing_succeeds_as_a_delete_of_what_is_gone(author):
    _, query = _numbered(author)
    for _ in range(2):
        assert author.request("DELETE", f"/Patient?{query}").status_code == 204


def test_conditional_delete_of_several_is_412_and_deletes_none(drafting, author):
    made, query = _numbered(author)
    again = author.post("/Patient", a_patient(identifier=made["identifier"]))
    assert again.status_code == 201
    before = stored(drafting)
    answer = author.request("DELETE", f"/Patient?{query}")
    assert refusal(answer) == (412, "HUB-REST-012")
    assert stored(drafting) == before


def test_conditional_patch_patches_the_one_match(author):
    made, query = _numbered(author)
    answer = _patch(author, f"/Patient?{query}")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == 'W/"2"'
    assert answer.json()["id"] == made["id"]
    by_path = author.request(
        "PATCH",
        f"/Patient?{query}",
        json=patch(replace("Patient.active", valueBoolean=False)),
    )
    assert by_path.status_code == 200
    assert by_path.json()["active"] is False


def test_conditional_patch_of_nothing_is_404_and_of_several_412(drafting, author):
    made, query = _numbered(author)
    nothing = f"/Patient?identifier=urn:x-test|{uuid.uuid4()}"
    assert refusal(_patch(author, nothing)) == (404, "HUB-REST-001")
    author.post("/Patient", a_patient(identifier=made["identifier"]))
    before = stored(drafting)
    answer = _patch(author, f"/Patient?{query}")
    assert refusal(answer) == (412, "HUB-REST-012")
    assert stored(drafting) == before


def test_F5_a_condition_and_a_tag_must_both_hold(author):
    made, query = _numbered(author)
    for call in (
        _patch(author, f"/Patient?{query}", **{"If-Match": 'W/"7"'}),
        author.request("DELETE", f"/Patient?{query}", headers={"If-Match": "7"}),
    ):
        assert refusal(call) == (412, "HUB-REST-008")
    assert author.read(f"/Patient/{made['id']}") == made


def test_F5_a_task_found_by_a_query_needs_its_tag(source, centre):
    child = child_of(centre, submit(source))
    path = f"/Task?_id={child['id']}"
    operation = {"op": "replace", "path": "/status", "value": "received"}
    assert refusal(_patch(centre, path, operation)) == (428, "HUB-REST-009")
    answer = _patch(centre, path, operation, **{"If-Match": 'W/"1"'})
    tag = f'W/"{child["meta"]["versionId"]}"'
    if tag != 'W/"1"':
        assert answer.status_code == 412
        answer = _patch(centre, path, operation, **{"If-Match": tag})
    assert answer.json()["status"] == "received"


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "PUT"])
@pytest.mark.parametrize(
    ("query", "id"),
    [
        ("nonsense=1", "HUB-SEARCH-001"),
        ("identifier=a&nonsense=1", "HUB-SEARCH-001"),
        ("_count=1&identifier=a", "HUB-SEARCH-001"),
        ("_format=json", "HUB-SEARCH-009"),
        ("", "HUB-SEARCH-009"),
        ("birthdate=yesterday", "HUB-SEARCH-002"),
    ],
)
def test_an_unknown_or_missing_criterion_is_400_even_when_lenient(
    author, method, query, id
):
    headers = {"Prefer": "handling=lenient"}
    body = json.dumps(a_patient()).encode()
    if method == "PATCH":
        body, headers = json.dumps([_ACTIVE]).encode(), {**headers, **PATCH}
    path = f"/Patient?{query}"
    answer = author.request(method, path, content=body, headers=headers)
    assert refusal(answer) == (400, id)


def test_RS8_conditional_patch_and_delete_need_the_search_letter(hub):
    caller = a_caller(hub, HOSPITAL, scopes="system/Patient.cud")
    by_condition = {"request": {"method": "DELETE", "url": "Patient?identifier=a|b"}}
    for answer in (
        _patch(caller, "/Patient?identifier=a|b"),
        caller.request("DELETE", "/Patient?identifier=a|b"),
        caller.post("", a_bundle(by_condition)),
    ):
        assert refusal(answer) == (403, "HUB-AUTH-003")
    searcher = a_caller(hub, HOSPITAL, scopes="system/Patient.crs")
    for answer in (
        _patch(searcher, "/Patient?identifier=a|b"),
        searcher.request("DELETE", "/Patient?identifier=a|b"),
    ):
        assert refusal(answer) == (403, "HUB-AUTH-003")
    chained = "/ServiceRequest?patient.identifier=a|b"
    narrow = a_caller(hub, HOSPITAL, scopes="system/ServiceRequest.cruds")
    assert refusal(narrow.request("DELETE", chained)) == (403, "HUB-AUTH-003")


def test_AB5_only_what_the_caller_sees_is_matched(drafting, author):
    made, query = _numbered(author)
    other = a_caller(drafting, OTHER_HOSPITAL)
    assert other.request("DELETE", f"/Patient?{query}").status_code == 204
    assert refusal(_patch(other, f"/Patient?{query}")) == (404, "HUB-REST-001")
    assert author.read(f"/Patient/{made['id']}") == made


def test_nothing_of_a_case_is_deleted_by_condition(source, hub):
    made = submit(source)
    path = made["ServiceRequest"].replace("/", "?_id=")
    answer = a_caller(hub, HOSPITAL).request("DELETE", f"/{path}")
    assert refusal(answer) == (409, "HUB-REF-016")
    assert case_of(source, made)["status"]


@pytest.mark.parametrize(
    ("method", "kind"), [("DELETE", "Organization"), ("PATCH", "EpisodeOfCare")]
)
def test_what_a_type_does_not_have_it_does_not_have_by_condition(hub, method, kind):
    caller = a_caller(hub, HOSPITAL)
    answer = caller.request(method, f"/{kind}?_id=x", content=b"[]", headers=PATCH)
    assert refusal(answer) == (405, "HUB-REST-004")


def test_prefer_decides_what_a_delete_answers(author):
    told = {"Prefer": "return=OperationOutcome"}
    for by_condition in (False, True):
        made, query = _numbered(author)
        path = f"/Patient?{query}" if by_condition else f"/Patient/{made['id']}"
        answer = author.request("DELETE", path, headers=told)
        assert refusal(answer) == (200, "HUB-REST-049")
    for preference in ("minimal", "representation"):
        header = {"Prefer": f"return={preference}"}
        answer = author.request("DELETE", path, headers=header)
        assert (answer.status_code, answer.content) == (204, b"")


def test_K2_patches_by_condition_at_once_make_gap_free_versions(author):
    made, query = _numbered(author)
    operation = {"op": "replace", "path": "/gender", "value": "other"}

    def act(_):
        return _patch(author, f"/Patient?{query}", {**operation, "op": "add"})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(act, range(8)))
    assert {a.status_code for a in answers} == {200}
    tags = sorted(int(a.headers["ETag"][3:-1]) for a in answers)
    assert tags == list(range(2, 10))
    assert author.read(f"/Patient/{made['id']}/_history")["total"] == 9


def test_K2_a_delete_against_patches_has_one_order(author):
    made, query = _numbered(author)

    def act(number):
        if number == 4:
            return author.request("DELETE", f"/Patient?{query}")
        return _patch(author, f"/Patient?{query}")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(act, range(8)))
    assert answers[4].status_code == 204
    others = answers[:4] + answers[5:]
    assert {a.status_code for a in others} <= {200, 404}
    history = author.read(f"/Patient/{made['id']}/_history")
    patched = sum(a.status_code == 200 for a in others)
    assert history["total"] == 2 + patched
    assert history["entry"][0]["request"]["method"] == "DELETE"


def test_conditional_entries_do_the_same_in_a_bundle(author):
    for kind in ("transaction", "batch"):
        made, query = _numbered(author)
        doomed, condition = _numbered(author)
        parameters = {
            "resource": patch(replace("Patient.gender", valueCode="other")),
            "request": {"method": "PATCH", "url": f"Patient?{query}"},
        }
        author.put(f"/Patient/{made['id']}", {**made, "gender": "male"})
        answer = author.post(
            "",
            a_bundle(
                parameters,
                delete(f"Patient?{condition}"),
                delete(f"Patient?identifier=urn:x-test|{uuid.uuid4()}"),
                type=kind,
            ),
        )
        statuses = [e["response"]["status"][:3] for e in answer.json()["entry"]]
        assert statuses == ["200", "204", "204"], answer.text
        assert author.read(f"/Patient/{made['id']}")["gender"] == "other"
        assert author.get(f"/Patient/{doomed['id']}").status_code == 410


def test_F13_a_condition_that_fails_fails_the_whole_and_stores_nothing(
    drafting, author
):
    made, query = _numbered(author)
    author.post("/Patient", a_patient(identifier=made["identifier"]))
    nothing = f"Patient?identifier=urn:x-test|{uuid.uuid4()}"
    new = {"resource": a_patient(), "request": {"method": "POST", "url": "Patient"}}
    parameters = patch(replace("Patient.gender", valueCode="other"))
    before = stored(drafting)
    for entry, status, id in (
        (delete(f"Patient?{query}"), 412, "HUB-REST-012"),
        (
            {"resource": parameters, "request": {"method": "PATCH", "url": nothing}},
            404,
            "HUB-REST-001",
        ),
        (delete("Patient?nonsense=1"), 400, "HUB-SEARCH-001"),
        (delete("Patient?"), 400, "HUB-SEARCH-009"),
    ):
        assert refusal(author.post("", a_bundle(new, entry))) == (status, id)
        assert stored(drafting) == before


def test_F13_two_entries_that_meet_in_one_resource_are_400(drafting, author):
    made, query = _numbered(author)
    before = stored(drafting)
    by_id = {
        "resource": made,
        "request": {"method": "PUT", "url": f"Patient/{made['id']}"},
    }
    new = {
        "resource": a_patient(),
        "request": {"method": "POST", "url": "Patient", "ifNoneExist": query},
    }
    other = f"_id={made['id']}"
    for entries in (
        (delete(f"Patient?{query}"), delete(f"Patient?{query}")),
        (delete(f"Patient?{query}"), delete(f"Patient?{other}")),
        (delete(f"Patient?{query}"), by_id),
        (delete(f"Patient?{other}"), new),
    ):
        answer = author.post("", a_bundle(*entries))
        assert refusal(answer) == (400, "HUB-REST-021"), answer.text
        assert stored(drafting) == before


def test_a_request_of_its_own_is_as_its_entry(author):
    """The single form and the entry of a batch answer alike."""
    made = author.post(
        "/ServiceRequest", a_request("Patient/x", subject={"display": "架空"})
    )
    assert made.status_code == 201, made.text
    path = f"ServiceRequest?_id={made.json()['id']}"
    entry = {"request": {"method": "DELETE", "url": path, "ifMatch": 'W/"9"'}}
    batch = author.post("", a_bundle(entry, type="batch")).json()["entry"][0][
        "response"
    ]
    single = author.request("DELETE", f"/{path}", headers={"If-Match": 'W/"9"'})
    assert batch["status"].startswith(str(single.status_code))
    assert batch["outcome"] == single.json()
