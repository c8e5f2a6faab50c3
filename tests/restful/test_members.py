"""Group, List, CareTeam: members seen by the adder then, by the reader now (G6)."""

import json
import uuid

import pytest

from tests.restful.build import (
    CENTRE,
    HOSPITAL,
    OTHER_HOSPITAL,
    a_bundle,
    a_caller,
    post,
    refusal,
    submit,
    urn,
)
from tests.restful.least import least

MEMBERSHIPS = ("Group", "List", "CareTeam")


@pytest.fixture(scope="module")
def hospital(hub):
    return a_caller(hub, HOSPITAL)


@pytest.fixture(scope="module")
def desk(hub):
    return a_caller(hub, CENTRE, "recipient")


def _with(kind, person, *members):
    """A resource of the person's case with these members."""
    to = [{"reference": one} for one in (person, *members)]
    match kind:
        case "Group":
            return least(kind, member=[{"entity": one} for one in to])
        case "List":
            subject = {"reference": person}
            return least(kind, subject=subject, entry=[{"item": one} for one in to])
    subject = {"reference": person}
    return least(kind, subject=subject, participant=[{"member": one} for one in to])


def _member(kind, caller, made):
    """Something of the case that may be a member of this kind."""
    if kind == "List":
        body = least("Observation", subject={"reference": made["Patient"]})
        return f"Observation/{caller.post('/Observation', body).json()['id']}"
    return made["Patient"]


@pytest.mark.parametrize("kind", MEMBERSHIPS)
def test_G6_members_are_of_the_case_and_seen_by_the_adder(hub, hospital, kind):
    made, other = submit(hospital), submit(hospital)
    hidden = submit(a_caller(hub, OTHER_HOSPITAL))["Patient"]
    member = _member(kind, hospital, made)
    answer = hospital.post(f"/{kind}", _with(kind, made["Patient"], member))
    assert answer.status_code == 201, answer.text
    stored = answer.json()
    mine = hospital.post(f"/{kind}", _with(kind, made["Patient"], other["Patient"]))
    assert refusal(mine) == (422, "HUB-REF-017")
    path = f"/{kind}/{stored['id']}"
    answers = []
    for someone in (hidden, f"Patient/{uuid.uuid4()}"):
        changed = {**_with(kind, made["Patient"], member, someone), "id": stored["id"]}
        answers.append(hospital.post(f"/{kind}", changed))
        answers.append(hospital.put(path, changed))
    assert {refusal(a) for a in answers} == {(422, "HUB-REST-016")}
    assert answers[0].content == answers[2].content
    assert answers[1].content == answers[3].content
    assert hospital.read(path) == stored


@pytest.mark.parametrize("kind", MEMBERSHIPS)
def test_G6_a_member_is_added_by_patch_as_by_update(hub, hospital, kind):
    made = submit(hospital)
    stored = hospital.post(f"/{kind}", _with(kind, made["Patient"])).json()
    name, item = {
        "Group": ("member", "entity"),
        "List": ("entry", "item"),
        "CareTeam": ("participant", "member"),
    }[kind]
    hidden = submit(a_caller(hub, OTHER_HOSPITAL))["Patient"]
    patch = [
        {"op": "add", "path": f"/{name}/-", "value": {item: {"reference": hidden}}}
    ]
    answer = hospital.request(
        "PATCH",
        f"/{kind}/{stored['id']}",
        content=json.dumps(patch).encode(),
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert refusal(answer) == (422, "HUB-REST-016")


def test_G6_what_was_a_member_makes_no_update_fail(hospital, desk):
    """A member that its adder may no longer see stays, and the List can change."""
    made = submit(hospital)
    stored = hospital.post("/List", _with("List", made["Patient"])).json()
    later = {**stored, "title": "架空"}
    answer = hospital.put(f"/List/{stored['id']}", later)
    assert answer.status_code == 200
    assert answer.json()["title"] == "架空"


def test_G6_a_draft_is_no_member_of_a_case(drafting):
    caller = a_caller(drafting, HOSPITAL)
    made = submit(caller)
    draft = (
        f"Observation/{caller.post('/Observation', least('Observation')).json()['id']}"
    )
    answer = caller.post("/List", _with("List", made["Patient"], draft))
    assert refusal(answer) == (422, "HUB-REF-017")


def test_G6_a_reader_meets_a_member_it_cannot_see_as_an_id_alone(hospital, desk):
    """A desk's List of its own record is its record too: nothing of it is told."""
    made = submit(hospital)
    record = _member("List", desk, made)
    id = desk.post("/List", _with("List", made["Patient"], record)).json()["id"]
    assert desk.read(f"/List/{id}")["entry"][1]["item"]["reference"] == record
    assert hospital.get(f"/List/{id}").status_code == 404
    assert hospital.get(f"/{record}").status_code == 404
    assert desk.search(f"/List?item={record}&_include=List:item")[1:]
    assert hospital.search(f"/List?item={record}") == []
    # What it may see of the case, it may list; the record it is not shown, not.
    refused = hospital.post("/List", _with("List", made["Patient"], record))
    assert refusal(refused) == (422, "HUB-REST-016")


def test_AB2_an_include_from_a_list_brings_nothing_hidden(hospital, desk):
    made = submit(hospital)
    record = _member("List", desk, made)
    told = desk.post(
        "/Composition",
        least(
            "Composition",
            subject={"reference": made["Patient"]},
            section=[{"title": "架空", "entry": [{"reference": record}]}],
        ),
    ).json()
    found = hospital.search(f"/Composition?_id={told['id']}&_include=Composition:entry")
    assert [one["id"] for one in found] == [told["id"]]
    assert (
        len(desk.search(f"/Composition?_id={told['id']}&_include=Composition:entry"))
        == 2
    )


def test_G6_F11_a_transaction_brings_a_list_and_its_members(hospital):
    made, other = submit(hospital), submit(hospital)
    member = urn()

    def bundle(person):
        return a_bundle(
            post(_with("List", made["Patient"], member)),
            post(least("Observation", subject={"reference": person}), member),
        )

    assert hospital.post("", bundle(made["Patient"])).status_code == 200
    # The member enters another case in the same breath: nothing of it is stored.
    before = len(hospital.search("/Observation"))
    answer = hospital.post("", bundle(other["Patient"]))
    assert refusal(answer) == (422, "HUB-REF-017")
    assert len(hospital.search("/Observation")) == before
