"""The CapabilityStatement is true (D13): what it declares works, the rest is refused."""

import json
import uuid

import pytest

from hub.fhir.json import decode
from hub.restful.served import SERVED
from hub.store.parameters import declared
from hub.validation import validate
from tests.restful.build import (
    HOSPITAL,
    a_bundle,
    a_caller,
    a_patient,
    a_referral,
    case_of,
    child_of,
    get,
    post,
    refusal,
    submit,
)
from tests.restful.least import LEAST, least

ALL = [
    "read",
    "vread",
    "create",
    "update",
    "patch",
    "delete",
    "history-instance",
    "search-type",
    "history-type",
]
PATCH = {"Content-Type": "application/json-patch+json"}


@pytest.fixture(scope="module")
def statement(hub):
    return hub.http.get("/fhir/R4/metadata").json()


@pytest.fixture(scope="module")
def caller(hub):
    """May do everything the hub serves, for one organisation."""
    return a_caller(hub, HOSPITAL)


@pytest.fixture(scope="module")
def made(hub, caller):
    """One resource of every type, by type."""
    found = {k: v.split("/")[1] for k, v in submit(caller, a_referral()).items()}
    found["EpisodeOfCare"] = case_of(
        caller, {"Patient": f"Patient/{found['Patient']}"}
    )["id"]
    for name in SERVED:
        if name not in found and "search-type" in SERVED[name] and name != "AuditEvent":
            entries = caller.search(f"/{name}?_count=1")
            if entries:
                found[name] = entries[0]["id"]
    return found


def _resources(statement):
    return {one["type"]: one for one in statement["rest"][0]["resource"]}


def test_D11_the_statement_needs_no_token_and_names_the_server(hub, statement):
    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["kind"] == "instance"
    assert statement["implementation"]["url"] == hub.settings.fhir_base
    assert "version" not in statement["software"]
    security = statement["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    uris = {
        one["url"]: one["valueUri"] for one in security["extension"][0]["extension"]
    }
    assert uris["token"] == hub.settings.token_url


def test_D10_the_statement_may_be_read_from_any_page(hub):
    answer = hub.http.get("/fhir/R4/metadata", headers={"Origin": "https://x.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    other = hub.http.get("/fhir/R4/Patient", headers={"Origin": "https://x.example"})
    assert "Access-Control-Allow-Origin" not in other.headers


def test_the_statement_is_valid_r4(hub):
    raw = hub.http.get("/fhir/R4/metadata").content
    found = validate(decode(raw))
    assert [i for i in found if i.severity == "error"] == []


def test_limits_are_told(hub, statement):
    text = statement["rest"][0]["documentation"]
    assert str(hub.settings.max_bundle_entries) in text
    assert str(hub.settings.max_body_bytes) in text


def test_every_type_is_declared_once(statement):
    assert sorted(_resources(statement)) == sorted(SERVED)


def _calls(caller, kind, stored):
    """{interaction: (call, status when it works)} for one stored resource."""
    path, tag = f"/{kind}/{stored['id']}", {"If-Match": stored["meta"]["versionId"]}
    patch = [{"op": "add", "path": "/language", "value": "ja"}]
    return {
        "read": (lambda: caller.get(path), 200),
        "vread": (lambda: caller.get(f"{path}/_history/1"), 200),
        "history-instance": (lambda: caller.get(f"{path}/_history"), 200),
        "search-type": (lambda: caller.get(f"/{kind}?_id={stored['id']}"), 200),
        "history-type": (lambda: caller.get(f"/{kind}/_history"), 200),
        "create": (lambda: caller.post(f"/{kind}", _another(kind)), 201),
        "update": (lambda: caller.put(path, stored, headers=tag), 200),
        "patch": (
            lambda: caller.request(
                "PATCH", path, content=json.dumps(patch).encode(), headers=PATCH
            ),
            200,
        ),
        "delete": (lambda: caller.request("DELETE", path), 204),
    }


def _another(kind):
    """One more: no two artefacts have the same url."""
    url = f"https://else.example/fhir/{kind}/{uuid.uuid4()}"
    return least(kind, **({"url": url} if "url" in LEAST.get(kind, {}) else {}))


@pytest.fixture(scope="module")
def drafter(drafting):
    """May do everything, and keeps drafts: so that each type can be created alone."""
    return a_caller(drafting, HOSPITAL)


@pytest.mark.parametrize("kind", sorted(set(SERVED) - {"AuditEvent", "Task"}))
def test_D13_each_declared_interaction_works_and_no_other(drafting, drafter, kind):
    statement = drafting.http.get("/fhir/R4/metadata").json()
    declared = {i["code"] for i in _resources(statement)[kind]["interaction"]}
    stored = _one(drafter, kind, declared)
    assert stored is not None
    for interaction, (call, status) in _calls(drafter, kind, stored).items():
        answer = call()
        if interaction in declared:
            assert answer.status_code == status, (interaction, answer.text)
        else:
            assert answer.status_code in (404, 405), (interaction, answer.text)
            assert refusal(answer)[1] in ("HUB-REST-001", "HUB-REST-004")


def _one(caller, kind, declared):
    if "create" in declared:
        answer = caller.post(f"/{kind}", _another(kind))
        assert answer.status_code == 201, answer.text
        return answer.json()
    if not (found := caller.search(f"/{kind}?_count=1")):
        submit(caller)
        found = caller.search(f"/{kind}?_count=1")
    return found[0] if found else None


def test_D13_the_declared_interactions_of_a_task_work(caller, statement, centre):
    task = child_of(centre, submit(caller))
    path = f"/Task/{task['id']}"
    for tail in ("", "/_history/1", "/_history"):
        assert centre.get(path + tail).status_code == 200
    assert centre.search(f"/Task?_id={task['id']}")
    task = centre.move(task, status="received")
    patch = [{"op": "replace", "path": "/status", "value": "accepted"}]
    answer = centre.request(
        "PATCH",
        path,
        content=json.dumps(patch).encode(),
        headers={**PATCH, "If-Match": task["meta"]["versionId"]},
    )
    assert answer.status_code == 200
    # A Task of a case is never deleted: its documented error, not "no such thing".
    answer = caller.request("DELETE", path, headers={"If-Match": "3"})
    assert refusal(answer) == (409, "HUB-REF-016")
    assert centre.get("/Task/_history").status_code == 200
    declared = {i["code"] for i in _resources(statement)["Task"]["interaction"]}
    assert declared == set(ALL)


def test_D13_the_log_is_read_and_searched_and_nothing_else(privacy, source, statement):
    submit(source)
    declared = {i["code"] for i in _resources(statement)["AuditEvent"]["interaction"]}
    assert declared == {"read", "search-type"}
    event = privacy.search("/AuditEvent?_count=1")[0]
    assert privacy.read(f"/AuditEvent/{event['id']}") == event
    path = f"/AuditEvent/{event['id']}"
    for method, tail in (
        ("GET", "/_history"),
        ("GET", "/_history/1"),
        ("PUT", ""),
        ("PATCH", ""),
        ("DELETE", ""),
    ):
        body = json.dumps(event).encode()
        answer = privacy.request(method, path + tail, content=body)
        assert refusal(answer) == (405, "HUB-REST-004"), (method, tail)
    assert refusal(privacy.post("/AuditEvent", event)) == (405, "HUB-REST-004")


def test_D13_the_types_that_are_not_declared_are_404(caller, statement):
    declared = set(_resources(statement))
    for kind in ("Medication", "Goal", "Person", "Library"):
        assert kind not in declared
        for answer in (
            caller.get(f"/{kind}/x"),
            caller.get(f"/{kind}"),
            caller.post(f"/{kind}", {"resourceType": kind}),
            caller.put(f"/{kind}/x", {"resourceType": kind, "id": "x"}),
        ):
            assert refusal(answer) == (404, "HUB-REST-003"), kind


SEARCHED = sorted(n for n in SERVED if "search-type" in SERVED[n] and n != "AuditEvent")
VALUES = {
    "token": "a",
    "string": "a",
    "reference": "Patient/a",
    "date": "2026",
    "number": "1",
    "quantity": "1",
    "uri": "urn:x",
}


@pytest.mark.parametrize("kind", SEARCHED)
def test_D13_each_declared_search_parameter_works(caller, statement, kind):
    parameters = _resources(statement)[kind]["searchParam"]
    names = {one["name"] for one in parameters}
    common = {"_id", "_lastUpdated", "_tag", "_security", "_profile", "_source"}
    assert common <= names
    for one in parameters:
        parts = declared()[kind][one["name"]].components
        value = "$".join(VALUES[p.type] for p in parts) or VALUES[one["type"]]
        answer = caller.get(f"/{kind}?{one['name']}={value}")
        assert answer.status_code == 200, (one["name"], answer.text)
    for name in ("nonsense", "_nonsense", "birthdatex"):
        assert caller.get(f"/{kind}?{name}=a").status_code == 400


def test_D13_the_logs_parameters_work(privacy, statement):
    values = {
        "patient": "Patient/a",
        "agent": "Organization/a",
        "entity": "Task/a",
        "action": "R",
        "outcome": "0",
        "type": "rest",
        "subtype": "read",
    }
    for one in _resources(statement)["AuditEvent"]["searchParam"]:
        value = values.get(one["name"], "2026")
        assert privacy.get(f"/AuditEvent?{one['name']}={value}").status_code == 200


@pytest.mark.parametrize("kind", SEARCHED)
def test_D13_each_declared_include_works_and_no_other(caller, statement, kind):
    resource = _resources(statement)[kind]
    for include in resource.get("searchInclude", ()):
        answer = caller.get(f"/{kind}?_include={include}")
        assert answer.status_code == 200, (include, answer.text)
    for include in resource.get("searchRevInclude", ()):
        answer = caller.get(f"/{kind}?_revinclude={include}")
        assert answer.status_code == 200, (include, answer.text)
    for wrong in (f"{kind}:nonsense", "Medication:code", "AuditEvent:patient"):
        assert caller.get(f"/{kind}?_include={wrong}").status_code == 400
        assert caller.get(f"/{kind}?_revinclude={wrong}").status_code == 400


def test_D13_conditional_forms_are_as_declared(caller, statement, made):
    for kind, one in _resources(statement).items():
        interactions = {i["code"] for i in one["interaction"]}
        searched = "search-type" in interactions
        assert one["conditionalCreate"] is (searched and "create" in interactions)
        assert one["conditionalUpdate"] is (searched and "update" in interactions)
        if not searched:
            header = {"If-None-Exist": "_id=x"}
            answer = caller.post(f"/{kind}", least(kind), headers=header)
            assert refusal(answer) == (405, "HUB-REST-004")
        deletes = searched and "delete" in interactions
        declared = "single" if deletes else "not-supported"
        assert one["conditionalDelete"] == declared
        answer = caller.request("DELETE", f"/{kind}?_id=x")
        assert answer.status_code == (204 if deletes else 405)
        if kind in made and "vread" in interactions:
            assert one["conditionalRead"] == "full-support"
            tag = caller.get(f"/{kind}/{made[kind]}").headers["ETag"]
            header = {"If-None-Match": tag}
            assert (
                caller.get(f"/{kind}/{made[kind]}", headers=header).status_code == 304
            )


def test_D13_update_as_create_is_as_declared(caller, statement):
    for kind, one in _resources(statement).items():
        if "update" not in {i["code"] for i in one["interaction"]}:
            assert one["updateCreate"] is False
            continue
        answer = caller.put(
            f"/{kind}/brand-new", {"resourceType": kind, "id": "brand-new"}
        )
        assert (answer.status_code == 405) is not one["updateCreate"], kind


def test_D13_the_task_is_versioned_update(caller, statement, made):
    assert _resources(statement)["Task"]["versioning"] == "versioned-update"
    task = caller.read(f"/Task/{made['Task']}")
    assert refusal(caller.put(f"/Task/{made['Task']}", task))[0] == 428


def test_D13_the_declared_operations_exist_and_no_other(caller, statement, made):
    declared = {
        (kind, op["name"])
        for kind, one in _resources(statement).items()
        for op in one.get("operation", ())
    }
    assert declared == {
        ("HealthcareService", "route"),
        ("EpisodeOfCare", "explain-access"),
        ("Patient", "disclosures"),
        *(("Subscription", name) for name in ("status", "events", "fire", "secret")),
    }
    asked = {
        "resourceType": "Parameters",
        "parameter": [{"name": "patient", "resource": a_patient()}],
    }
    assert caller.post("/HealthcareService/$route", asked).status_code == 200
    path = f"/EpisodeOfCare/{made['EpisodeOfCare']}/$explain-access"
    assert caller.get(path).status_code == 200
    assert caller.get(f"/Patient/{made['Patient']}/$disclosures").status_code == 200
    made = caller.post("/Subscription", least("Subscription")).json()
    path = f"/Subscription/{made['id']}"
    for name in ("$status", "$events", "$secret"):
        assert caller.get(f"{path}/{name}").status_code == 200
    assert caller.get("/Subscription/$status").status_code == 200
    # Its documented error before the handshake, not "no such thing".
    assert refusal(caller.post(f"{path}/$fire")) == (409, "HUB-SUB-013")
    for path in ("/Patient/$validate", "/$export", "/Patient/$route", "/Task/x/$x"):
        for method in ("GET", "POST"):
            assert caller.request(method, path).status_code == 404, path


def test_D13_the_system_level_is_as_declared(caller, statement):
    declared = {i["code"] for i in statement["rest"][0]["interaction"]}
    assert declared == {"transaction", "batch", "search-system", "history-system"}
    for kind in ("transaction", "batch"):
        assert caller.post(
            "", a_bundle(get("Organization/x"), type=kind)
        ).status_code in (200, 404)
    assert caller.get("/_history").status_code == 200
    assert caller.get("?_type=Patient").status_code == 200


def test_D13_each_declared_compartment_can_be_searched(caller, statement):
    names = [u.rpartition("/")[2] for u in statement["rest"][0]["compartment"]]
    assert names == ["device", "encounter", "patient", "practitioner", "relatedPerson"]
    for name in names:
        kind = name[0].upper() + name[1:]
        assert caller.get(f"/{kind}/x/Observation").status_code == 200
        assert caller.get(f"/{kind}/x/*").status_code == 200
    for path in ("/Organization/x/Observation", "/Patient/x/Organization"):
        assert refusal(caller.get(path)) == (404, "HUB-REST-003")


def test_D13_the_declared_formats_are_those_answered(caller, statement):
    for name in statement["format"]:
        answer = caller.get("/Patient", params={"_format": name})
        assert answer.status_code == 200
        assert name in answer.headers["Content-Type"]
    for name in ("application/fhir+turtle", "ttl", "html"):
        assert caller.get("/Patient", params={"_format": name}).status_code == 406
    assert statement["patchFormat"] == [
        "application/json-patch+json",
        "application/fhir+json",
        "application/fhir+xml",
    ]


def test_every_error_is_a_valid_outcome(caller):
    """What a typed client reads strictly (rest.md §8)."""
    answers = [
        caller.get("/Patient/x"),
        caller.get("/Patient?x=y"),
        caller.post("/Patient", {"resourceType": "Patient", "x": 1}),
        caller.post("", a_bundle(post({"resourceType": "Patient", "gender": 1}))),
        caller.request("DELETE", "/Patient"),
        caller.get("/nowhere/at/all"),
    ]
    for answer in answers:
        errors = [i for i in validate(decode(answer.content)) if i.severity == "error"]
        assert errors == [], answer.text


def test_every_answer_to_a_read_is_valid(caller, made):
    paths = [f"/{kind}/{id}" for kind, id in made.items() if kind != "Questionnaire"]
    paths += [
        f"/Task/{made['Task']}/_history",
        "/Patient",
        "/Task?_include=Task:patient",
    ]
    for path in paths:
        raw = caller.get(path).content
        errors = [i for i in validate(decode(raw, 100)) if i.severity == "error"]
        assert errors == [], (path, errors)
