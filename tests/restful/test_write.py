"""create, update, conditional forms and PATCH (rest.md F3, F4, F5, F6, F10)."""

import concurrent.futures
import json
import uuid

import pytest

from tests.restful.build import (
    HOSPITAL,
    OTHER_HOSPITAL,
    a_caller,
    a_patient,
    a_request,
    case_of,
    child_of,
    refusal,
    stored,
    submit,
)

PATCH = {"Content-Type": "application/json-patch+json"}


@pytest.fixture
def author(drafting):
    """A hospital that may do everything with its own drafts."""
    return a_caller(drafting, HOSPITAL)


def _patch(caller, path, *operations, **headers):
    body = json.dumps(operations).encode()
    return caller.request("PATCH", path, content=body, headers={**PATCH, **headers})


def _request(**over):
    return a_request("Patient/x", **{"subject": {"display": "架空"}, **over})


def test_F3_create_answers_201_with_its_headers(author):
    answer = author.post("/Patient", a_patient(id="mine"))
    assert answer.status_code == 201
    id = answer.json()["id"]
    assert id != "mine"
    assert answer.headers["Location"].endswith(f"/fhir/R4/Patient/{id}/_history/1")
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Last-Modified"].endswith("GMT")


def test_F3_content_is_kept_as_written(author):
    sent = (
        '{"resourceType":"Observation","status":"final","code":{"text":"架空"},'
        '"extension":[{"url":"https://else.example/x","valueDecimal":1.50}],'
        '"valueQuantity":{"value":1.50},'
        '"note":[{"text":"b"},{"text":"a"}]}'
    )
    answer = author.request("POST", "/Observation", content=sent.encode())
    assert answer.status_code == 201
    read = author.get(f"/Observation/{answer.json()['id']}").text
    assert '"valueDecimal":1.50' in read
    assert '"valueQuantity":{"value":1.50}' in read
    assert read.index('"b"') < read.index('"a"')


def test_F3_an_unknown_modifier_extension_is_refused(author):
    modifier = [{"url": "https://else.example/not", "valueBoolean": True}]
    answer = author.post("/Patient", a_patient(modifierExtension=modifier))
    assert answer.status_code == 422


def test_F3_every_finding_is_named_with_its_expression(author):
    answer = author.post(
        "/Patient", a_patient(gender="x", birthDate="2026-02-31", wrong=1)
    )
    assert answer.status_code == 422
    found = {e for one in answer.json()["issue"] for e in one["expression"]}
    assert {"Patient.gender", "Patient.birthDate", "Patient.wrong"} <= found
    assert "2026-02-31" not in answer.text


def test_the_type_of_url_and_body_must_agree(author):
    answer = author.post("/Patient", _request())
    assert refusal(answer) == (400, "HUB-REST-011")
    assert refusal(author.post("/Nonsense", {"resourceType": "Nonsense"})) == (
        404,
        "HUB-REST-003",
    )


def test_a_type_that_clients_do_not_write_is_405_with_allow(author):
    answer = author.post("/EpisodeOfCare", {"resourceType": "EpisodeOfCare"})
    assert refusal(answer) == (405, "HUB-REST-004")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_prefer_decides_the_body_of_a_write(author):
    minimal = author.post("/Patient", a_patient(), headers={"Prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert minimal.headers["Location"]
    outcome = {"Prefer": "return=OperationOutcome"}
    answer = author.post("/Patient", a_patient(), headers=outcome)
    assert refusal(answer) == (201, "HUB-REST-027")
    whole = {"Prefer": "return=representation"}
    answer = author.post("/Patient", a_patient(), headers=whole)
    assert answer.json()["resourceType"] == "Patient"


def test_post_with_a_query_is_refused(author):
    answer = author.post("/Patient?identifier=a", a_patient())
    assert refusal(answer) == (400, "HUB-REST-014")
    assert author.post("/Patient?_format=json", a_patient()).status_code == 201


# If-None-Exist.


def _numbered():
    number = str(uuid.uuid4())
    return [
        {"system": "urn:x-test", "value": number}
    ], f"identifier=urn:x-test|{number}"


def test_F4_if_none_exist_creates_once(author):
    identifier, query = _numbered()
    patient, header = a_patient(identifier=identifier), {"If-None-Exist": query}
    first = author.post("/Patient", patient, headers=header)
    second = author.post("/Patient", a_patient("別人"), headers=header)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    for form in (f"?{query}", f"Patient?{query}"):
        again = author.post("/Patient", patient, headers={"If-None-Exist": form})
        assert again.status_code == 200


def test_F4_more_than_one_match_is_412(author):
    identifier, query = _numbered()
    for _ in range(2):
        author.post("/Patient", a_patient(identifier=identifier))
    answer = author.post("/Patient", a_patient(), headers={"If-None-Exist": query})
    assert refusal(answer) == (412, "HUB-REST-012")


@pytest.mark.parametrize(
    ("condition", "id"),
    [
        ("", "HUB-SEARCH-009"),
        ("_count=1", "HUB-SEARCH-001"),
        ("nonsense=1", "HUB-SEARCH-001"),
        ("identifier=", "HUB-SEARCH-002"),
        ("Task?identifier=a", "HUB-REST-018"),
        ("identifier=%ff", "HUB-JSON-002"),
        ("identifier=%00", "HUB-JSON-008"),
    ],
)
def test_F4_a_malformed_condition_is_400(author, condition, id):
    header = {"If-None-Exist": condition, "Prefer": "handling=lenient"}
    answer = author.post("/Patient", a_patient(), headers=header)
    assert refusal(answer) == (400, id)


def test_F4_a_question_mark_in_a_value_is_a_value(author):
    number = f"a?b={uuid.uuid4()}"
    identifier = [{"system": "urn:x-test", "value": number}]
    author.post("/Patient", a_patient(identifier=identifier))
    header = {"If-None-Exist": f"identifier=urn:x-test|{number}"}
    assert author.post("/Patient", a_patient(), headers=header).status_code == 200


def test_F4_only_what_the_caller_sees_is_matched(drafting, author):
    identifier, query = _numbered()
    header = {"If-None-Exist": query}
    patient = a_patient(identifier=identifier)
    assert author.post("/Patient", patient, headers=header).status_code == 201
    other = a_caller(drafting, OTHER_HOSPITAL)
    assert other.post("/Patient", patient, headers=header).status_code == 201


def test_F4_sixteen_conditional_creates_at_once_make_one(author):
    identifier, query = _numbered()
    patient, header = a_patient(identifier=identifier), {"If-None-Exist": query}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        calls = [
            pool.submit(author.post, "/Patient", patient, headers=header)
            for _ in range(16)
        ]
        codes = sorted(call.result().status_code for call in calls)
    assert codes == [200] * 15 + [201]
    assert len(author.search(f"/Patient?{query}")) == 1


def test_an_idempotency_key_on_a_create_makes_one_resource(author):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = author.post("/Patient", a_patient(), headers=key)
    second = author.post("/Patient", a_patient(), headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first.headers["Location"] == second.headers["Location"]
    other = author.post("/Patient", a_patient("別人"), headers=key)
    assert refusal(other) == (422, "HUB-REST-022")


# update.


def test_F5_an_update_makes_the_next_version(author):
    made = author.post("/ServiceRequest", _request()).json()
    path = f"/ServiceRequest/{made['id']}"
    answer = author.put(path, {**made, "priority": "urgent"}, headers={"If-Match": "1"})
    assert answer.status_code == 200
    assert answer.headers["ETag"] == 'W/"2"'
    assert answer.json()["meta"]["versionId"] == "2"


def test_F5_ids_that_differ_are_400(author):
    made = author.post("/ServiceRequest", _request()).json()
    for body in ({**made, "id": "other"}, _request(), {**made, "id": 5}):
        answer = author.put(f"/ServiceRequest/{made['id']}", body)
        assert refusal(answer) == (400, "HUB-REST-011")


@pytest.mark.parametrize("tag", ['W/"9"', '"9"', "9"])
def test_F5_a_stale_if_match_changes_nothing(author, tag):
    made = author.post("/ServiceRequest", _request()).json()
    path = f"/ServiceRequest/{made['id']}"
    changed = {**made, "priority": "urgent"}
    answer = author.put(path, changed, headers={"If-Match": tag})
    assert refusal(answer) == (412, "HUB-REST-008")
    assert author.read(path) == made


@pytest.mark.parametrize("tag", ["x", "*", 'W/"1", W/"2"', ""])
def test_a_malformed_if_match_is_400(author, tag):
    made = author.post("/ServiceRequest", _request()).json()
    answer = author.put(
        f"/ServiceRequest/{made['id']}", made, headers={"If-Match": tag}
    )
    assert refusal(answer) == (400, "HUB-REST-018")


def test_F5_every_change_of_a_task_needs_if_match(source, centre):
    child = child_of(centre, submit(source))
    path = f"/Task/{child['id']}"
    received = {**child, "status": "received"}
    assert refusal(centre.put(path, received)) == (428, "HUB-REST-009")
    operation = {"op": "replace", "path": "/status", "value": "received"}
    assert refusal(_patch(centre, path, operation)) == (428, "HUB-REST-009")
    for tag in ('W/"9"', "2"):
        header = {"If-Match": tag}
        assert refusal(centre.put(path, received, headers=header))[0] == 412
        assert refusal(_patch(centre, path, operation, **header))[0] == 412
    assert centre.read(path) == child
    answer = _patch(centre, path, operation, **{"If-Match": 'W/"1"'})
    assert answer.status_code == 200
    assert answer.json()["status"] == "received"


def test_F5_two_updates_at_once_and_one_wins(author):
    made = author.post("/ServiceRequest", _request()).json()
    path, header = f"/ServiceRequest/{made['id']}", {"If-Match": 'W/"1"'}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(
                author.put, path, {**made, "priority": "urgent"}, headers=header
            )
            for _ in range(8)
        ]
        codes = sorted(call.result().status_code for call in calls)
    assert codes == [200] + [412] * 7
    assert author.read(path)["meta"]["versionId"] == "2"


def test_a_resource_of_a_case_is_changed_by_its_author_alone(hub, source):
    made = submit(source)
    centre = a_caller(hub, "kagoshima-shi", "recipient")
    request = centre.read(f"/{made['ServiceRequest']}")
    answer = centre.put(f"/{made['ServiceRequest']}", {**request, "priority": "stat"})
    assert refusal(answer) == (403, "HUB-REF-019")


def test_what_is_about_one_person_is_never_made_about_another(source):
    mine, other = submit(source), submit(source)
    request = source.read(f"/{mine['ServiceRequest']}")
    request["subject"] = {"reference": other["Patient"]}
    answer = source.put(f"/{mine['ServiceRequest']}", request)
    assert refusal(answer) == (422, "HUB-REF-017")


# Into a case.


def test_case_data_without_a_case_is_refused(hub, source):
    before = stored(hub)
    assert refusal(source.post("/Patient", a_patient())) == (403, "HUB-CON-012")
    assert stored(hub) == before


def test_a_participant_writes_into_its_case(hub, source, centre):
    made = submit(source)
    note = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": made["Patient"]},
        "basedOn": [{"reference": made["ServiceRequest"]}],
        "payload": [{"contentString": "架空の連絡"}],
    }
    sent = centre.post("/Communication", note)
    assert sent.status_code == 201
    path = f"/Communication/{sent.json()['id']}"
    assert source.get(path).status_code == 200
    assert hub.caller("naze", "recipient").get(path).status_code == 404


def test_data_of_one_person_does_not_enter_the_case_of_another(source, centre):
    mine, other = submit(source), submit(source)
    note = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": mine["Patient"]},
        "basedOn": [{"reference": other["ServiceRequest"]}],
    }
    assert refusal(centre.post("/Communication", note)) == (422, "HUB-REF-017")


@pytest.mark.parametrize(
    "reference",
    ["urn:uuid:1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "Patient/x"],
)
def test_a_single_create_needs_references_that_lead_somewhere(source, reference):
    made = submit(source)
    note = {
        "resourceType": "Communication",
        "status": "completed",
        "basedOn": [{"reference": made["ServiceRequest"]}],
        "subject": {"reference": reference},
    }
    answer = source.post("/Communication", note)
    assert refusal(answer) == (422, "HUB-REST-016")
    expression = answer.json()["issue"][0]["expression"]
    assert expression == ["Communication.subject.reference"]


def test_an_update_never_fails_for_a_reference_that_was_there(hub, source, stranger):
    made = submit(source)
    request = source.read(f"/{made['ServiceRequest']}")
    request["supportingInfo"] = [{"reference": "Observation/gone"}]
    assert source.put(f"/{made['ServiceRequest']}", request).status_code == 200


def test_a_closed_case_takes_nothing_in(source):
    made = submit(source)
    parent = source.read(f"/{made['Task']}")
    reason = {"text": "取下げ"}
    source.move(parent, status="cancelled", statusReason=reason)
    note = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": made["Patient"]},
    }
    assert refusal(source.post("/Communication", note)) == (409, "HUB-REF-023")


def test_an_abort_names_a_task_of_its_case(source, centre):
    made, other = submit(source), submit(source)
    accepted = centre.move(child_of(centre, made), status="accepted")
    child = centre.move(accepted, status="in-progress")

    def abort(focus):
        return {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "code": {"coding": [{"system": _TASK_CODE, "code": "abort"}]},
            "focus": {"reference": focus},
            "basedOn": [{"reference": made["ServiceRequest"]}],
            "reasonCode": {"text": "転院したため"},
        }

    wrong = source.post("/Task", abort(f"Task/{child_of(source, other)['id']}"))
    assert refusal(wrong) == (422, "HUB-REF-017")
    wrong = source.post("/Task", abort(made["Task"]))
    assert refusal(wrong) == (422, "HUB-REF-028")
    assert refusal(source.post("/Task", abort("Task/x"))) == (422, "HUB-REST-016")
    asked = source.post("/Task", abort(f"Task/{child['id']}"))
    assert asked.status_code == 201
    assert asked.json()["owner"]["reference"] == child["owner"]["reference"]
    agreed = centre.move(asked.json(), status="accepted")
    assert agreed["status"] == "accepted"
    assert child_of(source, made)["status"] == "failed"


_TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"


def test_a_task_never_loses_its_owner(source, centre):
    made = submit(source)
    for caller, task in (
        (centre, child_of(centre, made)),
        (source, source.read(f"/{made['Task']}")),
    ):
        for owner in (None, {"display": "窓口"}):
            assert refusal(caller.change(task, owner=owner)) == (422, "HUB-REF-004")


# Conditional update.


def test_F6_put_with_a_query_creates_updates_or_refuses(author):
    identifier, query = _numbered()
    first = author.put(f"/Patient?{query}", a_patient(identifier=identifier))
    assert first.status_code == 201
    changed = a_patient("改名", identifier=identifier)
    second = author.put(f"/Patient?{query}", changed)
    assert second.status_code == 200
    assert second.json()["id"] == first.json()["id"]
    assert second.json()["meta"]["versionId"] == "2"
    author.post("/Patient", a_patient(identifier=identifier))
    third = author.put(f"/Patient?{query}", changed)
    assert refusal(third) == (412, "HUB-REST-012")


def test_F6_malformed_conditional_updates_are_400(author):
    identifier, query = _numbered()
    nobody = author.put(f"/Patient?{query}", a_patient(id="x", identifier=identifier))
    assert refusal(nobody) == (400, "HUB-REST-011")
    author.post("/Patient", a_patient(identifier=identifier))
    other = author.put(f"/Patient?{query}", a_patient(id="x", identifier=identifier))
    assert refusal(other) == (400, "HUB-REST-011")
    for path in ("/Patient", "/Patient?", "/Patient?_format=json"):
        assert refusal(author.put(path, a_patient())) == (400, "HUB-SEARCH-009")


def test_F6_a_task_found_by_a_query_needs_if_match_too(source, centre):
    child = child_of(centre, submit(source))
    number = child["groupIdentifier"]["value"]
    query = f"group-identifier={number}&owner=HealthcareService/kagoshima-shi"
    body = {k: v for k, v in child.items() if k != "id"} | {"status": "received"}
    assert refusal(centre.put(f"/Task?{query}", body)) == (428, "HUB-REST-009")
    answer = centre.put(f"/Task?{query}", body, headers={"If-Match": "1"})
    assert answer.status_code == 200, answer.text


# PATCH.


def test_F10_a_patch_makes_the_next_version_and_keeps_the_rest(author):
    tags = {"tag": [{"system": "urn:x-test", "code": "kept"}]}
    made = author.post("/ServiceRequest", _request(meta=tags)).json()
    path = f"/ServiceRequest/{made['id']}"
    answer = _patch(author, path, {"op": "add", "path": "/priority", "value": "urgent"})
    assert answer.status_code == 200
    after = answer.json()
    assert after["priority"] == "urgent"
    assert after["meta"]["versionId"] == "2"
    assert after["meta"]["tag"] == tags["tag"]
    del after["priority"], after["meta"], made["meta"]
    assert after == made


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/status", "value": "draft"},
        {"op": "remove", "path": "/nowhere"},
        {"op": "replace", "path": "/id", "value": "x"},
        {"op": "replace", "path": "/resourceType", "value": "Task"},
        {"op": "replace", "path": "", "value": []},
        {"op": "nonsense", "path": "/status"},
        {"op": "add", "path": "/note/0/x/y", "value": 1},
        {"op": "copy", "from": "/nowhere", "path": "/note"},
        {"path": "/status"},
        "text",
        None,
    ],
)
def test_F10_a_patch_that_does_not_apply_is_422(author, operation):
    made = author.post("/ServiceRequest", _request()).json()
    path = f"/ServiceRequest/{made['id']}"
    assert refusal(_patch(author, path, operation)) == (422, "HUB-REST-019")
    assert author.read(path) == made


@pytest.mark.parametrize("body", [b"{}", b'"x"', b"5", b"null", b"[]"])
def test_F10_a_patch_is_a_list_of_operations(author, body):
    made = author.post("/ServiceRequest", _request()).json()
    path = f"/ServiceRequest/{made['id']}"
    answer = author.request("PATCH", path, content=body, headers=PATCH)
    assert refusal(answer) == (422, "HUB-REST-019")


def test_F10_the_result_of_a_patch_is_validated(author):
    made = author.post("/ServiceRequest", _request()).json()
    path = f"/ServiceRequest/{made['id']}"
    operation = {"op": "replace", "path": "/status", "value": "nonsense"}
    answer = _patch(author, path, operation)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["ServiceRequest.status"]
    assert author.read(path) == made


def test_F10_a_stale_patch_changes_nothing(author):
    made = author.post("/ServiceRequest", _request()).json()
    path = f"/ServiceRequest/{made['id']}"
    operation = {"op": "add", "path": "/priority", "value": "urgent"}
    answer = _patch(author, path, operation, **{"If-Match": 'W/"7"'})
    assert refusal(answer) == (412, "HUB-REST-008")
    assert author.read(path) == made


@pytest.mark.parametrize(
    "media",
    ["application/json", "application/merge-patch+json", "text/plain", ""],
)
def test_F10_another_media_type_is_415_and_names_the_right_one(author, media):
    made = author.post("/ServiceRequest", _request()).json()
    path = f"/ServiceRequest/{made['id']}"
    header = {"Content-Type": media}
    answer = author.request("PATCH", path, content=b"[]", headers=header)
    assert refusal(answer) == (415, "HUB-REST-028")
    accepted = (
        "application/json-patch+json, application/fhir+json, application/fhir+xml"
    )
    assert answer.headers["Accept-Patch"] == accepted
    assert all(media in answer.text for media in accepted.split(", ")[:2])


def test_F10_the_charset_may_be_named(author):
    made = author.post("/ServiceRequest", _request()).json()
    header = {"Content-Type": "application/json-patch+json; charset=utf-8"}
    operation = [{"op": "add", "path": "/priority", "value": "urgent"}]
    answer = author.request(
        "PATCH",
        f"/ServiceRequest/{made['id']}",
        content=json.dumps(operation).encode(),
        headers=header,
    )
    assert answer.status_code == 200


def test_AB26_a_patch_cannot_grow_without_bound(author):
    note = [{"text": "架空" * 50}]
    made = author.post("/ServiceRequest", _request(note=note)).json()
    path = f"/ServiceRequest/{made['id']}"
    double = {"op": "copy", "from": "/note", "path": "/note/0/extension"}
    answer = _patch(author, path, *([double] * 60))
    assert answer.status_code in (400, 413, 422)
    many = [{"op": "test", "path": "/status", "value": "active"}] * 201
    assert refusal(_patch(author, path, *many)) == (413, "HUB-REST-034")
    deep: dict[str, object] = {}
    for _ in range(40):
        deep = {"extension": [deep]}
    operations = [
        {"op": "add", "path": "/note/0/extension", "value": [deep]},
        {"op": "add", "path": "/note/0/extension/0/extension/0/x", "value": deep},
    ]
    assert _patch(author, path, *operations).status_code in (400, 422)
    assert author.read(path) == made


# The directory: the one place where a client's id is taken.


def test_update_as_create_is_for_directory_types(hub):
    keeper = a_caller(hub, "tsunagi-hub", "directory")
    place = {"resourceType": "Location", "id": "kakuu-location", "name": "架空"}
    answer = keeper.put("/Location/kakuu-location", place)
    assert answer.status_code == 201
    assert keeper.put("/Location/kakuu-location", place).status_code == 200
    reader = hub.caller(HOSPITAL, "directory")
    assert reader.read("/Location/kakuu-location")["name"] == "架空"
    assert refusal(reader.put("/Location/other", {**place, "id": "other"}))[0] == 403


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Organization", "name": "架空"},
        {"resourceType": "Organization", "identifier": [{"value": "1"}]},
        {"resourceType": "HealthcareService"},
        {"resourceType": "HealthcareService", "providedBy": {"display": "架空"}},
        {"resourceType": "Location"},
        {"resourceType": "PractitionerRole"},
        {"resourceType": "OrganizationAffiliation"},
        {
            "resourceType": "Endpoint",
            "status": "active",
            "connectionType": {"code": "hl7-fhir-rest"},
            "payloadType": [{"text": "架空"}],
            "address": "https://else.example/fhir",
        },
    ],
)
def test_a_bare_directory_entry_is_taken_in(hub, resource):
    keeper = a_caller(hub, "tsunagi-hub", "directory")
    answer = keeper.post(f"/{resource['resourceType']}", resource)
    assert answer.status_code == 201, answer.text


def test_an_episode_is_the_hubs_alone(hub, source):
    made = submit(source)
    episode = case_of(source, made)
    writer = a_caller(hub, HOSPITAL)
    answer = writer.put(f"/EpisodeOfCare/{episode['id']}", episode)
    assert refusal(answer) == (405, "HUB-REST-004")
