"""X-Provenance: stored with the version it speaks of, or nothing is (rest.md F17)."""

import json

import pytest

from tests.restful.build import (
    HOSPITAL,
    OTHER_HOSPITAL,
    a_bundle,
    a_caller,
    a_patient,
    case_of,
    child_of,
    count,
    get,
    refusal,
    stored,
    submit,
)
from tests.restful.patches import patch, replace


def _spoken(**over):
    return {
        "resourceType": "Provenance",
        "recorded": "2026-11-01T10:00:00+09:00",
        "agent": [{"who": {"reference": f"Organization/{HOSPITAL}"}}],
        **over,
    }


def _header(resource=None, **over):
    value = resource if isinstance(resource, bytes) else None
    return {"X-Provenance": value or json.dumps(resource or _spoken(**over)).encode()}


def _of(caller, reference):
    return caller.search(f"/Provenance?target={reference}")


def test_F17_the_provenance_of_each_write_is_stored_with_its_version(hub, source):
    made = submit(source)
    path = f"/{made['ServiceRequest']}"
    request = source.read(path)
    before = count(hub, "audit_event")
    answer = source.put(path, request, headers=_header())
    assert answer.status_code == 200, answer.text
    # The update and the Provenance are each recorded once.
    assert count(hub, "audit_event") == before + 2
    operation = patch(replace("ServiceRequest.intent", valueCode="plan"))
    answer = source.request("PATCH", path, json=operation, headers=_header())
    assert answer.status_code == 200, answer.text
    note = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": made["Patient"]},
    }
    answer = source.post("/Communication", note, headers=_header())
    assert answer.status_code == 201, answer.text
    targets = [
        target["reference"]
        for one in source.search(f"/Provenance?patient={made['Patient']}")
        if one["agent"][0]["who"]["reference"] == f"Organization/{HOSPITAL}"
        for target in one["target"]
    ] or [
        target["reference"]
        for reference in (path[1:], f"Communication/{answer.json()['id']}")
        for one in _of(source, reference)
        for target in one["target"]
    ]
    assert {t for t in targets if not t.startswith("Task")} >= {
        f"{path[1:]}/_history/2",
        f"{path[1:]}/_history/3",
        f"Communication/{answer.json()['id']}/_history/1",
    }


def test_F17_it_is_seen_by_those_who_see_what_it_speaks_of(source, centre, stranger):
    made = submit(source)
    request = source.read(f"/{made['ServiceRequest']}")
    source.put(f"/{made['ServiceRequest']}", request, headers=_header())
    (mine,) = _of(source, made["ServiceRequest"])
    assert _of(centre, made["ServiceRequest"]) == [mine]
    assert refusal(stranger.get(f"/Provenance/{mine['id']}")) == (404, "HUB-REST-001")


def test_F17_its_class_is_that_of_what_it_speaks_of(hub, source, centre):
    """What a desk writes about its own record stays in that record."""
    made = submit(source)
    child = child_of(centre, made)
    centre.move(centre.move(child, status="received"), status="accepted")
    note = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "架空"},
        "subject": {"reference": made["Patient"]},
    }
    answer = centre.post("/Observation", note, headers=_header())
    assert answer.status_code == 201, answer.text
    reference = f"Observation/{answer.json()['id']}"
    assert len(_of(centre, reference)) == 1
    every = a_caller(hub, HOSPITAL)
    assert every.get(f"/{reference}").status_code == 404
    assert _of(every, reference) == []


def test_F17_a_draft_has_its_provenance_too(drafting):
    author = a_caller(drafting, HOSPITAL)
    answer = author.post("/Patient", a_patient(), headers=_header())
    assert answer.status_code == 201
    reference = f"Patient/{answer.json()['id']}"
    (found,) = _of(author, reference)
    assert found["target"] == [{"reference": f"{reference}/_history/1"}]
    assert _of(a_caller(drafting, OTHER_HOSPITAL), reference) == []


def test_F17_japanese_in_the_header_is_utf_8(source):
    made = submit(source)
    path = f"/{made['ServiceRequest']}"
    who = [{"who": {"display": "架空 一郎"}}]
    raw = json.dumps(_spoken(agent=who), ensure_ascii=False).encode()
    answer = source.put(path, source.read(path), headers=_header(raw))
    assert answer.status_code == 200, answer.text
    (found,) = _of(source, path[1:])
    assert found["agent"] == who


@pytest.mark.parametrize(
    ("header", "id"),
    [
        (b"x", "HUB-REST-018"),
        (b"{}", "HUB-REST-018"),
        (b'{"resourceType":"Provenance","resourceType":"Provenance"}', "HUB-REST-018"),
        (json.dumps(a_patient()).encode(), "HUB-REST-018"),
        (
            json.dumps(_spoken(target=[{"reference": "Task/x"}])).encode(),
            "HUB-REST-018",
        ),
        (json.dumps(_spoken(recorded="yesterday")).encode(), "HUB-REST-044"),
        (json.dumps(_spoken(agent=[])).encode(), "HUB-REST-044"),
        (json.dumps(_spoken(nonsense=1)).encode(), "HUB-REST-044"),
        (b'{"resourceType":"Provenance"}', "HUB-REST-044"),
    ],
)
def test_F17_a_bad_header_is_400_and_stores_nothing(hub, source, header, id):
    made = submit(source)
    path = f"/{made['ServiceRequest']}"
    request, before = source.read(path), stored(hub)
    answer = source.put(path, request, headers=_header(header))
    assert refusal(answer) == (400, id), answer.text
    assert stored(hub) == before


def test_F17_when_the_write_fails_nothing_is_kept(hub, source):
    made = submit(source)
    path = f"/{made['ServiceRequest']}"
    request, before = source.read(path), stored(hub)
    stale = {**_header(), "If-Match": 'W/"9"'}
    assert refusal(source.put(path, request, headers=stale))[0] == 412
    wrong = {**request, "status": "nonsense"}
    assert source.put(path, wrong, headers=_header()).status_code == 422
    assert stored(hub) == before


def test_F17_when_the_provenance_fails_the_write_is_undone(hub, source, stranger):
    theirs = submit(stranger)
    made = submit(source)
    path = f"/{made['ServiceRequest']}"
    request, before = source.read(path), stored(hub)
    for who, id in (
        (theirs["Patient"], "HUB-REST-016"),
        ("Patient/never-there", "HUB-REST-016"),
        (submit(source)["Patient"], "HUB-REF-017"),
    ):
        before = stored(hub)
        header = _header(entity=[{"role": "source", "what": {"reference": who}}])
        answer = source.put(path, request, headers=header)
        assert refusal(answer) == (422, id), answer.text
        assert stored(hub) == before


def test_F17_of_a_directory_entry_there_is_none(hub):
    caller = a_caller(hub, HOSPITAL)
    before = stored(hub)
    entry = {"resourceType": "Organization", "name": "架空"}
    answer = caller.post("/Organization", entry, headers=_header())
    assert refusal(answer) == (400, "HUB-REST-045")
    assert stored(hub) == before


def test_F17_what_makes_no_version_takes_no_provenance(hub, source):
    made = submit(source)
    for answer in (
        source.get(f"/{made['Patient']}", headers=_header()),
        source.get("/Patient", headers=_header()),
        source.post("", a_bundle(get(made["Patient"])), headers=_header()),
        a_caller(hub, HOSPITAL).request(
            "DELETE", f"/{made['ServiceRequest']}", headers=_header()
        ),
    ):
        assert refusal(answer) == (400, "HUB-REST-018")


def test_RS8_the_letter_of_the_write_is_enough_but_not_for_a_post(hub, source):
    made = submit(source)
    narrow = a_caller(hub, HOSPITAL, scopes="system/ServiceRequest.ru")
    path = f"/{made['ServiceRequest']}"
    answer = narrow.put(path, narrow.read(path), headers=_header())
    assert answer.status_code == 200, answer.text
    assert case_of(source, made)
    answer = narrow.post("/Provenance", _spoken(target=[{"reference": path[1:]}]))
    assert refusal(answer) == (403, "HUB-AUTH-003")
