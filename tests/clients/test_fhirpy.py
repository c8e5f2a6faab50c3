"""fhirpy 2.3.1, its sync and its async client, through every flow it has (rest.md §8)."""

import asyncio
import json
from urllib.parse import quote

import pytest
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import (
    AuthorizationError,
    ForbiddenError,
    MultipleResourcesFound,
    OperationOutcome,
    ResourceNotFound,
)

from tests.restful.build import (
    CENTRE,
    OTHER_HOSPITAL,
    a_bundle,
    a_caller,
    a_name,
    a_patient,
    a_referral,
    child_of,
    get,
    post,
)
from tests.subscriptions.build import FILTER, a_subscription


def client_of(caller, **more):
    url = f"{caller.http.base_url}/fhir/R4".replace("//fhir", "/fhir")
    return SyncFHIRClient(url, authorization=f"Bearer {caller.token}", **more)


def async_client_of(caller, **more):
    url = f"{caller.http.base_url}/fhir/R4".replace("//fhir", "/fhir")
    return AsyncFHIRClient(url, authorization=f"Bearer {caller.token}", **more)


@pytest.fixture
def client(vendor):
    return client_of(vendor)


def issue_of(error) -> str:
    """The stable id of the first issue that a fhirpy exception carries."""
    resource = getattr(error.value, "resource", None) or json.loads(str(error.value))
    return str(resource["issue"][0]["details"]["coding"][0]["code"])


def test_a_resource_is_created_read_changed_and_deleted(client):
    patient = client.resource("Patient", **a_patient(a_name()))
    patient.save()
    assert patient.id
    assert patient["meta"]["versionId"] == "1"
    again = client.get("Patient", patient.id)
    assert again["name"] == patient["name"]
    patient["gender"] = "female"
    patient.save()
    assert patient["meta"]["versionId"] == "2"
    versions = client.execute(f"Patient/{patient.id}/_history", method="get")
    assert versions["total"] == 2
    first = client.execute(f"Patient/{patient.id}/_history/1", method="get")
    assert "gender" not in first
    patient.delete()
    with pytest.raises(ResourceNotFound) as gone:
        client.get("Patient", patient.id)
    assert issue_of(gone) == "HUB-REST-010"


def test_refresh_sends_the_bare_version_and_is_answered_304(client):
    patient = client.resource("Patient", **a_patient(a_name()))
    patient.save()
    before = dict(patient)
    patient.refresh()
    assert dict(patient) == before
    other = client.reference("Patient", patient.id).to_resource()
    other["gender"] = "male"
    other.save()
    patient.refresh()
    assert patient["gender"] == "male"


def test_its_merge_patch_is_415_and_names_what_is_accepted(client):
    patient = client.resource("Patient", **a_patient(a_name()))
    patient.save()
    for act in (
        lambda: patient.patch(gender="male"),
        lambda: client.patch("Patient", patient.id, gender="male"),
    ):
        with pytest.raises(OperationOutcome) as refused:
            act()
        assert issue_of(refused) == "HUB-REST-028"
        assert "application/json-patch+json" in str(refused.value.resource)
    assert "gender" not in client.get("Patient", patient.id)


def test_its_way_of_conditional_create_is_400_and_never_a_duplicate(client):
    name = a_name()
    found = client.resources("Patient").search(name=name)
    with pytest.raises(OperationOutcome) as refused:
        found.get_or_create(client.resource("Patient", **a_patient(name)))
    assert issue_of(refused) == "HUB-REST-014"
    with pytest.raises(OperationOutcome):
        client.resource("Patient", **a_patient(name)).create(name=name)
    assert found.count() == 0


def test_conditional_create_by_header_stores_once(vendor):
    name = a_name()
    once = client_of(vendor, extra_headers={"If-None-Exist": f"name={quote(name)}"})
    first, second = (
        once.resource("Patient", **a_patient(name)).create() for _ in range(2)
    )
    assert first["id"] == second["id"]
    assert client_of(vendor).resources("Patient").search(name=name).count() == 1


def test_an_upsert_creates_then_updates(client):
    name = a_name()
    matching = client.resources("Patient").search(name=name)
    made, created = matching.update(client.resource("Patient", **a_patient(name)))
    assert created
    body = a_patient(name, gender="other")
    changed, created = matching.update(client.resource("Patient", **body))
    assert not created
    assert changed["id"] == made["id"]
    assert changed["meta"]["versionId"] == "2"
    client.resource("Patient", **a_patient(name)).save()
    with pytest.raises(MultipleResourcesFound) as many:
        matching.update(client.resource("Patient", **body))
    assert issue_of(many) == "HUB-REST-012"


def some(client, count):
    """Patients of one family name with birth dates one day apart."""
    name = a_name()
    for day in range(1, count + 1):
        body = a_patient(name, birthDate=f"1990-01-{day:02}")
        client.resource("Patient", **body).save()
    return name


def test_search_sorts_counts_limits_and_walks_every_page(client):
    name = some(client, 5)
    found = client.resources("Patient").search(name=name)
    assert found.count() == 5
    dates = [p["birthDate"] for p in found.sort("-birthdate").limit(2).fetch_all()]
    assert dates == [f"1990-01-0{day}" for day in (5, 4, 3, 2, 1)]
    assert len(found.limit(2).fetch()) == 2
    assert found.sort("birthdate").first()["birthDate"] == "1990-01-01"
    with pytest.raises(MultipleResourcesFound):
        found.get()
    late = client.resources("Patient").search(name=name, birthdate__ge="1990-01-04")
    assert late.count() == 2
    only = found.elements("birthDate").limit(1).fetch_raw()["entry"][0]["resource"]
    assert "birthDate" in only
    assert "name" not in only
    exact = client.resources("Patient").search(name__exact=name)
    assert exact.count() == 5
    assert client.resources("Patient").search(name__exact=name[:-1]).count() == 0


def test_search_includes_chains_and_has(client):
    name = a_name()
    patient = client.resource("Patient", **a_patient(name))
    patient.save()
    body = {
        "status": "final",
        "code": {"text": "試験"},
        "subject": patient.to_reference(),
    }
    seen = client.resource("Observation", **body)
    seen.save()
    chained = client.resources("Observation").search(subject__Patient__name=name)
    assert [one["id"] for one in chained.fetch()] == [seen.id]
    included = chained.include("Observation", "subject").fetch_raw()
    types = {e["resource"]["resourceType"] for e in included["entry"]}
    assert types == {"Observation", "Patient"}
    with_it = client.resources("Patient").search(_id=patient.id)
    reverse = with_it.revinclude("Observation", "subject").fetch_raw()
    assert len(reverse["entry"]) == 2
    having = (
        client.resources("Patient")
        .has("Observation", "subject", _id=seen.id)
        .search(name=name)
    )
    assert [one["id"] for one in having.fetch()] == [patient.id]


def test_compartment_system_search_and_histories(client):
    patient = client.resource("Patient", **a_patient(a_name()))
    patient.save()
    seen = client.resource(
        "Observation",
        status="final",
        code={"text": "試験"},
        subject=patient.to_reference(),
    )
    seen.save()
    within = client.execute(f"Patient/{patient.id}/Observation", method="get")
    assert [one["resource"]["id"] for one in within["entry"]] == [seen.id]
    every = {"_type": "Patient,Observation", "_id": f"{patient.id},{seen.id}"}
    both = client.execute("", method="get", params=every)
    assert {one["resource"]["id"] for one in both["entry"]} == {patient.id, seen.id}
    for path in ("Observation/_history", "_history"):
        told = client.execute(path, method="get", params={"_count": "1"})
        assert [one["resource"]["id"] for one in told["entry"]] == [seen.id]


def test_a_subscription_is_asked_for_seen_and_ended(client):
    asked = a_subscription("http://127.0.0.1:9/hook", FILTER)
    made = client.resource("Subscription", **asked)
    made.save()
    assert made["status"] == "requested"
    status = client.execute(f"Subscription/{made.id}/$status", method="get")
    assert status["type"] == "searchset"
    assert [one.id for one in client.resources("Subscription").search(_id=made.id)] == [
        made.id
    ]
    made["status"] = "off"
    made.save()
    made.delete()
    with pytest.raises(ResourceNotFound):
        client.get("Subscription", made.id)


def test_a_reference_resolves(client):
    patient = client.resource("Patient", **a_patient(a_name()))
    patient.save()
    reference = client.reference("Patient", patient.id)
    assert reference.to_resource()["name"] == patient["name"]
    assert reference.is_local
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", "nowhere").to_resource()


def test_transaction_and_batch(client, hub):
    made = client.execute("", data=a_referral(name=a_name()))
    assert made["type"] == "transaction-response"
    statuses = {one["response"]["status"] for one in made["entry"]}
    assert statuses == {"201 Created"}
    location = made["entry"][0]["response"]["location"]
    answer = client.execute(
        "", data=a_bundle(get(location.split("/_")[0]), get("Unknown/1"), type="batch")
    )
    first, second = answer["entry"]
    assert first["resource"]["id"]
    assert second["response"]["status"].startswith("404")


def test_a_referral_is_found_and_its_task_moved_under_if_match(client, hub):
    made = client.execute("", data=a_referral(name=a_name()))
    where = {
        location.split("/")[0]: "/".join(location.split("/")[:2])
        for one in made["entry"]
        if (location := one["response"].get("location"))
    }
    centre = a_caller(hub, CENTRE, "recipient")
    child = child_of(centre, where)
    theirs = client_of(centre)
    task = theirs.reference("Task", child["id"]).to_resource()
    task["status"] = "received"
    with pytest.raises(OperationOutcome) as refused:
        task.save()
    assert issue_of(refused) == "HUB-REST-009"
    version = task["meta"]["versionId"]
    held = client_of(centre, extra_headers={"If-Match": f'W/"{version}"'})
    moved = held.resource("Task", **task).update()
    assert moved["status"] == "received"
    parent = client.get(where["Task"])
    assert parent["id"]


def test_operations(client):
    patient = {
        "resourceType": "Patient",
        "address": [{"text": "鹿児島県鹿児島市架空町1-2-3"}],
    }
    data = {
        "resourceType": "Parameters",
        "parameter": [{"name": "patient", "resource": patient}],
    }
    answer = client.resources("HealthcareService").execute("$route", data=data)
    assert answer["resourceType"] == "Parameters"
    made = client.execute("", data=a_referral(name=a_name()))
    patient_id = next(
        one["response"]["location"].split("/")[1]
        for one in made["entry"]
        if one["response"].get("location", "").startswith("Patient/")
    )
    episode = client.resources("EpisodeOfCare").search(patient=patient_id).get()
    told = episode.execute("$explain-access", method="get")
    assert told["parameter"]


def test_who_it_is_not_gets_its_exceptions(client, hub, vendor):
    nobody = SyncFHIRClient(client.url, authorization="Bearer nothing")
    with pytest.raises(AuthorizationError) as unauthorised:
        nobody.resources("Patient").fetch()
    assert issue_of(unauthorised) == "HUB-AUTH-002"
    narrow = a_caller(hub, OTHER_HOSPITAL, scopes="system/Task.rs")
    with pytest.raises(ForbiddenError) as forbidden:
        client_of(narrow).resources("Patient").fetch()
    assert issue_of(forbidden) == "HUB-AUTH-003"
    patient = client.resource("Patient", **a_patient(a_name()))
    patient.save()
    stranger = client_of(a_caller(hub, OTHER_HOSPITAL))
    with pytest.raises(ResourceNotFound) as absent:
        stranger.get("Patient", patient.id)
    assert issue_of(absent) == "HUB-REST-001"


def test_capabilities_without_a_token(client):
    told = SyncFHIRClient(client.url).execute("metadata", method="get")
    assert told["resourceType"] == "CapabilityStatement"


def test_the_async_client_does_the_same(vendor):
    async def flow():
        client = async_client_of(vendor)
        name = a_name()
        patient = client.resource("Patient", **a_patient(name))
        await patient.save()
        patient["gender"] = "female"
        await patient.save()
        others = [client.resource("Patient", **a_patient(name)) for _ in range(3)]
        await asyncio.gather(*(one.save() for one in others))
        found = client.resources("Patient").search(name=name)
        assert await found.count() == 4
        walked = [one["id"] async for one in found.limit(1)]
        assert len(walked) == len({*walked}) == 4
        first = await client.reference("Patient", patient.id).to_resource()
        assert first["meta"]["versionId"] == "2"
        await first.refresh()
        assert (await client.reference("Patient", patient.id).to_resource())["gender"]
        bundle = a_bundle(post(a_patient(name)))
        made = await client.execute("", data={**bundle, "type": "batch"})
        assert made["entry"][0]["response"]["status"] == "201 Created"
        await others[0].delete()
        with pytest.raises(ResourceNotFound):
            await client.get("Patient", others[0].id)
        _, created = (
            await client.resources("Patient")
            .search(_id=patient.id)
            .update(client.resource("Patient", **a_patient(name, gender="male")))
        )
        assert not created
        with pytest.raises(OperationOutcome):
            await patient.patch(gender="other")
        told = await AsyncFHIRClient(client.url).execute("metadata", method="get")
        assert told["resourceType"] == "CapabilityStatement"

    asyncio.run(flow())
