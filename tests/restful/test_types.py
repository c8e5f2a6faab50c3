"""Every type: anonymous 401, wrong scope 403, others' 404, and who sees what is made."""

import uuid

import pytest

from hub.disclosure.classes import PUBLIC_TYPES
from hub.restful.served import CASE_TYPES, LETTERS, SERVED
from tests.restful.build import (
    CENTRE,
    HOSPITAL,
    OTHER_HOSPITAL,
    a_bundle,
    a_caller,
    a_referral,
    get,
    post,
    refusal,
    submit,
)
from tests.restful.least import LEAST, bound, least

ALL = sorted(SERVED)
# Those a client adds to a case; the others come with the referral or from the hub.
ADDED = sorted(
    name
    for name in CASE_TYPES
    if "create" in CASE_TYPES[name]
    and name not in ("Patient", "Task", "Consent", "ServiceRequest")
)
# What a centre tells the sender; the rest of its writings is its own record.
TOLD = ("Bundle", "Communication", "Composition", "RelatedPerson")


@pytest.fixture(scope="module")
def hospital(hub):
    return a_caller(hub, HOSPITAL)


@pytest.fixture(scope="module")
def desk(hub):
    return a_caller(hub, CENTRE, "recipient")


@pytest.fixture(scope="module")
def made(hospital):
    return submit(hospital)


def _of(caller, kind, person):
    """A resource of the person's case."""
    base = f"{str(caller.http.base_url).rstrip('/')}/fhir/R4"
    return least(kind, **bound(kind, person, base))


def _add(caller, kind, made):
    answer = caller.post(f"/{kind}", _of(caller, kind, made["Patient"]))
    assert answer.status_code == 201, answer.text
    return answer.json()


def _calls(kind, caller):
    """{interaction: call} at the routes of a type, on an id that does not exist."""
    body = least(kind, id="x")
    return {
        "read": lambda: caller("GET", f"/{kind}/x"),
        "vread": lambda: caller("GET", f"/{kind}/x/_history/1"),
        "history-instance": lambda: caller("GET", f"/{kind}/x/_history"),
        "search-type": lambda: caller("GET", f"/{kind}"),
        "create": lambda: caller("POST", f"/{kind}", json=body),
        "update": lambda: caller("PUT", f"/{kind}/x", json=body),
        "patch": lambda: caller(
            "PATCH",
            f"/{kind}/x",
            content=b"[]",
            headers={"Content-Type": "application/json-patch+json"},
        ),
        "delete": lambda: caller("DELETE", f"/{kind}/x"),
    }


@pytest.mark.parametrize("kind", ALL)
def test_RS7_every_type_asks_for_a_token(hub, kind):
    def anonymous(method, path, **kwargs):
        return hub.http.request(method, f"/fhir/R4{path}", **kwargs)

    for call in _calls(kind, anonymous).values():
        assert refusal(call()) == (401, "HUB-AUTH-001")


@pytest.mark.parametrize("kind", ALL)
def test_RS8_each_interaction_of_a_type_needs_its_letter(hub, kind):
    other = "Location" if kind != "Location" else "Endpoint"
    for letter in "cruds":
        without = "".join(one for one in "cruds" if one != letter)
        scopes = f"system/{kind}.{without} system/{other}.cruds"
        caller = a_caller(hub, HOSPITAL, scopes=scopes)
        for interaction, call in _calls(kind, caller.request).items():
            if LETTERS[interaction] == letter and interaction in SERVED[kind]:
                assert refusal(call()) == (403, "HUB-AUTH-003"), interaction


@pytest.mark.parametrize("kind", ALL)
def test_D13_each_interaction_a_type_lacks_is_405_with_allow(hospital, kind):
    for interaction, call in _calls(kind, hospital.request).items():
        if interaction not in SERVED[kind]:
            answer = call()
            assert refusal(answer) == (405, "HUB-REST-004"), interaction
            assert answer.request.method not in answer.headers["Allow"].split(", ")


def test_the_star_scope_reads_every_type_but_the_log(hub):
    caller = a_caller(hub, HOSPITAL, scopes="system/*.rs")
    for kind in ALL:
        if "search-type" not in SERVED[kind]:
            continue
        status = 403 if kind == "AuditEvent" else 200
        assert caller.get(f"/{kind}?_count=1").status_code == status, kind
        if "create" in SERVED[kind]:
            refused = caller.post(f"/{kind}", least(kind))
            assert refusal(refused) == (403, "HUB-AUTH-003")


def _asked(caller, kind, id):
    body = least(kind, id=id)
    patch = b'[{"op":"test","path":"/id","value":"1"}]'
    json_patch = {"Content-Type": "application/json-patch+json"}
    path = f"/{kind}/{id}"
    yield caller.get(path)
    yield caller.get(path, headers={"If-None-Match": 'W/"1"'})
    yield caller.get(f"{path}?_summary=text")
    yield caller.get(f"{path}/_history/1")
    yield caller.get(f"{path}/_history")
    yield caller.request("HEAD", path)
    yield caller.put(path, body)
    yield caller.request("PATCH", path, content=patch, headers=json_patch)
    yield caller.request("DELETE", path)
    yield caller.get(f"/{kind}?_id={id}")
    yield caller.post("", a_bundle(get(f"{kind}/{id}")))


def _seen(answer, id):
    left_out = ("date", "x-request-id")
    headers = {k: v for k, v in answer.headers.items() if k not in left_out}
    return answer.status_code, headers, answer.text.replace(id, "ID")


@pytest.mark.parametrize("kind", ADDED)
def test_G4_what_is_added_to_a_case_is_absent_for_others(hub, hospital, made, kind):
    id, unknown = _add(hospital, kind, made)["id"], str(uuid.uuid4())
    stranger = a_caller(hub, OTHER_HOSPITAL)
    hidden = [_seen(answer, id) for answer in _asked(stranger, kind, id)]
    absent = [_seen(answer, unknown) for answer in _asked(stranger, kind, unknown)]
    assert hidden == absent
    assert hidden[0][0] == 404
    assert hospital.get(f"/{kind}/{id}").status_code == 200


@pytest.mark.parametrize("kind", ADDED)
def test_G1_the_desk_sees_what_the_sender_adds(desk, hospital, made, kind):
    id = _add(hospital, kind, made)["id"]
    assert desk.get(f"/{kind}/{id}").status_code == 200
    if "search-type" in SERVED[kind]:
        assert len(desk.search(f"/{kind}?_id={id}")) == 1


@pytest.mark.parametrize("kind", ADDED)
def test_KG16_what_a_desk_adds_is_its_record_unless_it_tells(
    desk, hospital, made, kind
):
    id = _add(desk, kind, made)["id"]
    status = 200 if kind in TOLD else 404
    assert hospital.get(f"/{kind}/{id}").status_code == status
    if "search-type" in SERVED[kind]:
        found = hospital.search(f"/{kind}?_id={id}")
        assert len(found) == (1 if kind in TOLD else 0)


@pytest.mark.parametrize("kind", ADDED)
def test_nothing_is_added_without_a_case_or_to_another_person(hospital, kind):
    refused = hospital.post(f"/{kind}", least(kind))
    if kind == "MeasureReport":
        assert refused.status_code == 201  # a summary: its author's own
    else:
        assert refusal(refused) == (403, "HUB-CON-012")
    one, other = submit(hospital), submit(hospital)
    mixed = _of(hospital, kind, one["Patient"])
    extension = {"url": "https://else.example/x"}
    mixed["extension"] = [
        {**extension, "valueReference": {"reference": other["Patient"]}}
    ]
    if kind not in ("Binary", "Bundle"):  # these have no extensions
        assert refusal(hospital.post(f"/{kind}", mixed)) == (422, "HUB-REF-017")


@pytest.mark.parametrize("kind", ADDED)
def test_G5_a_reference_to_a_hidden_person_is_one_to_nobody(hub, hospital, made, kind):
    stranger = a_caller(hub, OTHER_HOSPITAL)
    answers = [
        stranger.post(f"/{kind}", _of(stranger, kind, person))
        for person in (made["Patient"], f"Patient/{uuid.uuid4()}")
    ]
    assert answers[0].status_code in (403, 422)
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("kind", ADDED)
def test_what_is_in_a_case_is_not_deleted(hospital, made, kind):
    id = _add(hospital, kind, made)["id"]
    answer = hospital.request("DELETE", f"/{kind}/{id}")
    assert refusal(answer) == (409, "HUB-REF-016")


@pytest.mark.parametrize("kind", ADDED)
def test_a_stranger_to_the_authorship_changes_nothing(desk, hospital, made, kind):
    if "update" not in SERVED[kind]:
        pytest.skip("never changed by anybody")
    stored = _add(hospital, kind, made)
    answer = desk.put(f"/{kind}/{stored['id']}", stored)
    assert refusal(answer) == (403, "HUB-REF-019")
    assert hospital.put(f"/{kind}/{stored['id']}", stored).status_code == 200


@pytest.mark.parametrize("kind", ["Appointment", "FamilyMemberHistory", "List"])
def test_a_referral_brings_the_new_types_along(hub, hospital, desk, kind):
    bundle = a_referral()
    person = bundle["entry"][0]["fullUrl"]
    bundle["entry"].append(post(_of(hospital, kind, person)))
    found = submit(hospital, bundle)
    assert desk.get(f"/{found[kind]}").status_code == 200


@pytest.mark.parametrize("kind", sorted(PUBLIC_TYPES))
def test_what_everybody_reads_holds_no_case(hospital, made, kind):
    url = f"https://else.example/fhir/{kind}/{uuid.uuid4()}"
    own = {"url": url} if "url" in LEAST[kind] else {}
    person = {"resourceType": "Patient", "id": "p", "name": [{"text": "架空"}]}
    inside = least(kind, contained=[person], **own)
    inside["extension"] = [
        {"url": "https://else.example/x", "valueReference": {"reference": "#p"}}
    ]
    refused = hospital.post(f"/{kind}", inside)
    assert refusal(refused) == (422, "HUB-REST-063")
    to = {"reference": made["Patient"]}
    named = least(kind, **own)
    named["extension"] = [{"url": "https://else.example/x", "valueReference": to}]
    assert refusal(hospital.post(f"/{kind}", named)) == (422, "HUB-REST-063")
    answer = hospital.post(f"/{kind}", least(kind, **own))
    assert answer.status_code == 201, answer.text
    changed = {**answer.json(), "extension": named["extension"]}
    path = f"/{kind}/{changed['id']}"
    assert refusal(hospital.put(path, changed)) == (422, "HUB-REST-063")
