"""Bundles that are documents: whole, unchanged, in the case of their subject."""

import json
import uuid

import pytest

from tests.restful.build import (
    CENTRE,
    HOSPITAL,
    OTHER_HOSPITAL,
    a_bundle,
    a_caller,
    a_patient,
    post,
    refusal,
    submit,
)
from tests.restful.least import document, least


@pytest.fixture(scope="module")
def hospital(hub):
    return a_caller(hub, HOSPITAL)


@pytest.fixture(scope="module")
def made(hospital):
    return submit(hospital)


def _document(hub, person, *more, **over):
    url = f"{hub.settings.fhir_base}/{person}"
    return least("Bundle", entry=document(url, *more), **over)


def _entry(resource, full_url=None):
    return {"fullUrl": full_url or f"urn:uuid:{uuid.uuid4()}", "resource": resource}


def test_a_document_is_stored_as_it_was_assembled(hub, hospital, made):
    """Not one reference is rewritten, not even an absolute one to this hub."""
    number = {"system": "urn:x-test", "value": str(uuid.uuid4())}
    inside = least("Observation", valueQuantity={"value": 1})
    sent = _document(hub, made["Patient"], _entry(inside), identifier=number)
    text = json.dumps(sent).replace('"value": 1}', '"value": 1.50}')
    answer = hospital.request("POST", "/Bundle", content=text.encode())
    assert answer.status_code == 201, answer.text
    stored = hospital.read(f"/Bundle/{answer.json()['id']}")
    left_out = ("id", "meta")
    assert {k: v for k, v in stored.items() if k not in left_out} == json.loads(text)
    assert "1.50" in hospital.get(f"/Bundle/{stored['id']}").text
    for query in (
        f"identifier=urn:x-test|{number['value']}",
        f"identifier={number['value']}&type=document",
        f"identifier={number['value']}&timestamp={sent['timestamp'][:10]}",
    ):
        assert hospital.search(f"/Bundle?{query}") == [stored], query


@pytest.mark.parametrize(
    "type", ["collection", "searchset", "transaction", "batch", "history"]
)
def test_only_a_document_is_stored(hospital, type):
    answer = hospital.post("/Bundle", {"resourceType": "Bundle", "type": type})
    assert refusal(answer) == (422, "HUB-REST-060")


def test_a_document_has_its_composition_first_and_an_identifier(hub, hospital, made):
    whole = _document(hub, made["Patient"])
    for broken in (
        {**whole, "entry": whole["entry"][::-1]},
        {k: v for k, v in whole.items() if k != "identifier"},
        {k: v for k, v in whole.items() if k != "entry"},
        {k: v for k, v in whole.items() if k != "timestamp"},
    ):
        assert hospital.post("/Bundle", broken).status_code == 422


def test_a_document_about_nobody_here_is_of_no_case(hub, hospital, made):
    for person in (f"Patient/{uuid.uuid4()}", submit(_stranger(hub))["Patient"]):
        answer = hospital.post("/Bundle", _document(hub, person))
        assert refusal(answer) == (403, "HUB-CON-012")
    foreign = least("Bundle", entry=document("https://else.example/fhir/Patient/1"))
    assert refusal(hospital.post("/Bundle", foreign)) == (403, "HUB-CON-012")


def _stranger(hub):
    return a_caller(hub, OTHER_HOSPITAL)


def test_G5_what_a_document_mentions_and_nobody_sees_tells_nothing(hub, hospital, made):
    theirs = submit(_stranger(hub))["QuestionnaireResponse"]
    answers = []
    for hidden in (theirs, f"QuestionnaireResponse/{uuid.uuid4()}"):
        about = least("Observation", derivedFrom=[{"reference": hidden}])
        answer = hospital.post(
            "/Bundle", _document(hub, made["Patient"], _entry(about))
        )
        answers.append((answer.status_code, answer.text.count("HUB-")))
    assert answers[0] == answers[1]


def test_a_document_tells_of_one_person(hub, hospital, made):
    base, person = hub.settings.fhir_base, made["Patient"]
    other = submit(hospital)["Patient"]
    more = [
        _entry(a_patient()),
        _entry(a_patient(id=other[8:]), f"{base}/{other}"),
    ]
    for entry in more:
        answer = hospital.post("/Bundle", _document(hub, person, entry))
        assert refusal(answer) == (422, "HUB-REF-017"), answer.text


def test_a_document_is_never_changed(hub, hospital, made):
    stored = hospital.post("/Bundle", _document(hub, made["Patient"])).json()
    path = f"/Bundle/{stored['id']}"
    assert refusal(hospital.put(path, stored)) == (405, "HUB-REST-004")
    assert hospital.request("PATCH", path, content=b"[]").status_code == 405


def test_what_a_sender_assembles_is_of_its_referral_and_not_feedback(hub, hospital):
    desk = a_caller(hub, CENTRE, "recipient")
    made = submit(hospital)
    sent = hospital.post("/Bundle", _document(hub, made["Patient"])).json()
    told = desk.post("/Bundle", _document(hub, made["Patient"])).json()
    with hub.database.engine.connect() as session:
        classes = [
            session.exec_driver_sql(
                f"SELECT data_class FROM case_resource WHERE id = '{one['id']}'"
            ).scalar_one()
            for one in (sent, told)
        ]
    assert classes == [2, 32]


def test_F13_a_transaction_takes_a_document_of_a_known_person(hub, hospital, made):
    answer = hospital.post("", a_bundle(post(_document(hub, made["Patient"]))))
    assert answer.status_code == 200, answer.text
    path = answer.json()["entry"][0]["response"]["location"].split("/_")[0]
    assert hospital.read(f"/{path}")["entry"][1]["fullUrl"].endswith(made["Patient"])
