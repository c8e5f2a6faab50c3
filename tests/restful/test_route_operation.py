"""`HealthcareService/$route`: a dry run that stores nothing but its audit row."""

from typing import Any

import pytest

from hub.fhir import canonical
from tests.restful.build import (
    HOSPITAL,
    a_patient,
    a_request,
    count,
    refusal,
    stored,
)

PATH = "/HealthcareService/$route"
WISH = {"url": canonical.NEAREST_CENTRE, "valueBoolean": True}


def _asked(*parameters, address="鹿児島県鹿児島市架空町1-2-3"):
    patient = a_patient(address=[{"text": address}])
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "patient", "resource": patient}, *parameters],
    }


def _told(answer):
    assert answer.status_code == 200, answer.text
    found: dict[str, list[Any]] = {}
    for one in answer.json()["parameter"]:
        found.setdefault(one["name"], []).append(one)
    return found


def test_KG_11_the_sources_own_centre_receives(hub, source):
    before, events = stored(hub), count(hub, "audit_event")
    told = _told(source.post(PATH, _asked()))
    desk = told["initial"][0]["valueReference"]
    assert desk["reference"] == "HealthcareService/kagoshima-shi"
    assert told["advise"][0]["valueBoolean"] is False
    assert len(told["trace"]) >= 1
    assert stored(hub) == before
    assert count(hub, "audit_event") == events + 1


def test_KG_11_the_centre_of_residence_is_named(source):
    told = _told(source.post(PATH, _asked(address="鹿児島県霧島市架空町1")))
    assert (
        told["residence"][0]["valueReference"]["reference"] == "HealthcareService/aira"
    )


def test_KG_12_out_of_prefecture_is_advised_and_the_wish_routes(hub, source):
    before = stored(hub)
    asked = _asked(address="東京都千代田区架空町1")
    told = _told(source.post(PATH, asked))
    assert told["advise"][0]["valueBoolean"] is True
    assert "initial" not in told
    request = a_request("Patient/x", subject={"display": "架空"}, extension=[WISH])
    asked["parameter"].append({"name": "request", "resource": request})
    told = _told(source.post(PATH, asked))
    desk = told["initial"][0]["valueReference"]["reference"]
    assert desk == "HealthcareService/kagoshima-shi"
    assert stored(hub) == before


def test_another_source_may_be_asked_for(centre):
    other = {
        "name": "source",
        "valueReference": {"reference": "Organization/4619999925"},
    }
    told = _told(centre.post(PATH, _asked(other)))
    assert told["initial"]


def test_a_programme_may_be_named(source):
    plan = canonical.plan_definition("kagoshima")
    for key in ("valueUri", "valueCanonical"):
        one = {"name": "programme", key: plan}
        assert _told(source.post(PATH, _asked(one)))["initial"]


@pytest.mark.parametrize(
    ("parameters", "status", "id"),
    [
        ([], 400, "HUB-REST-024"),
        ([{"name": "patient", "valueString": "x"}], 400, "HUB-REST-024"),
        (
            [{"name": "patient", "resource": a_request("Patient/x")}],
            400,
            "HUB-REST-024",
        ),
        ([{"name": "nonsense", "valueString": "x"}], 400, "HUB-REST-035"),
    ],
)
def test_missing_and_wrong_parameters_are_400(source, parameters, status, id):
    body = {"resourceType": "Parameters"}
    if parameters:
        body["parameter"] = parameters
    answer = source.post(PATH, body)
    assert refusal(answer) == (status, id)


@pytest.mark.parametrize(
    ("parameter", "status", "id"),
    [
        (
            {"name": "source", "valueReference": {"reference": "Organization/never"}},
            400,
            "HUB-REST-024",
        ),
        (
            {"name": "source", "valueReference": {"reference": f"Patient/{HOSPITAL}"}},
            400,
            "HUB-REST-024",
        ),
        ({"name": "source", "valueReference": {"display": "x"}}, 400, "HUB-REST-024"),
        ({"name": "source", "valueString": HOSPITAL}, 400, "HUB-REST-024"),
        ({"name": "programme", "valueString": "kagoshima"}, 400, "HUB-REST-024"),
        ({"name": "programme", "valueUri": "urn:x"}, 422, "HUB-PROG-002"),
        ({"name": "request", "resource": a_patient()}, 400, "HUB-REST-024"),
        ({"name": "patient", "resource": a_patient()}, 400, "HUB-REST-024"),
        (
            {"name": "request", "resource": {"resourceType": "ServiceRequest"}},
            422,
            "HUB-VAL-004",
        ),
    ],
)
def test_a_wrong_parameter_beside_the_patient_is_refused(source, parameter, status, id):
    answer = source.post(PATH, _asked(parameter))
    assert answer.status_code == status, answer.text
    if not id.startswith("HUB-VAL"):
        assert refusal(answer) == (status, id)


def test_another_resource_than_parameters_is_400(source):
    assert refusal(source.post(PATH, a_patient())) == (400, "HUB-REST-024")


def test_an_unknown_query_parameter_is_400(source):
    answer = source.post(f"{PATH}?x=1", _asked())
    assert refusal(answer) == (400, "HUB-SEARCH-001")


def test_a_client_of_no_organisation_in_the_directory_names_a_source(hub):
    nobody = hub.caller("4610000000", "source")
    assert refusal(nobody.post(PATH, _asked())) == (400, "HUB-REST-024")
