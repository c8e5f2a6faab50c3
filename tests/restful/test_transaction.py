"""transaction and batch (rest.md F11, F12, F13)."""

import json
import uuid
from base64 import b64encode

import pytest

from hub.fhir.json import decode
from hub.validation import validate
from tests.restful.build import (
    HOSPITAL,
    OTHER_HOSPITAL,
    a_bundle,
    a_caller,
    a_name,
    a_patient,
    a_referral,
    a_request,
    again,
    child_of,
    count,
    delete,
    entry_of,
    get,
    ids,
    locations,
    post,
    put,
    refusal,
    stored,
    submit,
    urn,
)


@pytest.fixture
def author(drafting):
    return a_caller(drafting, HOSPITAL)


def _responses(answer):
    assert answer.status_code == 200, answer.text
    bundle = decode(answer.content, 100)
    assert not [i for i in validate(bundle) if i.severity == "error"]
    return [entry["response"] for entry in answer.json()["entry"]]


def _codes(answer):
    return [one["status"][:3] for one in _responses(answer)]


# References.


def test_F11_urn_uuid_is_rewritten_everywhere_but_in_the_narrative(author):
    person = urn()
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{person}</div>'
    note = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": person},
        "text": {"status": "additional", "div": div},
        "extension": [
            {
                "url": "https://else.example/a",
                "extension": [
                    {
                        "url": "https://else.example/b",
                        "valueReference": {"reference": person},
                    }
                ],
            }
        ],
        "contained": [
            {
                "resourceType": "Observation",
                "id": "o",
                "status": "final",
                "code": {"text": "架空"},
                "subject": {"reference": person},
            }
        ],
        "about": [{"reference": "#o"}],
        "payload": [{"contentReference": {"reference": person}}],
    }
    answer = author.post("", a_bundle(post(note), post(a_patient(), person)))
    made = locations(answer)
    read = author.read(f"/{made['Communication']}")
    patient = {"reference": made["Patient"]}
    assert read["subject"] == patient
    assert read["extension"][0]["extension"][0]["valueReference"] == patient
    assert read["contained"][0]["subject"] == patient
    assert read["payload"][0]["contentReference"] == patient
    assert read["about"] == [{"reference": "#o"}]
    assert read["text"]["div"] == div


def test_F11_references_go_both_ways(author):
    one, other = urn(), urn()
    answer = author.post(
        "",
        a_bundle(
            post({**_NOTE, "partOf": [{"reference": other}]}, one),
            post({**_NOTE, "partOf": [{"reference": one}]}, other),
        ),
    )
    first, second = ("/".join(r["location"].split("/")[:2]) for r in _responses(answer))
    assert author.read(f"/{first}")["partOf"] == [{"reference": second}]
    assert author.read(f"/{second}")["partOf"] == [{"reference": first}]


def test_F13_foreign_references_are_kept_and_own_ones_become_relative(author):
    mine = author.post("/Patient", a_patient()).json()["id"]
    base = str(author.http.base_url).rstrip("/") + "/fhir/R4"
    foreign = "https://else.example/fhir/Patient/1"
    note = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": f"{base}/Patient/{mine}"},
        "about": [{"reference": foreign}, {"reference": f"Patient/{mine}/_history/1"}],
    }
    made = locations(author.post("", a_bundle(post(note))))
    read = author.read(f"/{made['Communication']}")
    assert read["subject"]["reference"] == f"Patient/{mine}"
    assert read["about"][0]["reference"] == foreign
    assert read["about"][1]["reference"] == f"Patient/{mine}/_history/1"


def test_F11_a_conditional_reference_resolves_to_the_one_match(author):
    number = str(uuid.uuid4())
    identifier = [{"system": "urn:x-test", "value": number}]
    mine = author.post("/Patient", a_patient(identifier=identifier)).json()["id"]
    reference = f"Patient?identifier=urn:x-test|{number}"
    note = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": reference},
    }
    made = locations(author.post("", a_bundle(post(note))))
    assert (
        author.read(f"/{made['Communication']}")["subject"]["reference"]
        == f"Patient/{mine}"
    )


@pytest.mark.parametrize(
    "reference",
    [
        "urn:uuid:1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        "Patient/never-there",
        "Patient?identifier=urn:x-test|never-there",
    ],
)
def test_F11_a_dangling_reference_fails_the_whole(source, hub, reference):
    before = stored(hub)
    bundle = a_referral(request={"supportingInfo": [{"reference": reference}]})
    answer = source.post("", bundle)
    assert answer.status_code == 422
    expression = answer.json()["issue"][0]["expression"][0]
    assert expression.startswith("Bundle.entry[3].resource.supportingInfo[0]")
    assert stored(hub) == before


def test_F13_a_conditional_reference_with_two_matches_fails_the_whole(drafting, author):
    number = str(uuid.uuid4())
    identifier = [{"system": "urn:x-test", "value": number}]
    for _ in range(2):
        author.post("/Patient", a_patient(identifier=identifier))
    before = stored(drafting)
    note = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": f"Patient?identifier=urn:x-test|{number}"},
    }
    answer = author.post("", a_bundle(post(note)))
    assert refusal(answer) == (412, "HUB-REST-012")
    assert stored(drafting) == before


# Order and mixture.


def test_F11_every_method_in_one_transaction_whatever_the_order(author):
    old = author.post("/Communication", _NOTE).json()
    kept = author.post("/Patient", a_patient()).json()
    patched = author.post("/Patient", a_patient()).json()
    operations = [{"op": "add", "path": "/active", "value": True}]
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": b64encode(json.dumps(operations).encode()).decode(),
    }
    bundle = a_bundle(
        get(f"Patient/{kept['id']}"),
        put({**kept, "gender": "other"}, ifMatch='W/"1"'),
        {
            "resource": binary,
            "request": {"method": "PATCH", "url": f"Patient/{patched['id']}"},
        },
        post(a_patient()),
        delete(f"Communication/{old['id']}"),
        get(f"Communication?_id={old['id']}"),
    )
    answer = author.post("", bundle)
    assert _codes(answer) == ["200", "200", "200", "201", "204", "200"]
    entries = answer.json()["entry"]
    # Reads come last: they see what the others wrote.
    assert entries[0]["resource"]["gender"] == "other"
    assert "entry" not in entries[5]["resource"]
    assert author.read(f"/Patient/{patched['id']}")["active"] is True


_NOTE = {"resourceType": "Communication", "status": "completed"}


def test_get_entries_search_with_include_and_know_their_tag(source):
    made = submit(source)
    task = made["Task"].split("/")[1]
    answer = source.post(
        "",
        a_bundle(
            get(f"Task?_id={task}&_include=Task:patient"),
            get(made["Patient"], ifNoneMatch='W/"1"'),
            get(made["Patient"], ifNoneMatch='W/"2"'),
        ),
    )
    assert _codes(answer) == ["200", "304", "200"]
    entries = answer.json()["entry"]
    modes = [e["search"]["mode"] for e in entries[0]["resource"]["entry"]]
    assert modes == ["match", "include"]
    assert "resource" not in entries[1]
    assert entries[2]["resource"]["resourceType"] == "Patient"


def test_F13_a_task_in_a_bundle_needs_its_version(source, centre):
    child = child_of(centre, submit(source))
    received = {**child, "status": "received"}
    assert refusal(centre.post("", a_bundle(put(received)))) == (428, "HUB-REST-009")
    stale = a_bundle(put(received, ifMatch='W/"7"'))
    assert refusal(centre.post("", stale)) == (412, "HUB-REST-008")
    wrong = a_bundle(put(received, ifMatch="seven"))
    assert refusal(centre.post("", wrong)) == (400, "HUB-REST-018")
    good = centre.post("", a_bundle(put(received, ifMatch='W/"1"')))
    assert _codes(good) == ["200"]


def test_an_empty_bundle_has_an_empty_answer(source):
    for kind in ("transaction", "batch"):
        answer = source.post("", a_bundle(type=kind)).json()
        assert answer == {"resourceType": "Bundle", "type": f"{kind}-response"}


# Conditional entries.


def test_F11_a_conditional_create_in_a_bundle_says_200_for_a_match(author):
    number = str(uuid.uuid4())
    patient = a_patient(identifier=[{"system": "urn:x-test", "value": number}])
    entry = post(patient, ifNoneExist=f"identifier=urn:x-test|{number}")
    assert _codes(author.post("", a_bundle(again(entry)))) == ["201"]
    assert _codes(author.post("", a_bundle(again(entry)))) == ["200"]
    assert _codes(author.post("", a_bundle(again(entry), type="batch"))) == ["200"]
    assert len(author.search(f"/Patient?identifier=urn:x-test|{number}")) == 1


def test_F11_two_matches_fail_the_whole_and_store_nothing(drafting, author):
    number = str(uuid.uuid4())
    patient = a_patient(identifier=[{"system": "urn:x-test", "value": number}])
    for _ in range(2):
        author.post("/Patient", patient)
    before = stored(drafting)
    entry = post(patient, ifNoneExist=f"identifier=urn:x-test|{number}")
    answer = author.post("", a_bundle(post(a_patient()), entry))
    assert refusal(answer) == (412, "HUB-REST-012")
    assert stored(drafting) == before


def test_F13_two_conditionals_meeting_in_one_resource_are_refused(drafting, author):
    number = str(uuid.uuid4())
    identifier = [
        {"system": "urn:x-test", "value": number},
        {"system": "urn:x-other", "value": number},
    ]
    patient = a_patient(identifier=identifier)
    first = post(patient, ifNoneExist=f"identifier=urn:x-test|{number}")
    other = post(patient, ifNoneExist=f"identifier=urn:x-other|{number}")
    same = a_bundle(again(first), {**again(first), "fullUrl": urn()})
    before = stored(drafting)
    assert refusal(author.post("", same)) == (400, "HUB-REST-021")
    assert stored(drafting) == before
    author.post("/Patient", patient)
    before = stored(drafting)
    answer = author.post("", a_bundle(again(first), again(other)))
    assert refusal(answer) == (400, "HUB-REST-021")
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert stored(drafting) == before


def test_F6_a_conditional_update_in_a_bundle(author):
    number = str(uuid.uuid4())
    patient = a_patient(identifier=[{"system": "urn:x-test", "value": number}])
    url = f"Patient?identifier=urn:x-test|{number}"
    entry = {
        "fullUrl": urn(),
        "resource": patient,
        "request": {"method": "PUT", "url": url},
    }
    note = {**_NOTE, "subject": {"reference": entry["fullUrl"]}}
    first = author.post("", a_bundle(again(entry), post(note)))
    assert _codes(first) == ["201", "201"]
    again_ = author.post("", a_bundle(again(entry), post(note)))
    assert _codes(again_) == ["200", "201"]
    made = locations(again_)
    assert made["Patient"] == locations(first)["Patient"]
    read = author.read(f"/{made['Communication']}")
    assert read["subject"]["reference"] == made["Patient"]
    assert _codes(author.post("", a_bundle(again(entry), type="batch"))) == ["200"]
    twice = a_bundle(again(entry), {**again(entry), "fullUrl": urn()})
    assert refusal(author.post("", twice)) == (400, "HUB-REST-021")


# Malformed Bundles.


@pytest.mark.parametrize(
    "type", ["collection", "document", "nonsense", None, 5, [], {}]
)
def test_F13_a_bundle_of_another_type_is_400(source, type):
    bundle = {**a_referral(), "type": type}
    assert refusal(source.post("", bundle)) == (400, "HUB-REST-013")


def test_F13_without_a_type_or_not_a_bundle_is_400(source):
    bundle = a_referral()
    del bundle["type"]
    assert refusal(source.post("", bundle)) == (400, "HUB-REST-013")
    assert refusal(source.post("", a_patient())) == (400, "HUB-REST-013")


@pytest.mark.parametrize(
    "request_",
    [
        None,
        {},
        {"method": "POST"},
        {"method": "POST", "url": 5},
        {"method": "POST", "url": "Patient/1"},
        {"method": "POST", "url": "Patient?identifier=a"},
        {"method": "POST", "url": "../Patient"},
        {"method": "POST", "url": "https://else.example/Patient"},
        {"method": "HEAD", "url": "Patient/1"},
        {"method": "GET", "url": "Patient"},
        {"method": "DELETE", "url": "Patient/1"},
        {"method": "PUT", "url": "Patient"},
        {"method": "PATCH", "url": "Patient"},
        {"method": "POST", "url": "Patient", "ifNoneExist": 5},
        {"method": "POST", "url": "Patient", "ifMatch": []},
        {"method": "POST", "url": "Patient", "ifModifiedSince": "2026-01-01T00:00:00Z"},
    ],
)
def test_F13_a_bad_request_element_is_400(hub, source, request_):
    before = stored(hub)
    entry = {"fullUrl": urn(), "resource": a_patient(), "request": request_}
    answer = source.post("", a_bundle(entry))
    assert refusal(answer) == (400, "HUB-REST-014")
    assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry[0]")
    assert stored(hub) == before


def test_F13_a_route_that_does_not_exist_is_400(source):
    entry = post({"resourceType": "Nonsense"})
    assert refusal(source.post("", a_bundle(entry))) == (400, "HUB-REST-014")
    assert refusal(source.post("", a_bundle(get("Nonsense/1"))))[0] == 400


@pytest.mark.parametrize("entry", [None, 5, "x", [], {}])
def test_an_entry_that_is_none_is_400(source, entry):
    assert refusal(source.post("", a_bundle(entry))) == (400, "HUB-REST-014")


@pytest.mark.parametrize("entry", [{}, "x", 5, None])
def test_an_entry_list_that_is_none_is_400(source, entry):
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entry}
    assert refusal(source.post("", bundle)) == (400, "HUB-REST-014")


@pytest.mark.parametrize("full_url", [5, [], {}, None])
def test_a_full_url_that_is_no_text_is_400(source, full_url):
    entry = {**post(a_patient()), "fullUrl": full_url}
    assert refusal(source.post("", a_bundle(entry))) == (400, "HUB-REST-014")


def test_F13_one_resource_twice_is_400(author, source):
    url = urn()
    double = a_bundle(post(a_patient(), url), post(a_patient(), url))
    assert refusal(author.post("", double)) == (400, "HUB-REST-021")
    made = author.post("/Patient", a_patient()).json()
    twice = a_bundle(put(made), put(made))
    assert refusal(author.post("", twice)) == (400, "HUB-REST-021")
    both = a_bundle(put(made), delete(f"Patient/{made['id']}"))
    assert refusal(author.post("", both)) == (400, "HUB-REST-021")


def test_F13_a_nested_bundle_is_refused_unless_it_is_a_document(hub, source):
    nested = a_bundle(post(a_bundle()))
    assert refusal(source.post("", nested)) == (403, "HUB-AUTH-003")
    answer = a_caller(hub, HOSPITAL).post("", nested)
    assert refusal(answer) == (422, "HUB-REST-060")


def test_an_unknown_parameter_of_the_base_is_refused(source):
    answer = source.post("?identifier=a", a_referral())
    assert refusal(answer) == (400, "HUB-SEARCH-001")
    assert source.post("?_format=json", a_referral()).status_code == 200


def test_an_idempotency_key_does_not_fit_a_batch(source):
    answer = source.post("", a_bundle(type="batch"), headers={"Idempotency-Key": "a"})
    assert refusal(answer) == (400, "HUB-REST-018")


# All or nothing.


def test_F13_a_late_failure_rolls_back_and_is_audited_once(hub, source, centre):
    """The last step to fail: a Task move that does not exist, after two writes."""
    made = submit(source)
    child = child_of(centre, made)
    name = a_name()
    note = {
        **_NOTE,
        "subject": {"reference": made["Patient"]},
        "payload": [{"contentString": name}],
    }
    before, events = stored(hub), count(hub, "audit_event")
    bundle = a_bundle(
        post(note), post(note), put({**child, "status": "completed"}, ifMatch="1")
    )
    answer = centre.post("", bundle)
    assert refusal(answer) == (409, "HUB-REF-001")
    assert stored(hub) == before
    assert count(hub, "audit_event") == events + 1
    assert child_of(centre, made) == child


def test_A12_a_refused_transaction_is_one_audit_row_of_the_attempt(
    hub, source, privacy
):
    events = count(hub, "audit_event")
    assert source.post("", a_referral(task={"status": "draft"})).status_code == 422
    assert count(hub, "audit_event") == events + 1
    last = privacy.search(f"/AuditEvent?_count=1&agent={HOSPITAL}")[0]
    assert last["outcome"] == "4"
    assert last["outcomeDesc"] == "HUB-REF-010"
    assert last["subtype"][0]["code"] == "transaction"


def test_the_findings_of_all_entries_are_told_at_once(hub, source):
    before = stored(hub)
    bundle = a_referral(patient={"gender": "x"}, request={"status": "y"})
    answer = source.post("", bundle)
    assert answer.status_code == 422
    found = {e for i in answer.json()["issue"] for e in i["expression"]}
    assert "Bundle.entry[0].resource.gender" in found
    assert "Bundle.entry[3].resource.status" in found
    assert stored(hub) == before


# batch.


def test_F12_entries_of_a_batch_are_independent(author):
    kept = author.post("/Patient", a_patient()).json()
    bundle = a_bundle(
        post(a_patient()),
        post(a_patient(gender="x")),
        get("Patient/never-there"),
        put({**kept, "gender": "female"}),
        get(f"Patient/{kept['id']}"),
        delete("Patient/never-there"),
        get("Nonsense/1"),
        get("Patient?nonsense=1"),
        type="batch",
    )
    answer = author.post("", bundle)
    codes = ["201", "422", "404", "200", "200", "404", "404", "400"]
    assert _codes(answer) == codes
    entries = answer.json()["entry"]
    assert entries[4]["resource"]["gender"] == "female"
    for entry in entries:
        failed = entry["response"]["status"] >= "400"
        assert ("outcome" in entry["response"]) is failed


def test_F12_a_dependent_entry_of_a_batch_fails_alone(author):
    person = urn()
    note = {**_NOTE, "subject": {"reference": person}}
    bundle = a_bundle(post(a_patient(), person), post(note), type="batch")
    answer = author.post("", bundle)
    assert _codes(answer) == ["201", "422"]


def test_F12_each_entry_of_a_batch_has_its_own_audit_row(hub, source):
    made = submit(source)
    events = count(hub, "audit_event")
    bundle = a_bundle(
        get(made["Patient"]), get("Patient/x"), get(made["Task"]), type="batch"
    )
    assert _codes(source.post("", bundle)) == ["200", "404", "200"]
    assert count(hub, "audit_event") == events + 3


def test_F12_the_scope_is_asked_for_each_entry(hub, source):
    made = submit(source)
    reader = hub.caller(HOSPITAL, "source", scope="system/Patient.r")
    bundle = a_bundle(get(made["Patient"]), get(made["Task"]), type="batch")
    assert _codes(reader.post("", bundle)) == ["200", "403"]
    whole = {**bundle, "type": "transaction"}
    assert refusal(reader.post("", whole)) == (403, "HUB-AUTH-003")


def test_G4_hidden_and_absent_look_alike_in_a_batch(hub, source):
    made = submit(source)
    stranger = a_caller(hub, OTHER_HOSPITAL)

    def asked(id):
        request = {**a_request("Patient/x"), "id": id}
        return a_bundle(
            get(f"ServiceRequest/{id}"),
            put(request),
            delete(f"ServiceRequest/{id}"),
            type="batch",
        )

    id = made["ServiceRequest"].split("/")[1]
    hidden, absent = (stranger.post("", asked(i)) for i in (id, str(uuid.uuid4())))
    assert hidden.content == absent.content
    assert _codes(hidden) == ["404", "405", "404"]


def test_a_referral_inside_a_batch_is_no_referral(hub, source):
    """Its entries are acts of their own: case data needs a case."""
    before = stored(hub)
    answer = source.post("", {**a_referral(), "type": "batch"})
    assert all(code >= "400" for code in _codes(answer))
    assert stored(hub) == before


def test_prefer_in_a_transaction(author):
    bundle = a_bundle(post(a_patient()))
    whole = author.post("", bundle, headers={"Prefer": "return=representation"})
    assert whole.json()["entry"][0]["resource"]["resourceType"] == "Patient"
    told = author.post("", bundle, headers={"Prefer": "return=OperationOutcome"})
    outcome = told.json()["entry"][0]["response"]["outcome"]
    assert outcome["resourceType"] == "OperationOutcome"
    plain = author.post("", bundle)
    assert set(plain.json()["entry"][0]) == {"response"}


@pytest.mark.parametrize(
    "binary",
    [
        {"resourceType": "Binary", "contentType": "application/json", "data": "W10="},
        {"resourceType": "Parameters", "parameter": [{"name": "x"}]},
        {"resourceType": "Patient"},
        {"resourceType": "Binary", "contentType": "application/json-patch+json"},
    ],
)
def test_a_patch_entry_is_a_json_patch_or_a_path_patch(author, binary):
    made = author.post("/Patient", a_patient()).json()
    request = {"method": "PATCH", "url": f"Patient/{made['id']}"}
    answer = author.post("", a_bundle({"resource": binary, "request": request}))
    assert answer.status_code in (400, 415, 422)
    assert ids(answer)
    assert author.read(f"/Patient/{made['id']}") == made


def test_entry_of_finds_what_it_names():
    assert entry_of(a_referral(), "Task")["request"]["url"] == "Task"
