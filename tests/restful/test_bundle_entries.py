"""What an entry of a Bundle may ask, and how links in it are resolved (F11-F13)."""

import uuid

import pytest

from hub.fhir.json import decode
from hub.validation import validate
from tests.restful.build import (
    HOSPITAL,
    OTHER_HOSPITAL,
    a_bundle,
    a_caller,
    a_patient,
    child_of,
    count,
    delete,
    get,
    locations,
    post,
    put,
    refusal,
    stored,
    submit,
    urn,
)

_NOTE = {"resourceType": "Communication", "status": "completed"}


@pytest.fixture
def author(drafting):
    return a_caller(drafting, HOSPITAL)


def _entries(answer):
    assert answer.status_code == 200, answer.text
    bundle = decode(answer.content, 100)
    assert not [i for i in validate(bundle) if i.severity == "error"]
    return answer.json()["entry"]


def _codes(answer):
    return [entry["response"]["status"][:3] for entry in _entries(answer)]


def _head(url, **request):
    return {"request": {"method": "HEAD", "url": url, **request}}


# Reads.


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_F13_entries_search_a_compartment_and_several_types(source, stranger, kind):
    made = submit(source)
    patient, order = made["Patient"], made["ServiceRequest"]
    urls = (
        f"{patient}/ServiceRequest?status=active",
        f"{patient}/*?_type=ServiceRequest,Consent",
        f"?_type=Patient,ServiceRequest&_id={patient.split('/')[1]}",
    )
    bundle = a_bundle(*(get(url) for url in urls), type=kind)
    answered = [one["resource"] for one in _entries(source.post("", bundle))]
    for url, found in zip(urls, answered, strict=True):
        alone = source.get(f"/{url}").json()
        assert {**found, "link": None} == {**alone, "link": None}, url
        assert found["link"][0] == alone["link"][0]
    assert [one["resource"]["id"] for one in answered[0]["entry"]] == [
        order.split("/")[1]
    ]
    hidden = [one["resource"] for one in _entries(stranger.post("", bundle))]
    assert [one["total"] for one in hidden] == [0, 0, 0]


def test_RS8_a_search_in_a_bundle_needs_the_scope_of_its_type(hub, source):
    patient = submit(source)["Patient"]
    narrow = a_caller(hub, HOSPITAL, scopes="system/Patient.rs")
    wider = a_bundle(
        get(f"{patient}/ServiceRequest"), get("?_type=Patient,Task"), type="batch"
    )
    assert _codes(narrow.post("", wider)) == ["403", "403"]
    for entry in wider["entry"]:
        assert refusal(narrow.post("", a_bundle(entry))) == (403, "HUB-AUTH-003")


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_F13_entries_read_versions_histories_and_parts(source, kind):
    made = submit(source)
    path = made["ServiceRequest"]
    source.put(f"/{path}", {**source.read(f"/{path}"), "priority": "urgent"})
    answer = source.post(
        "",
        a_bundle(
            get(f"{path}/_history/1"),
            get(f"{path}/_history"),
            get("ServiceRequest/_history?_count=1"),
            get("_history?_count=2"),
            get(f"{path}?_elements=status"),
            get(f"{path}?_summary=text"),
            _head(path),
            get(f"Task?_count=1&_include=Task:patient&part-of={made['Task']}"),
            type=kind,
        ),
    )
    assert _codes(answer) == ["200"] * 8
    first, versions, of_type, of_all, part, text, head, found = _entries(answer)
    assert "priority" not in first["resource"]
    assert first["response"]["etag"] == 'W/"1"'
    assert versions["resource"]["type"] == "history"
    assert versions["resource"]["total"] == 2
    assert of_type["resource"]["entry"][0]["fullUrl"].endswith(path)
    assert len(of_all["resource"]["entry"]) == 2
    assert part["resource"].keys() >= {"status", "meta"}
    assert "priority" not in part["resource"]
    assert text["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "resource" not in head
    assert head["response"]["etag"] == 'W/"2"'
    modes = [e["search"]["mode"] for e in found["resource"]["entry"]]
    assert modes == ["match", "include"]


def test_a_conditional_read_in_a_bundle_is_304(source):
    path = submit(source)["Patient"]
    moment = source.read(f"/{path}")["meta"]["lastUpdated"]
    answer = source.post(
        "",
        a_bundle(
            get(path, ifNoneMatch='W/"1"'),
            get(path, ifModifiedSince=moment),
            get(path, ifModifiedSince="2020-01-01T00:00:00Z"),
            get(path, ifNoneMatch='W/"2"', ifModifiedSince=moment),
            _head(path, ifNoneMatch='W/"1"'),
        ),
    )
    assert _codes(answer) == ["304", "304", "200", "200", "304"]
    wrong = a_bundle(get(path, ifModifiedSince="yesterday"), type="batch")
    assert _codes(source.post("", wrong)) == ["400"]


def test_F17_each_read_of_a_bundle_is_recorded_as_what_it_is(hub, source):
    path = submit(source)["ServiceRequest"]
    before = count(hub, "audit_event")
    source.post("", a_bundle(get(path), _head(path), get(f"{path}/_history/1")))
    assert count(hub, "audit_event") == before + 3


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "GET", "url": "_history/1"},
        {"method": "GET", "url": "Patient/_history/1"},
        {"method": "GET", "url": "$export"},
        {"method": "DELETE", "url": "Patient/1/_history/1"},
        {"method": "DELETE", "url": "Patient"},
        {"method": "DELETE", "url": "Patient/1?x=y"},
        {"method": "DELETE", "url": "Patient/1", "ifNoneMatch": "1"},
        {"method": "DELETE", "url": "Patient/1", "ifNoneExist": "a=b"},
        {"method": "GET", "url": "Patient/1", "ifMatch": "1"},
        {"method": "GET", "url": "Patient/1", "ifNoneExist": "a=b"},
    ],
)
def test_F13_what_would_be_ignored_or_leads_nowhere_is_400(source, request_):
    answer = source.post("", a_bundle({"request": request_}))
    assert refusal(answer) == (400, "HUB-REST-014")


def test_F12_what_fails_in_a_batch_is_recorded_as_what_it_asked(hub, source, privacy):
    entries = (
        get("Patient/x/_history"),
        get("Nonsense/_history"),
        get("Patient/x/_history/7"),
    )
    answer = source.post("", a_bundle(*entries, type="batch"))
    assert _codes(answer) == ["404", "404", "404"]
    events = privacy.search(f"/AuditEvent?_count=3&agent={HOSPITAL}")
    found = sorted(e["subtype"][0]["code"] for e in events)
    assert found == ["history-instance", "history-type", "vread"]


# Links.


def test_F11_links_that_are_no_references_are_rewritten_too(author):
    person, paper = urn(), urn()
    note = {
        **_NOTE,
        "extension": [
            {"url": "https://else.example/a", "valueUri": person},
            {"url": "https://else.example/b", "valueString": person},
        ],
        "payload": [{"contentAttachment": {"url": paper, "title": paper}}],
    }
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"contentType": "text/plain", "data": "eA=="}}],
    }
    made = locations(
        author.post(
            "", a_bundle(post(note), post(a_patient(), person), post(document, paper))
        )
    )
    read = author.read(f"/{made['Communication']}")
    assert read["extension"][0]["valueUri"] == made["Patient"]
    # Text stays text, whatever it looks like.
    assert read["extension"][1]["valueString"] == person
    attachment = read["payload"][0]["contentAttachment"]
    assert attachment == {"url": made["DocumentReference"], "title": paper}


def test_F11_relative_references_follow_the_full_urls_they_came_with(author):
    """A Bundle copied from another server: its ids are that server's (R4 bundle)."""
    theirs = "https://else.example/fhir"
    note = {**_NOTE, "subject": {"reference": "Patient/17"}}
    bundle = a_bundle(
        post(note, f"{theirs}/Communication/3"),
        post(a_patient(), f"{theirs}/Patient/17"),
    )
    made = locations(author.post("", bundle))
    read = author.read(f"/{made['Communication']}")
    assert read["subject"] == {"reference": made["Patient"]}
    alone = author.post("", a_bundle(post(note, f"{theirs}/Communication/4")))
    assert refusal(alone) == (422, "HUB-REST-016")


def test_F11_a_conditional_reference_in_an_extension_resolves(author):
    number = str(uuid.uuid4())
    identifier = [{"system": "urn:x-test", "value": number}]
    person = author.post("/Patient", a_patient(identifier=identifier)).json()
    asked = {"reference": f"Patient?identifier=urn:x-test|{number}"}
    deep = {"url": "https://else.example/b", "valueReference": asked}
    note = {
        **_NOTE,
        "extension": [{"url": "https://else.example/a", "extension": [deep]}],
        "subject": asked,
    }
    made = locations(author.post("", a_bundle(post(note))))
    read = author.read(f"/{made['Communication']}")
    own = {"reference": f"Patient/{person['id']}"}
    assert read["subject"] == own
    assert read["extension"][0]["extension"][0]["valueReference"] == own


def test_AB5_a_conditional_entry_matches_only_what_is_seen(drafting, author):
    number = str(uuid.uuid4())
    identifier = [{"system": "urn:x-test", "value": number}]
    theirs = a_caller(drafting, OTHER_HOSPITAL)
    hidden = theirs.post("/Patient", a_patient(identifier=identifier)).json()
    query = f"identifier=urn:x-test|{number}"
    new = post(a_patient(identifier=identifier), ifNoneExist=query)
    answer = author.post("", a_bundle(new, delete(f"Communication?{query}")))
    assert _codes(answer) == ["201", "204"]
    assert theirs.read(f"/Patient/{hidden['id']}") == hidden


# Order and failure.


def test_F11_whatever_the_order_given_deletes_come_first_and_reads_last(author):
    number = str(uuid.uuid4())
    identifier = [{"system": "urn:x-test", "value": number}]
    old = author.post("/Communication", {**_NOTE, "identifier": identifier}).json()
    kept = author.post("/Patient", a_patient()).json()
    person = urn()
    answer = author.post(
        "",
        a_bundle(
            get(f"Communication?identifier=urn:x-test|{number}"),
            put({**kept, "gender": "other"}),
            get(f"Patient/{kept['id']}"),
            post({**_NOTE, "subject": {"reference": person}}),
            post(a_patient(), person),
            delete(f"Communication?identifier=urn:x-test|{number}"),
        ),
    )
    assert _codes(answer) == ["200", "200", "200", "201", "201", "204"]
    entries = _entries(answer)
    assert entries[0]["resource"]["total"] == 0
    assert entries[2]["resource"]["gender"] == "other"
    assert author.get(f"/Communication/{old['id']}").status_code == 410


@pytest.mark.parametrize("last", ["get", "delete", "patch"])
def test_F13_a_late_failure_undoes_what_came_before(drafting, author, last):
    kept = author.post("/Patient", a_patient()).json()
    entries = {
        "get": get(f"Patient/{uuid.uuid4()}"),
        "delete": delete(f"Patient/{kept['id']}", ifMatch='W/"9"'),
        "patch": {
            "resource": {"resourceType": "Parameters"},
            "request": {"method": "PATCH", "url": f"Patient/{uuid.uuid4()}"},
        },
    }
    before, events = stored(drafting), count(drafting, "audit_event")
    answer = author.post("", a_bundle(post(a_patient()), entries[last]))
    assert refusal(answer)[0] in (404, 412)
    assert stored(drafting) == before
    assert count(drafting, "audit_event") == events + 1


def test_F13_without_a_token_the_whole_is_401(hub):
    before = stored(hub)
    answer = hub.http.post("/fhir/R4", json=a_bundle(post(a_patient())))
    assert refusal(answer) == (401, "HUB-AUTH-001")
    assert stored(hub) == before


def test_F12_a_batch_answers_every_entry_in_its_place(author):
    made = author.post("/Patient", a_patient()).json()
    entries = [
        get(f"Patient/{made['id']}"),
        get("Patient/never-there"),
        post(a_patient()),
        put({**made, "id": "never-there"}),
        delete("Communication?_id=x"),
        get("Patient?nonsense=1"),
    ]
    answer = author.post("", a_bundle(*entries, type="batch"))
    assert _codes(answer) == ["200", "404", "201", "405", "204", "400"]


def test_F11_a_hidden_task_is_as_one_that_is_not_there(source, stranger, centre):
    child = child_of(centre, submit(source))
    hidden = stranger.post("", a_bundle(get(f"Task/{child['id']}/_history")))
    absent = stranger.post("", a_bundle(get(f"Task/{uuid.uuid4()}/_history")))
    assert hidden.content == absent.content
    assert hidden.status_code == absent.status_code == 404
