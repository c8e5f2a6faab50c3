"""Forms, vocabularies and definitions: published by registered clients and the hub."""

import uuid

import pytest

from hub.app import know
from hub.disclosure.classes import TERMINOLOGY_TYPES
from hub.fhir.canonical import ROOT
from hub.fhir.json import decode, encode
from hub.fhir.outcome import errors
from hub.validation import validate
from tests.restful.build import (
    HOSPITAL,
    OTHER_HOSPITAL,
    a_bundle,
    a_caller,
    a_referral,
    post,
    refusal,
    submit,
)
from tests.restful.least import least

ARTEFACTS = sorted(TERMINOLOGY_TYPES)


@pytest.fixture(scope="module")
def publisher(hub):
    """Registered for these types alone."""
    scopes = " ".join(f"system/{kind}.cruds" for kind in ARTEFACTS)
    return a_caller(hub, HOSPITAL, scopes=scopes)


def _named(kind, **over):
    id = f"x-{uuid.uuid4()}"
    url = f"https://else.example/fhir/{kind}/{id}"
    return least(kind, **{"id": id, "url": url, "version": "1", **over})


@pytest.mark.parametrize("kind", ARTEFACTS)
def test_a_registered_client_creates_under_its_own_id(hub, publisher, kind):
    sent = _named(kind)
    path = f"/{kind}/{sent['id']}"
    answer = publisher.put(path, sent)
    assert (answer.status_code, answer.json()["id"]) == (201, sent["id"])
    assert publisher.put(path, {**sent, "experimental": True}).status_code == 200
    assert publisher.request("DELETE", path).status_code == 204
    assert publisher.get(path).status_code == 410
    back = publisher.put(path, sent)
    assert (back.status_code, back.headers["ETag"]) == (201, 'W/"4"')
    reader = a_caller(hub, OTHER_HOSPITAL, scopes=f"system/{kind}.rs")
    assert reader.get(path).json()["url"] == sent["url"]
    found = reader.search(f"/{kind}?url={sent['url']}&version=1")
    assert [one["id"] for one in found] == [sent["id"]]
    assert refusal(reader.put(path, sent)) == (403, "HUB-AUTH-003")


@pytest.mark.parametrize("role", ["source", "recipient", "directory", "privacy"])
def test_no_ordinary_client_publishes(hub, role):
    """§2.2: forms are read by senders and desks, nothing here is written by any."""
    caller = hub.caller(HOSPITAL, role)
    for kind in ARTEFACTS:
        sent = _named(kind)
        for answer in (
            caller.put(f"/{kind}/{sent['id']}", sent),
            caller.post(f"/{kind}", sent),
            caller.request("DELETE", f"/{kind}/k1"),
        ):
            assert refusal(answer) == (403, "HUB-AUTH-003"), kind
        status = (
            200 if kind == "Questionnaire" and role in ("source", "recipient") else 403
        )
        assert caller.get(f"/{kind}").status_code == status


@pytest.mark.parametrize("kind", ARTEFACTS)
def test_a_url_and_version_name_one_artefact(publisher, kind):
    sent = _named(kind)
    assert publisher.put(f"/{kind}/{sent['id']}", sent).status_code == 201
    again = {**sent, "id": f"x-{uuid.uuid4()}"}
    for answer in (
        publisher.put(f"/{kind}/{again['id']}", again),
        publisher.post(f"/{kind}", again),
        publisher.post("", a_bundle(post(again))),
    ):
        assert refusal(answer) == (409, "HUB-REST-062"), answer.text
    second = {**again, "version": "2"}
    assert publisher.put(f"/{kind}/{again['id']}", second).status_code == 201
    # Nor by an update: the second does not become the first.
    assert refusal(publisher.put(f"/{kind}/{again['id']}", again)) == (
        409,
        "HUB-REST-062",
    )
    bare = {k: v for k, v in _named(kind).items() if k != "version"}
    assert publisher.put(f"/{kind}/{bare['id']}", bare).status_code == 201
    twin = {**bare, "id": f"x-{uuid.uuid4()}"}
    refused = publisher.put(f"/{kind}/{twin['id']}", twin)
    assert refusal(refused) == (409, "HUB-REST-062")


def test_a_url_with_commas_and_bars_is_one_url(publisher):
    sent = _named("ValueSet", url="https://else.example/a,b|c$d\\e?f=%20")
    assert publisher.post("/ValueSet", sent).status_code == 201
    assert refusal(publisher.post("/ValueSet", sent)) == (409, "HUB-REST-062")
    other = {**sent, "url": "https://else.example/a"}
    assert publisher.post("/ValueSet", other).status_code == 201


def test_canonical_references_are_found_with_and_without_version(hub, publisher):
    sent = _named("ValueSet")
    publisher.put(f"/ValueSet/{sent['id']}", sent)
    mapping = _named("ConceptMap", sourceCanonical=f"{sent['url']}|1")
    publisher.put(f"/ConceptMap/{mapping['id']}", mapping)
    for asked, is_found in (
        (sent["url"], True),
        (f"{sent['url']}|1", True),
        (f"{sent['url']}|2", False),
    ):
        answer = publisher.get("/ConceptMap", params={"source": asked})
        found = [e["resource"]["id"] for e in answer.json().get("entry", ())]
        assert (mapping["id"] in found) is is_found, asked


# The hub's own.


def test_the_hubs_own_artefacts_are_read_through_the_same_api(hub, publisher):
    for resource in know(hub.settings).published():
        kind = resource["resourceType"]
        stored = publisher.read(f"/{kind}/{resource['id']}")
        assert {k: v for k, v in stored.items() if k != "meta"} == {
            k: v for k, v in resource.items() if k != "meta"
        }
        version = resource.get("version")
        query = {"url": resource["url"]} | ({"version": version} if version else {})
        answer = publisher.get(f"/{kind}", params=query)
        assert [e["resource"]["id"] for e in answer.json()["entry"]] == [resource["id"]]


def test_what_the_hub_names_in_its_answers_can_be_read(hub, publisher):
    """The operations of its CapabilityStatement, the programme of a referral."""
    statement = hub.http.get("/fhir/R4/metadata").json()
    named = [
        operation["definition"]
        for resource in statement["rest"][0]["resource"]
        for operation in resource.get("operation", ())
    ]
    assert len(named) >= 2
    for url in named:
        if url.startswith(ROOT):
            assert len(publisher.search(f"/OperationDefinition?url={url}")) == 1, url
    for programme in know(hub.settings).programmes.values():
        url = programme.plan_definition
        (plan,) = publisher.search(f"/PlanDefinition?url={url}")
        assert plan["version"] == programme.version
        for action in plan["action"]:
            form = action["definitionCanonical"]
            assert len(publisher.search(f"/Questionnaire?url={form}")) == 1
            found = publisher.search(f"/PlanDefinition?definition={form}")
            assert plan["id"] in [one["id"] for one in found]


@pytest.mark.parametrize("kind", ["Questionnaire", "CodeSystem", "PlanDefinition"])
def test_the_hubs_own_artefacts_are_nobodys_to_change(publisher, kind):
    found = publisher.search(f"/{kind}")
    stored = next(one for one in found if str(one.get("url")).startswith(ROOT))
    path = f"/{kind}/{stored['id']}"
    nonsense = _named(kind, id=stored["id"])
    patch = b'[{"op":"replace","path":"/status","value":"retired"}]'
    json_patch = {"Content-Type": "application/json-patch+json"}
    copy = {k: v for k, v in stored.items() if k not in ("id", "meta")}
    answers = [
        publisher.put(path, {**stored, "status": "retired"}),
        publisher.put(path, nonsense),
        publisher.request("PATCH", path, content=patch, headers=json_patch),
        publisher.request("DELETE", path),
        publisher.post(f"/{kind}", {**copy, "version": "999"}),
        publisher.put(f"/{kind}/x-y", {**copy, "id": "x-y", "version": "999"}),
        publisher.post(f"/{kind}", {**copy, "url": f"{ROOT}/{kind}/new"}),
    ]
    assert {refusal(answer) for answer in answers} == {(409, "HUB-REST-061")}
    assert publisher.read(path) == stored


def test_what_is_published_changes_nothing_the_hub_decides_by(hub, publisher):
    """The forms and codes a referral is judged by are those of the hub's release."""
    (form,) = publisher.search("/Questionnaire?_id=k1")
    del form["item"]
    fake = {**form, "id": "k1-x", "url": f"{form['url']}x"}
    answer = publisher.put("/Questionnaire/k1-x", fake)
    assert refusal(answer) == (409, "HUB-REST-061")
    source = hub.caller(HOSPITAL, "source")
    assert submit(source)["QuestionnaireResponse"]


def test_a_transaction_brings_an_artefact_beside_a_referral_as_public(hub):
    caller = a_caller(hub, HOSPITAL)
    sent = _named("ValueSet")
    made = submit(caller, a_referral(post(sent)))
    reader = a_caller(hub, OTHER_HOSPITAL)
    assert reader.get(f"/{made['ValueSet']}").status_code == 200
    assert reader.get(f"/{made['Patient']}").status_code == 404


def test_all_that_the_hub_publishes_is_valid(hub):
    knowledge = know(hub.settings)
    for resource in knowledge.published():
        raw = encode(resource)
        found = validate(decode(raw), packages=knowledge.packages)
        assert errors(found) == [], resource["url"]
