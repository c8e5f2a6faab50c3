"""MeasureReport: of one person it is case data, of many its author's own."""

import uuid

import pytest

from tests.restful.build import (
    CENTRE,
    HOSPITAL,
    OTHER_CENTRE,
    a_caller,
    refusal,
    submit,
)
from tests.restful.least import least


@pytest.fixture(scope="module")
def centre_client(hub):
    return hub.caller(CENTRE, "recipient")


def _summary(**over):
    return least("MeasureReport", **over)


def test_a_desk_keeps_its_own_counts(hub, centre_client):
    """With the preset scopes of a recipient, and without drafts."""
    answer = centre_client.post("/MeasureReport", _summary())
    assert answer.status_code == 201, answer.text
    id = answer.json()["id"]
    assert centre_client.get(f"/MeasureReport/{id}").status_code == 200
    assert len(centre_client.search(f"/MeasureReport?_id={id}")) == 1
    others = [hub.caller(OTHER_CENTRE, "recipient"), a_caller(hub, HOSPITAL)]
    for other in others:
        absent = other.get(f"/MeasureReport/{uuid.uuid4()}")
        hidden = other.get(f"/MeasureReport/{id}")
        assert hidden.content == absent.content
        assert hidden.status_code == 404
        assert other.search(f"/MeasureReport?_id={id}") == []


def test_own_counts_do_not_expire(hub, centre_client):
    id = centre_client.post("/MeasureReport", _summary()).json()["id"]
    with hub.database.engine.connect() as session:
        expires = session.exec_driver_sql(
            f"SELECT expires FROM draft WHERE id = '{id}'"
        ).scalar_one()
    assert expires > 250_000_000_000_000_000


@pytest.mark.parametrize("type", ["summary", "subject-list", "data-collection"])
def test_a_report_of_many_leads_to_nobody(hub, type):
    desk = a_caller(hub, CENTRE, "recipient")
    made = submit(a_caller(hub, HOSPITAL))
    to, person = {"reference": made["Patient"]}, {"resourceType": "Patient", "id": "p"}
    for leading in (
        {"subject": to},
        {"evaluatedResource": [to]},
        {"evaluatedResource": [{"reference": "Patient/unknown"}]},
        {"contained": [person], "subject": {"reference": "#p"}},
    ):
        answer = desk.post("/MeasureReport", _summary(type=type, **leading))
        assert answer.status_code == 422, leading
    stored = desk.post("/MeasureReport", _summary(type=type)).json()
    path = f"/MeasureReport/{stored['id']}"
    for change in ({"subject": to}, {"type": "individual", "subject": to}):
        answer = desk.put(path, {**stored, **change})
        assert refusal(answer) == (422, "HUB-REST-064")
    assert desk.put(path, {**stored, "status": "pending"}).status_code == 200
    assert desk.request("DELETE", path).status_code == 204


def test_a_report_of_one_person_never_becomes_an_own_one(hub):
    desk = a_caller(hub, CENTRE, "recipient")
    made = submit(a_caller(hub, HOSPITAL))
    to = {"reference": made["Patient"]}
    sent = _summary(type="individual", subject=to)
    stored = desk.post("/MeasureReport", sent).json()
    answer = desk.put(f"/MeasureReport/{stored['id']}", {**stored, "type": "summary"})
    assert refusal(answer) == (422, "HUB-REST-064")
