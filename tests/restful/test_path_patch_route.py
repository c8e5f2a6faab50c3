"""FHIRPath Patch over HTTP and in Bundles: judged like an update (rest.md F10)."""

import json
from base64 import b64encode

import pytest

from tests.restful.build import (
    HOSPITAL,
    a_bundle,
    a_caller,
    a_patient,
    a_request,
    child_of,
    post,
    refusal,
    submit,
    urn,
)
from tests.restful.patches import add, delete, move, patch, replace

URGENT = add("ServiceRequest", "priority", valueCode="urgent")


@pytest.fixture
def author(drafting):
    return a_caller(drafting, HOSPITAL)


def _made(author, **over):
    request = a_request("Patient/x", subject={"display": "架空"}, **over)
    answer = author.post("/ServiceRequest", request)
    assert answer.status_code == 201, answer.text
    return answer.json()


def _patch(caller, path, *operations, **headers):
    return caller.request("PATCH", path, json=patch(*operations), headers=headers)


def test_F10_a_patch_by_path_makes_the_next_version_and_keeps_the_rest(author):
    weight = b'{"url":"https://else.example/w","valueDecimal":1.50}'
    body = json.dumps(a_request("x", subject={"display": "架空"})).encode()
    body = body[:-1] + b',"extension":[' + weight + b"]}"
    made = author.request("POST", "/ServiceRequest", content=body).json()
    answer = _patch(author, f"/ServiceRequest/{made['id']}", URGENT)
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == 'W/"2"'
    assert b'"valueDecimal":1.50' in answer.content
    after = answer.json()
    assert after.pop("priority") == "urgent"
    after.pop("meta"), made.pop("meta")
    assert after == made


def test_F10_a_stale_patch_by_path_changes_nothing(author):
    made = _made(author)
    path = f"/ServiceRequest/{made['id']}"
    answer = _patch(author, path, URGENT, **{"If-Match": 'W/"7"'})
    assert refusal(answer) == (412, "HUB-REST-008")
    assert author.read(path) == made


@pytest.mark.parametrize(
    ("operation", "id"),
    [
        (replace("ServiceRequest.priority", valueCode="urgent"), "HUB-REST-042"),
        (replace("ServiceRequest.id", valueId="other"), "HUB-REST-019"),
        (delete("ServiceRequest.id"), "HUB-REST-019"),
        (move("ServiceRequest.identifier", 0, 1), "HUB-REST-043"),
        (delete("ServiceRequest.descendants()"), "HUB-REST-041"),
        ({"name": "other", "valueString": "x"}, "HUB-REST-040"),
        (delete("ServiceRequest.status"), None),
        (replace("ServiceRequest.status", valueCode="nonsense"), None),
    ],
)
def test_F10_what_does_not_apply_or_is_not_valid_is_422(author, operation, id):
    made = _made(author)
    path = f"/ServiceRequest/{made['id']}"
    answer = _patch(author, path, operation)
    assert answer.status_code == 422, answer.text
    # None: what the patch makes of the resource is judged, as of an update.
    found = answer.json()["issue"][0]
    assert refusal(answer)[1] == id or found["expression"][0].startswith("Service")
    assert author.read(path) == made


def test_F10_an_error_says_which_operation_and_not_what_was_sent(author):
    path = f"/ServiceRequest/{_made(author)['id']}"
    answer = _patch(author, path, URGENT, delete("Secret.where(name = 'x').y("))
    (found,) = answer.json()["issue"]
    assert found["expression"] == ["Parameters.parameter[1]"]
    assert "Secret" not in answer.text


def test_F10_another_resource_is_no_patch(author):
    path = f"/ServiceRequest/{_made(author)['id']}"
    answer = author.request("PATCH", path, json=a_patient())
    assert refusal(answer) == (422, "HUB-REST-040")
    answer = author.request("PATCH", path, content=b"[]")
    assert refusal(answer) == (400, "HUB-JSON-009")
    strange = {**patch(URGENT), "nonsense": 1}
    assert author.request("PATCH", path, json=strange).status_code == 422


def test_F10_a_merge_object_is_415_naming_both_types(author):
    path = f"/ServiceRequest/{_made(author)['id']}"
    header = {"Content-Type": "application/json"}
    answer = author.request("PATCH", path, json={"priority": "urgent"}, headers=header)
    assert refusal(answer) == (415, "HUB-REST-028")
    for media in ("application/json-patch+json", "application/fhir+json"):
        assert media in answer.text
        assert media in answer.headers["Accept-Patch"]


def test_F10_a_move_of_a_task_is_judged_like_an_update(source, centre):
    child = child_of(centre, submit(source))
    path, tag = f"/Task/{child['id']}", {"If-Match": child["meta"]["versionId"]}
    received = replace("Task.status", valueCode="received")
    assert refusal(_patch(centre, path, received)) == (428, "HUB-REST-009")
    jump = replace("Task.status", valueCode="completed")
    assert _patch(centre, path, jump, **tag).status_code == 409
    answer = _patch(centre, path, received, **tag)
    assert answer.json()["status"] == "received"


def test_AB26_many_operations_are_refused(author):
    path = f"/ServiceRequest/{_made(author)['id']}"
    answer = _patch(author, path, *[delete("ServiceRequest.note")] * 201)
    assert refusal(answer) == (413, "HUB-REST-034")
    long = "ServiceRequest.note" + ".first()" * 50
    answer = _patch(author, path, *[delete(long)] * 30)
    assert refusal(answer) == (413, "HUB-REST-034")


def _entry(url, *operations, **request):
    return {
        "resource": patch(*operations),
        "request": {"method": "PATCH", "url": url, **request},
    }


def test_F10_a_patch_by_path_is_an_entry_too(author):
    for kind in ("transaction", "batch"):
        made = _made(author)
        entry = _entry(f"ServiceRequest/{made['id']}", URGENT, ifMatch='W/"1"')
        answer = author.post("", a_bundle(entry, type=kind))
        response = answer.json()["entry"][0]["response"]
        assert response["status"] == "200 OK", answer.text
        assert response["etag"] == 'W/"2"'
        read = author.read(f"/ServiceRequest/{made['id']}")
        assert read["priority"] == "urgent"


def test_F10_an_error_of_an_entry_has_its_place_in_the_bundle(author):
    made = _made(author)
    url = f"ServiceRequest/{made['id']}"
    wrong = _entry(url, replace("ServiceRequest.priority", valueCode="urgent"))
    answer = author.post("", a_bundle(post(a_patient()), wrong))
    assert refusal(answer) == (422, "HUB-REST-042")
    (found,) = answer.json()["issue"]
    assert found["expression"] == ["Bundle.entry[1].resource.parameter[0]"]
    assert author.read(f"/{url}") == made


@pytest.mark.parametrize("by_path", [True, False])
def test_F11_a_patch_refers_to_what_its_transaction_makes(author, by_path):
    made, person = _made(author), urn()
    reference = {"reference": person}
    if by_path:
        resource = patch(replace("ServiceRequest.subject", valueReference=reference))
    else:
        operation = [{"op": "replace", "path": "/subject", "value": reference}]
        resource = {
            "resourceType": "Binary",
            "contentType": "application/json-patch+json",
            "data": b64encode(json.dumps(operation).encode()).decode(),
        }
    url = f"ServiceRequest/{made['id']}"
    entry = {"resource": resource, "request": {"method": "PATCH", "url": url}}
    answer = author.post("", a_bundle(entry, post(a_patient(), person)))
    assert answer.status_code == 200, answer.text
    patient = answer.json()["entry"][1]["response"]["location"].split("/_history")[0]
    assert author.read(f"/{url}")["subject"] == {"reference": patient}
    alone = author.request(
        "PATCH",
        f"/{url}",
        json=patch(replace("ServiceRequest.subject", valueReference=reference)),
    )
    assert refusal(alone) == (422, "HUB-REST-016")
