"""Each route: anonymous, wrong scope, another organisation's data (RS1-RS6, G4, AB1)."""

import json
import uuid

import pytest

from hub.smart import clients
from tests.restful.build import (
    CENTRE,
    HOSPITAL,
    OTHER_HOSPITAL,
    a_bundle,
    a_caller,
    a_patient,
    a_referral,
    case_of,
    child_of,
    get,
    refusal,
    submit,
)
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key

# Every route of the API but /metadata, with a body where one is needed.
ROUTES = [
    ("POST", ""),
    ("POST", "/"),
    ("POST", "/HealthcareService/$route"),
    ("GET", "/EpisodeOfCare/x/$explain-access"),
    ("GET", "/Patient/x/$disclosures"),
    ("POST", "/Patient/_search"),
    ("GET", "/Patient/x/_history/1"),
    ("GET", "/Patient/x/_history"),
    ("GET", "/Patient/_history"),
    ("GET", "/_history"),
    ("GET", "/Patient/x"),
    ("HEAD", "/Patient/x"),
    ("PUT", "/Patient/x"),
    ("PATCH", "/Patient/x"),
    ("DELETE", "/Patient/x"),
    ("GET", "/Patient"),
    ("POST", "/Patient"),
    ("PUT", "/Patient?identifier=a"),
    ("PATCH", "/Patient?identifier=a"),
    ("DELETE", "/Patient?identifier=a"),
    ("GET", "/AuditEvent"),
    ("GET", "/AuditEvent/x"),
    ("POST", "/intake/yoshiki1"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_RS1_RS7_without_a_token_every_route_is_401(hub, method, path):
    url = path if path.startswith("/intake") else f"/fhir/R4{path}"
    answer = hub.http.request(method, url, content=b"{}")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    if method != "HEAD":
        assert refusal(answer) == (401, "HUB-AUTH-001")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_RS2_with_a_garbage_token_every_route_is_401(hub, method, path):
    url = path if path.startswith("/intake") else f"/fhir/R4{path}"
    header = {"Authorization": f"Bearer {uuid.uuid4()}"}
    answer = hub.http.request(method, url, content=b"{}", headers=header)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_RS4_a_token_in_the_query_or_the_form_is_ignored(hub, source):
    answer = hub.http.get(f"/fhir/R4/Patient?access_token={source.token}")
    assert answer.status_code == 401
    form = {"access_token": source.token}
    assert hub.http.post("/fhir/R4/Patient/_search", data=form).status_code == 401


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_RS5_the_scheme_is_case_insensitive(hub, source, scheme):
    header = {"Authorization": f"{scheme} {source.token}"}
    assert hub.http.get("/fhir/R4/Patient", headers=header).status_code == 200


def test_RS6_two_authorization_headers_are_refused(hub, source):
    header = [("Authorization", f"Bearer {source.token}")] * 2
    answer = hub.http.get("/fhir/R4/Patient", headers=header)
    assert refusal(answer) == (400, "HUB-AUTH-004")


def test_R1_R5_a_token_stops_at_the_next_call_of_the_api(hub):
    for stop in (_revoke, _disable):
        caller = a_caller(hub, HOSPITAL)
        assert caller.get("/Patient").status_code == 200
        stop(hub, caller)
        assert refusal(caller.get("/Patient")) == (401, "HUB-AUTH-002")


def _revoke(hub, caller):
    form = {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(
            caller.client_id, ec_key(), hub.settings.token_url
        ),
        "token": caller.token,
    }
    assert hub.http.post("/oauth/revoke", data=form).status_code == 200


def _disable(hub, caller):
    with hub.database.transaction() as session:
        clients.disable(session, caller.client_id)


BODY = json.dumps(a_patient(id="x")).encode()
PATCH = {"Content-Type": "application/json-patch+json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "path", "content", "headers"),
    [
        ("GET", "/Patient/x", b"", {}),
        ("GET", "/Patient/x/_history/1", b"", {}),
        ("GET", "/Patient/x/_history", b"", {}),
        ("GET", "/Patient/_history", b"", {}),
        ("GET", "/_history", b"", {}),
        ("GET", "/Patient", b"", {}),
        ("POST", "/Patient/_search", b"", FORM),
        ("POST", "/Patient", BODY, {}),
        ("PUT", "/Patient/x", BODY, {}),
        ("PUT", "/Patient?identifier=a", BODY, {}),
        ("PATCH", "/Patient/x", b"[]", PATCH),
        ("PATCH", "/Patient?identifier=a", b"[]", PATCH),
        ("DELETE", "/Patient/x", b"", {}),
        ("DELETE", "/Patient?identifier=a", b"", {}),
        ("POST", "", json.dumps(a_bundle(get("_history"))).encode(), {}),
        ("POST", "", json.dumps(a_bundle(get("Patient/_history"))).encode(), {}),
        ("POST", "", json.dumps(a_bundle(get("Patient/x"))).encode(), {}),
        ("GET", "/AuditEvent", b"", {}),
        ("GET", "/AuditEvent/x", b"", {}),
        ("GET", "/EpisodeOfCare/x/$explain-access", b"", {}),
        ("GET", "/Patient/x/$disclosures", b"", {}),
        ("POST", "/intake/yoshiki1", b"", {}),
    ],
)
def test_RS3_without_its_scope_a_route_is_403(hub, method, path, content, headers):
    reader = hub.caller(HOSPITAL, "directory", scope="system/Location.r")
    answer = reader.request(method, path, content=content, headers=headers)
    assert refusal(answer) == (403, "HUB-AUTH-003")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'


def test_RS3_the_route_operation_needs_to_read_services(hub):
    reader = hub.caller(HOSPITAL, "directory", scope="system/Location.r")
    answer = reader.post("/HealthcareService/$route", {"resourceType": "Parameters"})
    assert refusal(answer) == (403, "HUB-AUTH-003")


@pytest.mark.parametrize("letter", "crus")
def test_RS8_one_letter_opens_its_interactions_and_no_other(hub, letter):
    caller = hub.caller(HOSPITAL, "source", scope=f"system/Patient.{letter}")
    asked = {
        "r": [
            caller.get("/Patient/x"),
            caller.get("/Patient/x/_history"),
            caller.get("/Patient/x/_history/1"),
        ],
        "s": [
            caller.get("/Patient"),
            caller.get("/Patient/_history"),
            caller.request("POST", "/Patient/_search", headers=FORM),
        ],
        "c": [caller.post("/Patient", a_patient())],
        "u": [
            caller.put("/Patient/x", a_patient(id="x")),
            caller.request(
                "PATCH", "/Patient/x", content=b'[{"op":"add"}]', headers=PATCH
            ),
        ],
        "d": [caller.request("DELETE", "/Patient/x")],
    }
    for wanted, answers in asked.items():
        for answer in answers:
            refused = answer.status_code == 403 and refusal(answer)[1] == "HUB-AUTH-003"
            assert refused is (wanted != letter), (wanted, answer.text)


def test_RS8_conditional_forms_need_the_search_letter(hub):
    caller = hub.caller(HOSPITAL, "source", scope="system/Patient.cu")
    header = {"If-None-Exist": "identifier=a|b"}
    answers = [
        caller.post("/Patient", a_patient(), headers=header),
        caller.put("/Patient?identifier=a|b", a_patient()),
        caller.post(
            "",
            a_bundle(
                {
                    "resource": a_patient(),
                    "request": {
                        "method": "POST",
                        "url": "Patient",
                        "ifNoneExist": "identifier=a|b",
                    },
                }
            ),
        ),
    ]
    for answer in answers:
        assert refusal(answer) == (403, "HUB-AUTH-003"), answer.text


def test_G3_a_chain_into_a_type_outside_the_scope_is_403(hub):
    caller = hub.caller(HOSPITAL, "source", scope="system/Task.s")
    for path in (
        "/Task?patient.name=a",
        "/Task?_include=Task:patient",
        "/Task?_revinclude=Provenance:target",
        "/Task?_has:Provenance:target:_id=a",
    ):
        assert refusal(caller.get(path)) == (403, "HUB-AUTH-003"), path


def _requests(caller, kind, id):
    """Every way to ask for one resource, each with what it answered."""
    body = {"resourceType": kind, "id": id}
    patch = b'[{"op":"test","path":"/id","value":"1"}]'
    yield caller.get(f"/{kind}/{id}")
    yield caller.get(f"/{kind}/{id}", headers={"If-None-Match": 'W/"1"'})
    yield caller.get(
        f"/{kind}/{id}", headers={"If-Modified-Since": "Thu, 01 Jan 2099 00:00:00 GMT"}
    )
    yield caller.get(f"/{kind}/{id}?_summary=text")
    yield caller.get(f"/{kind}/{id}/_history/1")
    yield caller.get(f"/{kind}/{id}/_history")
    yield caller.get(f"/{kind}/{id}/_history?_since=2020")
    yield caller.request("HEAD", f"/{kind}/{id}")
    yield caller.put(f"/{kind}/{id}", body)
    yield caller.put(f"/{kind}/{id}", body, headers={"If-Match": 'W/"1"'})
    yield caller.request("PATCH", f"/{kind}/{id}", content=patch, headers=PATCH)
    yield caller.request(
        "PATCH", f"/{kind}/{id}", content=patch, headers={**PATCH, "If-Match": "9"}
    )
    yield caller.request("DELETE", f"/{kind}/{id}")
    yield caller.request("DELETE", f"/{kind}/{id}", headers={"If-Match": "9"})
    yield caller.post("", a_bundle(get(f"{kind}/{id}")))
    yield caller.post("", a_bundle(get(f"{kind}/{id}"), type="batch"))
    yield caller.get(f"/{kind}?_id={id}")
    yield caller.post("", a_bundle(get(f"{kind}/{id}/_history"), type="batch"))
    yield caller.post("", a_bundle(get(f"{kind}/{id}/_history/1"), type="batch"))
    by_condition = f"/{kind}?_id={id}"
    tag = {**PATCH, "If-Match": "9"}
    yield caller.request("PATCH", by_condition, content=patch, headers=tag)
    yield caller.request("DELETE", by_condition, headers={"If-Match": "9"})
    yield caller.request("DELETE", by_condition)
    yield caller.get(f"/EpisodeOfCare/{id}/$explain-access")
    yield caller.get(f"/Patient/{id}/$disclosures")


def _seen(answer, id):
    """All a caller can see of an answer, but for the id asked and the moment."""
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("date", "x-request-id")
    }
    return answer.status_code, headers, answer.text.replace(id, "ID")


KINDS = ["Patient", "QuestionnaireResponse", "Consent", "ServiceRequest", "Task"]


@pytest.mark.parametrize("kind", [*KINDS, "EpisodeOfCare"])
def test_G4_AB1_hidden_is_the_bytes_of_never_existing(hub, source, stranger, kind):
    made = submit(source)
    id = made[kind].split("/")[1] if kind in made else case_of(source, made)["id"]
    caller = a_caller(hub, OTHER_HOSPITAL)
    unknown = str(uuid.uuid4())
    hidden = [_seen(a, id) for a in _requests(caller, kind, id)]
    absent = [_seen(a, unknown) for a in _requests(caller, kind, unknown)]
    for one, other in zip(hidden, absent, strict=True):
        assert one == other
    assert hidden[0][0] == 404
    assert 403 not in {one[0] for one in hidden}
    assert 405 in {one[0] for one in hidden}
    # What was hidden is unchanged, and there for its owner.
    assert source.get(f"/{kind}/{id}").status_code == 200


def test_AB9_a_put_to_an_unknown_id_of_a_case_type_is_405_with_allow(source):
    answer = source.put("/Patient/never-there", a_patient(id="never-there"))
    assert refusal(answer) == (405, "HUB-REST-004")
    assert "PUT" not in answer.headers["Allow"]
    assert "GET" in answer.headers["Allow"]


def test_AB5_a_reference_to_a_hidden_resource_is_as_one_to_nothing(source, stranger):
    hidden = submit(source)["Patient"]
    answers = []
    for reference in (hidden, f"Patient/{uuid.uuid4()}"):
        bundle = a_referral(request={"supportingInfo": [{"reference": reference}]})
        answers.append(stranger.post("", bundle))
    assert refusal(answers[0]) == (422, "HUB-REST-016")
    assert answers[0].content == answers[1].content


def test_AB5_a_conditional_reference_matches_only_what_is_seen(source, stranger):
    number = str(uuid.uuid4())
    identifier = [{"system": "urn:x-test", "value": number}]
    submit(source, a_referral(patient={"identifier": identifier}))
    query = f"Patient?identifier=urn:x-test|{number}"
    bundle = a_referral(request={"supportingInfo": [{"reference": query}]})
    other = f"Patient?identifier=urn:x-test|{uuid.uuid4()}"
    nothing = a_referral(request={"supportingInfo": [{"reference": other}]})
    hidden, absent = stranger.post("", bundle), stranger.post("", nothing)
    assert refusal(hidden) == (422, "HUB-REST-016")
    assert hidden.content == absent.content


def test_AB11_a_closed_grant_hides_at_once(hub, source, centre):
    made = submit(source)
    assert centre.get(f"/{made['Patient']}").status_code == 200
    consent = source.read(f"/{made['Consent']}")
    consent["status"] = "inactive"
    assert source.put(f"/{made['Consent']}", consent).status_code == 200
    assert centre.get(f"/{made['Patient']}").status_code == 404
    assert child_of(source, made)["status"] == "cancelled"
    assert centre.search(f"/Task?owner=HealthcareService/{CENTRE}&_id=x") == []
