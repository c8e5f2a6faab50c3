"""A referral from its submission to its end, over HTTP."""

from typing import Any

import pytest

from hub.fhir import canonical
from tests.referrals.build import (
    HOSPITAL,
    PHONE_CALL,
    business,
    coded,
    entry,
    reason,
    refusal,
    sent,
    state,
)

CENTRE = "kagoshima-shi"


@pytest.fixture
def centre(hub):
    return hub.caller(CENTRE, "recipient")


@pytest.mark.parametrize("givers", [("person",), ("family",), ("person", "family")])
def test_a_referral_with_a_consent_reaches_the_centre(hub, centre, givers):
    referral = sent(hub, givers=givers)
    child = referral.child(CENTRE)
    assert state(child) == ("requested", None)
    assert child["owner"]["reference"] == f"HealthcareService/{CENTRE}"
    assert child["groupIdentifier"] == referral.parent()["groupIdentifier"]
    assert child["focus"]["reference"] == f"ServiceRequest/{referral.service_request}"
    number = child["groupIdentifier"]["value"]
    query = f"owner=HealthcareService/{CENTRE}&group-identifier={number}"
    assert [task["id"] for task in centre.search(f"/Task?{query}")] == [child["id"]]


def test_the_whole_way_to_the_end(hub, centre):
    referral = sent(hub)
    steps: list[tuple[str, str | None, dict[str, Any]]] = [
        ("received", None, {}),
        (
            "accepted",
            None,
            {"output": [entry("received-on", valueDate="2026-04-02")]},
        ),
        ("in-progress", "contact-attempted", {}),
        ("in-progress", "scheduled", {}),
        ("in-progress", "no-show", {}),
        ("in-progress", "scheduled", {}),
        ("in-progress", "visited", {}),
        ("on-hold", None, {"statusReason": reason("hospitalised")}),
        ("in-progress", "monitoring", {"statusReason": None}),
    ]
    task = referral.child(CENTRE)
    for status, code, more in steps:
        wanted = business(code) if code else None
        task = centre.move(task, status=status, businessStatus=wanted, **more)
        assert state(task) == (status, code)
        assert state(referral.parent()) == (status, code)
    ended = centre.move(
        task,
        status="completed",
        output=[
            *task["output"],
            entry(
                "outcome",
                valueCodeableConcept=coded(canonical.OUTCOME, "support-completed"),
            ),
        ],
    )
    assert ended["status"] == "completed"
    parent = referral.parent()
    assert parent["status"] == "completed"
    assert parent["output"] == ended["output"]
    episode = referral.source.read(f"/EpisodeOfCare/{referral.case}")
    assert episode["status"] == "finished"
    assert episode["period"]["end"]


def test_KG_13_support_not_needed_is_an_outcome(hub, centre):
    referral = sent(hub)
    task = _started(referral, centre)
    outcome = coded(canonical.OUTCOME, "support-not-needed")
    centre.move(
        task,
        status="completed",
        output=[entry("outcome", valueCodeableConcept=outcome)],
    )
    parent = referral.parent()
    assert parent["status"] == "completed"
    assert parent["output"][0]["valueCodeableConcept"] == outcome


@pytest.mark.parametrize("why", ["unreachable", "person-declined", "provider-unable"])
def test_support_may_fail_and_says_why(hub, centre, why):
    referral = sent(hub)
    task = _started(referral, centre)
    without = centre.change(task, status="failed", statusReason=reason(why))
    assert refusal(without) == (422, ["HUB-REF-024"])
    centre.move(
        task,
        status="failed",
        businessStatus=business(why),
        statusReason=reason(why),
        output=[entry("contact-log", valueString="三回電話した")],
    )
    assert state(referral.parent()) == ("failed", why)


def test_a_question_waits_for_the_senders_answer(hub, centre):
    referral = sent(hub)
    task = referral.child(CENTRE)
    asking = {
        "status": "received",
        "businessStatus": business("awaiting-information"),
    }
    assert refusal(centre.change(task, **asking)) == (422, ["HUB-REF-009"])
    centre.move(task, **asking, note=[{"text": "退院の予定日をお知らせください"}])
    parent = referral.parent()
    assert state(parent) == ("received", "awaiting-information")
    answer = entry("answer", valueString="来週の月曜日です")
    referral.source.move(parent, input=[*parent["input"], answer])
    task = referral.child(CENTRE)
    assert state(task) == ("received", None)
    assert answer in task["input"]
    assert state(referral.parent()) == ("received", None)


def test_the_sender_may_answer_in_the_childs_own_task(hub, centre):
    referral = sent(hub)
    centre.move(
        referral.child(CENTRE),
        status="received",
        businessStatus=business("awaiting-information"),
        note=[{"text": "連絡のつく時間帯は"}],
    )
    task = referral.child()
    answer = entry("answer", valueString="夕方")
    referral.source.move(task, input=[*task["input"], answer])
    assert state(referral.child(CENTRE)) == ("received", None)
    assert state(referral.parent()) == ("received", None)


def test_the_sender_adds_but_neither_alters_nor_removes(hub, centre):
    referral = sent(hub)
    centre.move(referral.child(CENTRE), note=[{"text": "折り返します"}])
    task = referral.child()
    assert refusal(referral.source.change(task, input=task["input"][:1])) == (
        422,
        ["HUB-REF-004"],
    )
    assert refusal(referral.source.change(task, note=None))[1] == ["HUB-REF-004"]
    assert refusal(referral.source.change(task, output=[PHONE_CALL]))[1] == [
        "HUB-REF-004"
    ]


def test_KG_05_awaits_the_phone_call_until_it_is_recorded(hub, centre):
    referral = sent(hub, inputs=())
    assert state(referral.child(CENTRE)) == ("requested", "awaiting-phone")
    assert state(referral.parent()) == ("requested", "awaiting-phone")
    referral.source.move(referral.parent(), input=[PHONE_CALL])
    assert state(referral.child(CENTRE)) == ("requested", None)
    assert state(referral.parent()) == ("requested", None)


def test_a_decline_without_another_desk_comes_back_to_the_sender(hub, centre):
    referral = sent(hub)
    task = centre.move(
        referral.child(CENTRE), status="rejected", statusReason=reason("capacity")
    )
    assert state(task) == ("rejected", "declined")
    assert state(referral.parent()) == ("rejected", "declined")
    assert centre.get(f"/Patient/{referral.patient}").status_code == 404


def test_an_acceptance_may_be_undone_while_nothing_is_recorded(hub, centre):
    referral = sent(hub)
    task = centre.move(referral.child(CENTRE), status="accepted")
    bare = centre.change(task, status="received")
    assert refusal(bare) == (422, ["HUB-REF-003"])
    task = centre.move(task, status="received", statusReason=reason("wrong-desk"))
    assert referral.parent()["status"] == "accepted", "the parent never moves back"
    task = centre.move(task, status="accepted")
    record = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "VR",
        },
        "subject": {"reference": f"Patient/{referral.patient}"},
    }
    assert centre.post("/Encounter", record).status_code == 201
    undone = centre.change(task, status="received", statusReason=reason())
    assert refusal(undone) == (409, ["HUB-REF-008"])


def test_the_sender_cancels_before_support_begins(hub, centre):
    referral = sent(hub)
    centre.move(referral.child(CENTRE), status="accepted")
    parent = referral.parent()
    assert refusal(referral.source.change(parent, status="cancelled")) == (
        422,
        ["HUB-REF-003"],
    )
    referral.source.move(parent, status="cancelled", statusReason=reason())
    assert referral.child(CENTRE)["status"] == "cancelled"
    episode = referral.source.read(f"/EpisodeOfCare/{referral.case}")
    assert episode["status"] == "cancelled"


def test_the_sender_cancels_the_child_itself_as_well(hub, centre):
    referral = sent(hub)
    task = referral.child()
    by_centre = centre.change(
        referral.child(CENTRE), status="cancelled", statusReason=reason()
    )
    assert refusal(by_centre) == (403, ["HUB-REF-002"])
    referral.source.move(task, status="cancelled", statusReason=reason())
    assert referral.parent()["status"] == "cancelled"


def test_after_the_start_the_sender_can_only_ask_to_stop(hub, centre):
    referral = sent(hub)
    task = _started(referral, centre)
    cancelled = referral.source.change(
        referral.parent(), status="cancelled", statusReason=reason()
    )
    assert refusal(cancelled) == (409, ["HUB-REF-027"])
    abort = _abort(referral, task)
    made = referral.source.post("/Task", abort)
    assert made.status_code == 201, made.text
    asked = centre.read(f"/Task/{made.json()['id']}")
    assert asked["owner"]["reference"] == f"HealthcareService/{CENTRE}"
    declined = centre.change(asked, status="rejected")
    assert refusal(declined) == (422, ["HUB-REF-003"])
    centre.move(asked, status="accepted")
    task = referral.child(CENTRE)
    assert state(task) == ("failed", None)
    assert task["statusReason"]["text"] == "転居のため"
    assert state(referral.parent()) == ("failed", None)


def test_a_declined_abort_changes_nothing(hub, centre):
    referral = sent(hub)
    task = _started(referral, centre)
    made = referral.source.post("/Task", _abort(referral, task)).json()
    by_source = referral.source.change(made, status="accepted")
    assert refusal(by_source) == (403, ["HUB-REF-002"])
    centre.move(
        centre.read(f"/Task/{made['id']}"), status="rejected", statusReason=reason()
    )
    assert referral.child(CENTRE)["status"] == "in-progress"


def test_an_abort_is_no_child_whatever_the_sender_writes_into_it(hub, centre):
    referral = sent(hub)
    task = _started(referral, centre)
    mark = f"{canonical.ROOT}/StructureDefinition/responsible-desk"
    elsewhere = {"reference": "HealthcareService/naze"}
    dressed = _abort(referral, task) | {
        "partOf": [{"reference": f"Task/{referral.parent_id}"}],
        "owner": elsewhere,
        "extension": [{"url": mark, "valueReference": elsewhere}],
    }
    made = referral.source.post("/Task", dressed).json()
    assert made["owner"]["reference"] == f"HealthcareService/{CENTRE}"
    assert referral.parent()["status"] == "in-progress"
    centre.move(centre.read(f"/Task/{made['id']}"), status="accepted")
    assert state(referral.parent()) == ("failed", None)


def test_an_abort_names_a_task_under_way_and_comes_from_the_sender(hub, centre):
    referral = sent(hub)
    task = referral.child(CENTRE)
    early = referral.source.post("/Task", _abort(referral, task))
    assert refusal(early) == (422, ["HUB-REF-028"])
    task = _started(referral, centre)
    bare = {k: v for k, v in _abort(referral, task).items() if k != "reasonCode"}
    assert refusal(referral.source.post("/Task", bare)) == (422, ["HUB-REF-028"])
    other = _abort(referral, task) | {
        "code": coded("http://hl7.org/fhir/CodeSystem/task-code", "fulfill")
    }
    assert refusal(referral.source.post("/Task", other)) == (403, ["HUB-REF-002"])


def test_KG_23_the_owner_is_narrowed_to_an_officer_of_the_same_desk(hub, centre):
    for role, desk in (("officer-1", CENTRE), ("officer-2", "aira")):
        _put_directory(hub, _officer(role, desk))
    referral = sent(hub)
    task = referral.child(CENTRE)
    stranger = {"reference": "PractitionerRole/officer-2"}
    refused = centre.change(task, status="accepted", owner=stranger)
    assert refusal(refused) == (422, ["HUB-REF-025"])
    elsewhere = centre.change(task, owner={"reference": "HealthcareService/aira"})
    assert refusal(elsewhere) == (422, ["HUB-REF-025"])
    named = {"reference": "PractitionerRole/officer-1"}
    task = centre.move(task, status="accepted", owner=named)
    task = centre.move(
        task, status="in-progress", businessStatus=business("contact-attempted")
    )
    assert task["owner"] == named
    assert referral.parent()["status"] == "in-progress"
    by_source = referral.source.change(
        referral.child(), owner={"reference": f"HealthcareService/{CENTRE}"}
    )
    assert refusal(by_source) == (422, ["HUB-REF-004"])
    task = centre.move(task, owner={"reference": f"HealthcareService/{CENTRE}"})
    assert task["owner"]["reference"] == f"HealthcareService/{CENTRE}"


def test_every_move_leaves_a_provenance_with_its_agent(hub, centre):
    referral = sent(hub)
    task = centre.move(referral.child(CENTRE), status="received")
    task = centre.move(task, status="accepted")
    found = referral.source.search(f"/Provenance?target=Task/{task['id']}&_count=50")
    moves = {
        p["target"][0]["reference"].rpartition("/")[2]: (
            p["activity"]["coding"][0]["code"],
            p["agent"][0]["who"]["reference"],
        )
        for p in found
    }
    assert moves == {
        "1": ("disclose", "Organization/tsunagi-hub"),
        "2": ("received", f"Organization/{CENTRE}"),
        "3": ("accepted", f"Organization/{CENTRE}"),
    }


def test_two_writers_of_one_task_one_is_told_412(hub, centre):
    referral = sent(hub)
    task = referral.child(CENTRE)
    answers = [
        centre.change(task, status="received").status_code,
        centre.change(task, status="accepted").status_code,
    ]
    assert answers == [200, 412]
    bare = centre.put(f"/Task/{task['id']}", task)
    assert bare.status_code == 428


def test_an_ended_task_takes_no_more_moves(hub, centre):
    referral = sent(hub)
    task = _started(referral, centre)
    task = centre.move(task, status="completed")
    again = centre.change(task, status="in-progress")
    assert refusal(again) == (409, ["HUB-REF-001"])
    noted = centre.change(task, note=[{"text": "あとから"}])
    assert refusal(noted) == (409, ["HUB-REF-001"])


def test_a_status_that_is_not_one_of_fhirs_is_never_said_back(hub, centre):
    referral = sent(hub)
    answer = centre.change(referral.child(CENTRE), status="見本 花子")
    assert answer.status_code in (400, 409, 422)
    assert "花子" not in answer.text


def _started(referral, centre):
    task = centre.move(referral.child(CENTRE), status="accepted")
    return centre.move(
        task, status="in-progress", businessStatus=business("contact-attempted")
    )


def _abort(referral, task):
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": coded("http://hl7.org/fhir/CodeSystem/task-code", "abort"),
        "focus": {"reference": f"Task/{task['id']}"},
        "for": {"reference": f"Patient/{referral.patient}"},
        "requester": {"reference": f"Organization/{HOSPITAL}"},
        "reasonCode": {"text": "転居のため"},
    }


def _officer(id, desk):
    return {
        "resourceType": "PractitionerRole",
        "id": id,
        "active": True,
        "organization": {"reference": f"Organization/{desk}"},
        "healthcareService": [{"reference": f"HealthcareService/{desk}"}],
    }


def _put_directory(hub, resource):
    from hub.actor import Actor
    from hub.changes import By, put

    by = By(Actor("hub", "tsunagi-hub", roles=frozenset({"hub"})))
    with hub.database.transaction() as session:
        put(session, by, resource)
