"""The document is valid, complete and true: it says what the running hub does."""

import re

import pytest
from jsonschema_rs import validator_for
from openapi_spec_validator import validate
from starlette.routing import Route

from hub.app import create_app
from hub.database import Database
from hub.fhir.search import RESULT
from hub.openapi.examples import example, of_type, stored
from hub.restful.privacy import PARAMETERS
from hub.restful.routes import FhirRoute
from hub.restful.served import SERVED, searchable
from hub.settings import Settings
from tests.restful.build import CENTRE, HOSPITAL, a_caller, child_of, ids, submit

# The pages for people: what they are is plain when they are opened.
PAGES = {"/docs", "/docs/{asset}"}
METHODS = ("get", "put", "post", "patch", "delete")


@pytest.fixture(scope="module")
def document(hub):
    answer = hub.http.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    state = tmp_path_factory.mktemp("routes")
    url = f"sqlite:///{state}/hub.db"
    settings = Settings(
        dev=True, base_url="http://127.0.0.1:1", state=state, database_url=url
    )
    database = Database(url)
    found = create_app(settings, database).router.routes
    database.close()
    return [route for route in found if isinstance(route, Route)]


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def concrete(path):
    path = path.replace("{within}", "Observation")
    return re.sub(r"\{\w+\}", "1", path)


def is_public(operation):
    return operation.get("security") == []


def test_the_document_is_valid_openapi_and_needs_no_token(drafting):
    """Once, on SQLite: the document does not depend on the database."""
    document = drafting.http.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    validate(document)
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def compartments(hub):
    (rest,) = hub.http.get("/fhir/R4/metadata").json()["rest"]
    names = [url.rpartition("/")[2] for url in rest.get("compartment", ())]
    return [name[0].upper() + name[1:] for name in names]


def test_every_route_of_the_app_is_in_the_document(document, routes, hub):
    documented = {(method, path) for method, path, _ in operations(document)}
    templates = {path for _, path in documented}
    for route in routes:
        path = route.path_format
        if path in PAGES:
            continue
        path = path.removesuffix("/")  # the same door with a slash behind it
        if not isinstance(route, FhirRoute):
            assert path in templates, path
            continue
        for method, way in route.ways.items():
            needed = {way.interaction}
            if path.endswith("{type}") and method in ("PUT", "PATCH", "DELETE"):
                needed.add("search-type")  # by condition
            having = [name for name in SERVED if needed <= {*SERVED[name]}]
            if "{within}" in path:
                having = compartments(hub)
            for name in (having or SERVED) if "{type}" in path else [""]:
                wanted = (method, path.replace("{type}", name))
                assert wanted in documented, wanted


def test_every_documented_operation_exists(document, hub):
    """405 and an unknown path would say that it does not."""
    anyone = a_caller(hub, HOSPITAL)
    for method, path, operation in operations(document):
        send = hub.http.request if is_public(operation) else anyone.request
        where = concrete(path)
        if not is_public(operation):
            where = where.removeprefix("/fhir/R4")
        answer = send(method, where)
        assert str(answer.status_code) in operation["responses"], (
            method,
            path,
            answer.text,
        )
        if answer.headers.get("Content-Type", "").startswith("application/fhir+json"):
            found = answer.json()
            if found["resourceType"] == "OperationOutcome":
                assert not {"HUB-REST-003"} & {*ids(answer)}, (method, path)
        assert answer.status_code != 405, (method, path)


PUBLIC = {
    "/fhir/R4/metadata",
    "/fhir/R4/.well-known/openid-configuration",
    "/fhir/R4/.well-known/smart-configuration",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/smart-configuration",
    "/oauth/authorize",
    "/oauth/callback",
    "/oauth/token",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/jwks",
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
}


def test_RS7_every_operation_but_the_public_ones_is_401_without_a_token(document, hub):
    seen = set()
    for method, path, operation in operations(document):
        assert is_public(operation) is (path in PUBLIC), path
        if path in PUBLIC:
            seen.add(path)
            continue
        answer = hub.http.request(method, concrete(path), content=b"{}")
        assert answer.status_code == 401, (method, path, answer.text)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert ids(answer) == ["HUB-AUTH-001"]
    assert seen == PUBLIC


def test_the_document_has_every_type_interaction_and_parameter(document):
    for name, interactions in SERVED.items():
        item = document["paths"].get(f"/fhir/R4/{name}", {})
        assert ("post" in item) is ("create" in interactions), name
        assert ("get" in item) is ("search-type" in interactions), name
        if "search-type" not in interactions:
            continue
        rows = searchable().get(name, PARAMETERS)
        refs = {one["$ref"].rpartition("/")[2] for one in item["get"]["parameters"]}
        assert {f"{name}.{code}" for code in rows} <= refs
        assert {f"result.{code}" for code in RESULT} <= refs
        form = document["components"]["schemas"][f"{name}.search"]["properties"]
        assert {*rows, *RESULT} <= form.keys()


def test_media_types_are_those_of_the_capability_statement(document, hub):
    capability = hub.http.get("/fhir/R4/metadata").json()
    types = {name for name in capability["format"] if "/" in name}
    patient = document["paths"]["/fhir/R4/Patient/{id}"]
    assert patient["get"]["responses"]["200"]["content"].keys() == types
    assert patient["put"]["requestBody"]["content"].keys() == types
    patches = patient["patch"]["requestBody"]["content"].keys()
    assert patches == {*capability["patchFormat"]}


def test_every_error_is_an_outcome_with_an_example(document, hub):
    read = document["paths"]["/fhir/R4/Patient/{id}"]["get"]["responses"]
    assert {"200", "304", "400", "401", "403", "404", "410", "503"} <= read.keys()
    responses = document["components"]["responses"]
    assert responses["E503"]["headers"]["Retry-After"]
    assert responses["E401"]["headers"]["WWW-Authenticate"]
    shown = responses["E404"]["content"]["application/fhir+json"]["example"]
    assert shown["issue"][0]["details"]["coding"][0]["code"] == "HUB-REST-001"
    answer = hub.caller(HOSPITAL, "source").get("/Patient/none")
    assert answer.json() == shown


def test_the_security_schemes_are_smart_backend_services(document, hub):
    schemes = document["components"]["securitySchemes"]
    flow = schemes["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == hub.settings.token_url
    assert "system/Task.rus" in flow["scopes"]
    assert schemes["bearer"]["scheme"] == "bearer"


def test_the_example_referral_is_accepted_and_its_patch_too(document, hub):
    media = "application/fhir+json"
    body = document["paths"]["/fhir/R4"]["post"]["requestBody"]["content"][media]
    shown = body["examples"]["referral"]["value"]
    source = hub.caller(HOSPITAL, "source")
    made = submit(source, shown)
    centre = hub.caller(CENTRE, "recipient")
    child = child_of(centre, made)
    answer = centre.request(
        "PATCH",
        f"/Task/{child['id']}",
        json=example("task-patch"),
        headers={
            "Content-Type": "application/json-patch+json",
            "If-Match": f'W/"{child["meta"]["versionId"]}"',
        },
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "received"


def test_the_other_examples_are_accepted(hub):
    source = hub.caller(HOSPITAL, "source")
    routed = source.post("/HealthcareService/$route", example("route"))
    assert routed.status_code == 200, routed.text
    batch = source.post("", example("batch")).json()
    assert [one["response"]["status"] for one in batch["entry"]] == ["200 OK"] * 2


def test_what_the_hub_answers_fits_the_documents_schemas(document, hub):
    source = hub.caller(HOSPITAL, "source")
    made = submit(source)
    for name, reference in made.items():
        judge = validator_for({**document, "$ref": f"#/components/schemas/{name}"})
        judge.validate(source.read(f"/{reference}"))
        if of_type(name):
            judge.validate(of_type(name))
            judge.validate(stored(name))
    found = source.read(f"/Patient?_id={made['Patient'].split('/')[1]}")
    validator_for({**document, "$ref": "#/components/schemas/Bundle"}).validate(found)


def test_descriptions_are_japanese_and_english(document):
    for _, path, operation in operations(document):
        assert " / " in operation["summary"], path
    assert "Tokens come from SMART" in document["info"]["description"]
    assert "紹介" in document["info"]["description"]


def test_the_document_tells_nothing_of_what_is_stored_or_built(document, hub):
    source = hub.caller(HOSPITAL, "source")
    submit(source)
    before = hub.http.get("/openapi.json")
    text = before.text
    for secret in (source.token, source.client_id, HOSPITAL, "starlette", "fastapi"):
        assert secret not in text.lower()
    assert before.json() == document
    assert document["info"]["version"] == "R4"


def test_the_document_is_small_and_known_by_its_tag(hub):
    answer = hub.http.get("/openapi.json")
    assert len(answer.content) < 4_000_000
    again = {"If-None-Match": answer.headers["ETag"]}
    assert hub.http.get("/openapi.json", headers=again).status_code == 304
