"""What real clients do: a test for each row of rest.md §8, for JSON bodies.

The rows of XML stand with XML, those of the bulk export will with it: until then it
is not there, and says so.
"""

import concurrent.futures
import json
import uuid

import pytest

from hub.fhir.json import decode
from hub.smart import clients
from hub.validation import validate
from tests.restful.build import (
    HOSPITAL,
    a_caller,
    a_patient,
    a_referral,
    a_request,
    child_of,
    refusal,
    stored,
    submit,
)
from tests.restful.patches import patch, replace
from tests.running import FHIR_JSON
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key, public


@pytest.fixture
def author(drafting):
    return a_caller(drafting, HOSPITAL)


def _client(hub, **registered):
    with hub.database.transaction() as session:
        return clients.register(
            session,
            organization=HOSPITAL,
            roles={"source"},
            jwks=public(ec_key()),
            **registered,
        )


def _token(hub, client, **form):
    claimed = assertion(client.client_id, ec_key(), hub.settings.token_url, None)
    return hub.http.post(
        "/oauth/token",
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": claimed,
            **form,
        },
    )


def test_a_token_request_without_scope_gets_the_default_or_an_error(hub):
    plain = _token(hub, _client(hub))
    assert (plain.status_code, plain.json()["error"]) == (400, "invalid_scope")
    answer = _token(hub, _client(hub, default_scope="system/Task.rs"))
    assert answer.json()["scope"] == "system/Task.rs"


def test_twenty_v1_scopes_give_the_registered_ones_in_their_own_words(hub):
    names = ("Patient", "Task", "Observation", "Immunization", "Device", "Consent")
    asked = " ".join(f"system/{name}.read" for name in (*names, *names[::-1], "Group"))
    client = _client(hub, scopes="system/Patient.rs system/Task.rs system/Consent.rs")
    granted = set(_token(hub, client, scope=asked).json()["scope"].split())
    wanted = {"Patient", "Task", "Consent"}
    assert granted == {f"system/{name}.read" for name in wanted}
    everything = _client(hub, scopes="system/*.rs")
    granted = set(_token(hub, everything, scope=asked).json()["scope"].split())
    assert granted == {f"system/{name}.read" for name in (*names, "Group")}


def test_a_launch_scope_is_dropped_from_a_backend_request(hub):
    client = _client(hub, scopes="system/*.rs")
    answer = _token(hub, client, scope="launch/patient system/*.rs")
    assert answer.json()["scope"] == "system/*.rs"


def test_two_tokens_at_once_are_both_good(hub):
    client = _client(hub)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asked = pool.map(lambda _: _token(hub, client, scope="system/Task.rs"), "ab")
        tokens = [answer.json()["access_token"] for answer in asked]
    assert len(set(tokens)) == 2
    for token in tokens:
        header = {"Authorization": f"Bearer {token}"}
        assert hub.http.get("/fhir/R4/Task", headers=header).status_code == 200


def test_the_token_url_in_the_statement_is_that_of_discovery(hub):
    statement = hub.http.get("/fhir/R4/metadata").json()
    (extension,) = statement["rest"][0]["security"]["extension"]
    urls = {one["url"]: one["valueUri"] for one in extension["extension"]}
    found = hub.http.get("/.well-known/smart-configuration").json()
    assert urls["token"] == found["token_endpoint"] == hub.settings.token_url


def test_discovery_in_parallel_is_200_200_and_a_clean_404(hub):
    paths = (
        "/fhir/R4/.well-known/smart-configuration",
        "/fhir/R4/metadata",
        "/fhir/R4/.well-known/openid-configuration",
    )
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = list(pool.map(hub.http.get, paths))
    assert [answer.status_code for answer in found] == [200, 200, 404]
    assert all(isinstance(answer.json(), dict) for answer in found)


def test_metadata_asked_for_as_plain_json_without_a_token(hub):
    header = {"Accept": "application/json"}
    answer = hub.http.get("/fhir/R4/metadata", headers=header)
    assert answer.status_code == 200
    assert answer.json()["resourceType"] == "CapabilityStatement"


def test_a_bundle_is_posted_with_and_without_the_slash_and_never_redirected(hub):
    source = a_caller(hub, HOSPITAL)
    for path in ("", "/"):
        answer = source.post(path, a_referral(), headers={"Host": "else.example"})
        assert answer.status_code == 200
        assert not answer.history


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        None,
        "application/json",
        "application/fhir+json, */*; q=0.1",
        "application/json+fhir",
    ],
)
def test_any_accept_that_allows_json_gets_fhir_json(source, accept):
    path = f"/{submit(source)['Patient']}"
    headers = {"Authorization": f"Bearer {source.token}", "Accept": accept or ""}
    request = source.http.build_request("GET", f"/fhir/R4{path}", headers=headers)
    if accept is None:
        del request.headers["Accept"]
    answer = source.http.send(request)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(FHIR_JSON)


def test_plain_json_is_taken_on_create_update_and_bundle(author):
    header = {"Content-Type": "application/json"}
    made = author.post("/Patient", a_patient(), headers=header)
    assert made.status_code == 201
    path = f"/Patient/{made.json()['id']}"
    assert author.put(path, made.json(), headers=header).status_code == 200
    assert author.post("", a_referral(), headers=header).status_code == 200


@pytest.mark.parametrize(
    "format_",
    ["json", "application/json", "application/fhir+json", "application/fhir%2Bjson"],
)
def test_the_format_parameter_goes_before_accept(source, format_):
    path = f"/{submit(source)['Patient']}?_format={format_}"
    answer = source.get(path, headers={"Accept": "text/turtle"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(FHIR_JSON)


def test_a_merge_patch_is_415_naming_the_two_types(author):
    made = author.post("/Patient", a_patient()).json()
    header = {"Content-Type": "application/json"}
    path = f"/Patient/{made['id']}"
    answer = author.request("PATCH", path, json={"active": True}, headers=header)
    assert refusal(answer) == (415, "HUB-REST-028")
    assert "application/json-patch+json" in answer.text
    assert "application/fhir+json" in answer.text
    assert author.read(path) == made


def test_a_patch_may_name_its_charset(author):
    path = f"/Patient/{author.post('/Patient', a_patient()).json()['id']}"
    operation = [{"op": "add", "path": "/active", "value": True}]
    header = {"Content-Type": "application/json-patch+json; charset=utf-8"}
    answer = author.request("PATCH", path, json=operation, headers=header)
    assert answer.json()["active"] is True
    header = {"Content-Type": "application/fhir+json; charset=UTF-8"}
    parameters = patch(replace("Patient.active", valueBoolean=False))
    answer = author.request("PATCH", path, json=parameters, headers=header)
    assert answer.json()["active"] is False


def test_a_post_with_a_query_is_400_and_duplicates_nothing(drafting, author):
    before = stored(drafting)
    answer = author.post("/Patient?identifier=a", a_patient())
    assert refusal(answer) == (400, "HUB-REST-014")
    assert stored(drafting) == before


def test_counting_the_way_of_fhirpy(source):
    made = submit(source)
    query = f"/Task?part-of={made['Task']}&_count=0&_totalMethod=count"
    bundle = source.read(query)
    assert bundle["total"] == 1
    assert "entry" not in bundle


def test_an_upsert_by_query_and_a_conditional_create_never_duplicate(author):
    number = str(uuid.uuid4())
    identifier = [{"system": "urn:x-test", "value": number}]
    query, body = f"identifier=urn:x-test|{number}", a_patient(identifier=identifier)
    found = [author.put(f"/Patient?{query}", body).status_code for _ in range(2)]
    assert found == [201, 200]
    header = {"If-None-Exist": query}
    assert author.post("/Patient", body, headers=header).status_code == 200
    assert author.read(f"/Patient?{query}")["total"] == 1


def test_a_bare_version_is_understood_as_a_tag(source):
    path = f"/{submit(source)['Patient']}"
    for tag in ("1", '"1"', 'W/"1"'):
        answer = source.get(path, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_export_is_not_there_and_says_so(source, method):
    for path in ("/$export", "/Patient/$export", "/Group/x/$export"):
        answer = source.request(method, path, params={"_type": "Patient"})
        assert refusal(answer)[0] == 404


def test_a_posted_search_merges_url_and_body(source, centre):
    made = submit(source)
    child = child_of(centre, made)
    header = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = centre.request(
        "POST",
        f"/Task/_search?part-of={made['Task']}",
        content=f"_id={child['id']}".encode(),
        headers=header,
    )
    assert answer.json()["total"] == 1
    answer = centre.request(
        "POST",
        f"/Task/_search?part-of={made['Task']}",
        content=b"status=completed",
        headers=header,
    )
    assert answer.json()["total"] == 0


def test_every_body_is_valid_r4_errors_included(author):
    made = author.post("/ServiceRequest", a_request("x", subject={"display": "架空"}))
    path = f"/ServiceRequest/{made.json()['id']}"
    told = {"Prefer": "return=OperationOutcome"}
    operation = patch(replace("ServiceRequest.intent", valueCode="plan"))
    answers = [
        made,
        author.get(path),
        author.get(f"{path}?_elements=status"),
        author.get(f"{path}/_history"),
        author.get("/ServiceRequest/_history?_count=1"),
        author.get("/_history?_count=1"),
        author.get("/ServiceRequest?_count=1"),
        author.get("/metadata"),
        author.request("PATCH", path, json=operation, headers=told),
        author.request("PATCH", path, json=patch({"name": "x"})),
        author.request("PATCH", path, content=b"{", headers={"Content-Type": "x/y"}),
        author.request("DELETE", f"{path[:15]}?_id=x", headers=told),
        author.request("TRACE", path),
        author.get("/ServiceRequest/_history?_at=2026"),
        author.post("", {"resourceType": "Bundle", "type": "batch"}),
        author.get("/Nonsense"),
        author.get("/Patient/never-there"),
    ]
    for answer in answers:
        assert answer.headers["Content-Type"].startswith(FHIR_JSON), answer.request.url
        resource = decode(answer.content, 100)
        wrong = [i for i in validate(resource) if i.severity == "error"]
        assert not wrong, (answer.request.url, wrong)
    assert json.loads(answers[8].content)["resourceType"] == "OperationOutcome"
