"""A change leads into no other case, and learns of none (G4, G5, AB5)."""

import uuid

import pytest

from tests.restful.build import child_of, refusal, submit


@pytest.fixture
def observation(source, centre):
    """(one's own Observation in a case, the person of another case)."""
    made, other = submit(source), submit(source)
    centre.move(child_of(centre, made), status="accepted")
    body = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "様子"},
        "subject": {"reference": made["Patient"]},
    }
    answer = centre.post(
        "/Observation", body, headers={"Prefer": "return=representation"}
    )
    return answer.json(), other


def test_a_change_refers_to_nothing_of_another_case(centre, observation):
    own, other = observation
    changed = own | {"focus": [{"reference": other["Patient"]}]}
    answer = centre.put(f"/Observation/{own['id']}", changed)
    assert refusal(answer) == (422, "HUB-REF-017")


def test_AB5_in_a_change_hidden_and_dangling_references_look_alike(
    centre, stranger, observation
):
    own, _ = observation
    hidden = submit(stranger)["Patient"]
    answers = [
        centre.put(
            f"/Observation/{own['id']}",
            own | {"focus": [{"reference": reference}]},
            headers={"X-Request-ID": "same"},
        )
        for reference in (hidden, f"Patient/{uuid.uuid4()}")
    ]
    assert {one.status_code for one in answers} == {200}
    seen = [one.json()["focus"][0]["reference"] for one in answers]
    found = centre.search(f"/Observation?_id={own['id']}&_include=Observation:focus")
    assert seen[0] == hidden
    assert [one["resourceType"] for one in found] == ["Observation"]


@pytest.mark.parametrize(
    "since",
    [
        "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
        "1 Jan 99999999999999999999 0:0",
    ],
)
def test_F18_a_date_beyond_every_calendar_is_no_date(source, since):
    made = submit(source)
    answer = source.get(f"/{made['Patient']}", headers={"If-Modified-Since": since})
    assert answer.status_code == 200
