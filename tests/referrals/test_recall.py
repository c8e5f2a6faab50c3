"""What was sent to the wrong recipient: taken back, and confirmed by who holds it."""

import json

import pytest

from hub.fhir import canonical
from tests.referrals.build import (
    FAR,
    HOSPITAL,
    business,
    coded,
    entry,
    reason,
    refusal,
    sent,
    state,
)
from tests.referrals.receiver import a_worker, deliver_all, receiving

FIRST, SECOND = "kagoshima-shi", "aira"
RECALLS = f"{canonical.TASK_CODE}|recall"
NAME = "見本 花子"
WHY = reason("entered-in-error") | {"text": f"{NAME} さんではありませんでした"}


def disposition(code: str = "destroyed"):
    said = coded(canonical.COPY_DISPOSITION, code)
    return entry("copy-disposition", valueCodeableConcept=said)


DESTROYED = disposition()
NOTE = [{"text": "4月1日、保健所の係長から電話で聞いた"}]


@pytest.fixture
def first(hub):
    return hub.caller(FIRST, "recipient")


def recalled(referral):
    """The sender finds out that this was sent in error."""
    parent = referral.parent()
    return referral.source.move(parent, status="entered-in-error", statusReason=WHY)


def recall_of(caller, referral):
    """The recall Task of this referral as a caller sees it."""
    found = [
        task
        for task in caller.search(f"/Task?code={RECALLS}&_count=200")
        if task["groupIdentifier"] == referral.parent()["groupIdentifier"]
    ]
    assert len(found) <= 1
    return found[0] if found else None


def confirmers(task):
    return [
        one["valueReference"]["reference"]
        for one in task["output"]
        if one["type"]["coding"][0]["code"] == "confirmed-by"
    ]


def test_the_whole_story_of_a_recall(hub, first):
    with receiving(hub, FIRST, HOSPITAL) as receiver:
        worker = a_worker(hub, receiver)
        referral = sent(hub, name=NAME)
        deliver_all(worker)
        first.read(f"/Patient/{referral.patient}")
        recalled(referral)

        # Closed at once, also to a token from before; one Task is left, without a name.
        refs = [*referral.refs, f"Task/{referral.child()['id']}"]
        assert {first.get(f"/{ref}").status_code for ref in refs} == {404}
        assert first.get(f"/EpisodeOfCare/{referral.case}").status_code == 404
        asked = recall_of(first, referral)
        assert state(asked) == ("requested", None)
        assert asked["owner"]["reference"].startswith("HealthcareService/")
        assert NAME not in json.dumps(asked, ensure_ascii=False)
        assert referral.patient not in json.dumps(asked)

        # The notice brings the same question, and nothing about the person.
        deliver_all(worker)
        notice = receiver.bodies[FIRST][-1].decode()
        tasks = [one["resource"] for one in json.loads(notice)["entry"]]
        assert [t["status"] for t in tasks] == ["entered-in-error", "requested"]
        assert tasks[1]["code"]["coding"][0]["code"] == "recall"
        assert (
            tasks[1]["focus"]["reference"] == json.loads(notice)["entry"][0]["fullUrl"]
        )
        assert NAME not in notice
        assert referral.patient not in notice

        # The sender sees that nothing is confirmed yet, then that it is, and by whom.
        assert recall_of(referral.source, referral)["status"] == "requested"
        first.move(asked, status="completed", output=[DESTROYED])
        done = recall_of(referral.source, referral)
        assert done["status"] == "completed"
        assert DESTROYED in done["output"]
        assert confirmers(done) == [f"Organization/{FIRST}"]
        deliver_all(worker)
        told = json.loads(receiver.bodies[HOSPITAL][-1])["entry"]
        assert told[0]["resource"]["status"] == "completed"


def test_the_sender_records_a_confirmation_by_telephone(hub, first):
    referral = sent(hub)
    first.read(f"/Patient/{referral.patient}")
    recalled(referral)
    source = referral.source
    asked = recall_of(source, referral)
    bare = source.change(asked, status="completed", output=[disposition("returned")])
    assert refusal(bare) == (422, ["HUB-REF-041"])
    done = source.move(
        asked, status="completed", output=[disposition("returned")], note=NOTE
    )
    assert confirmers(recall_of(source, referral)) == [f"Organization/{HOSPITAL}"]
    moves = source.search(f"/Provenance?target=Task/{done['id']}")
    agents = {m["agent"][0]["who"]["reference"] for m in moves}
    assert agents <= {f"Organization/{HOSPITAL}", "Organization/tsunagi-hub"}


def test_who_holds_no_copy_is_asked_nothing_and_sees_nothing(hub, first):
    referral = sent(hub)
    recalled(referral)
    assert recall_of(referral.source, referral) is None
    assert recall_of(first, referral) is None
    assert {first.get(f"/{ref}").status_code for ref in referral.refs} == {404}


def test_every_desk_that_held_it_is_asked_and_sees_its_own_recall_alone(hub, first):
    second = hub.caller(SECOND, "recipient")
    referral = sent(hub, address=FAR)
    first.read(f"/Patient/{referral.patient}")
    first.move(
        referral.child(FIRST),
        status="rejected",
        businessStatus=business("transferred"),
        statusReason=reason("lives-elsewhere"),
    )
    second.read(f"/Patient/{referral.patient}")
    recalled(referral)
    number = referral.parent()["groupIdentifier"]["value"]
    query = f"/Task?code={RECALLS}&group-identifier={number}&_count=50"
    asked = referral.source.search(query)
    assert len(asked) == 2
    holders = [
        one["valueReference"]["reference"]
        for one in referral.parent()["output"]
        if one["type"]["coding"][0]["code"] == "holder"
    ]
    assert sorted(holders) == [f"Organization/{SECOND}", f"Organization/{FIRST}"]


def test_one_desk_of_a_case_recalled_by_its_own_task(hub, first):
    referral = sent(hub)
    first.read(f"/Patient/{referral.patient}")
    child = referral.child()
    referral.source.move(child, status="entered-in-error", statusReason=WHY)
    assert recall_of(first, referral)["focus"] == {"reference": f"Task/{child['id']}"}
    assert first.get(f"/Patient/{referral.patient}").status_code == 404
    assert referral.parent()["status"] == "entered-in-error"


def test_a_holder_may_decline_with_a_reason_and_confirm_later(hub, first):
    referral = sent(hub)
    first.read(f"/Patient/{referral.patient}")
    recalled(referral)
    asked = recall_of(first, referral)
    bare = first.change(asked, status="rejected")
    assert refusal(bare) == (422, ["HUB-REF-003"])
    why = {"text": "保存の義務があり、確認しています"}
    declined = first.move(asked, status="rejected", statusReason=why)
    assert recall_of(referral.source, referral)["status"] == "rejected"
    first.move(declined, status="completed", output=[disposition("never-held")])
    assert recall_of(referral.source, referral)["status"] == "completed"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"status": "completed"}, "HUB-REF-040"),
        ({"status": "completed", "output": [DESTROYED, DESTROYED]}, "HUB-REF-040"),
        (
            {"status": "completed", "output": [entry("report", valueString="済")]},
            "HUB-REF-040",
        ),
        (
            {"status": "completed", "output": [DESTROYED], "owner": None},
            "HUB-REF-004",
        ),
        (
            {"status": "completed", "output": [DESTROYED], "description": "x"},
            "HUB-REF-004",
        ),
        ({"status": "cancelled"}, "HUB-REF-001"),
        ({"status": "entered-in-error"}, "HUB-REF-001"),
        ({"note": [{"text": "あとで"}]}, "HUB-REF-001"),
    ],
)
def test_a_recall_is_answered_in_no_other_way(hub, first, changes, found):
    referral = sent(hub)
    first.read(f"/Patient/{referral.patient}")
    recalled(referral)
    asked = recall_of(first, referral)
    status, ids = refusal(first.change(asked, **changes))
    assert status in (403, 409, 422)
    assert ids[0] == found
    assert recall_of(first, referral)["meta"] == asked["meta"]


def test_a_confirmation_is_never_unsaid(hub, first):
    referral = sent(hub)
    first.read(f"/Patient/{referral.patient}")
    recalled(referral)
    first.move(recall_of(first, referral), status="completed", output=[DESTROYED])
    done = recall_of(referral.source, referral)
    for caller in (first, referral.source):
        for changes in ({"status": "requested"}, {"output": None}, {"note": NOTE}):
            assert refusal(caller.change(done, **changes))[1] == ["HUB-REF-001"]


def test_G4_a_recall_of_others_is_as_none(hub, first):
    referral = sent(hub)
    first.read(f"/Patient/{referral.patient}")
    recalled(referral)
    asked = recall_of(first, referral)
    stranger = hub.caller("naze", "recipient")
    hidden = stranger.get(f"/Task/{asked['id']}")
    absent = stranger.get("/Task/00000000-0000-4000-8000-000000000000")
    assert hidden.status_code == 404
    assert hidden.content == absent.content
    other = hub.caller("4619999925", "source")
    assert recall_of(hub.caller("naze", "recipient"), referral) is None
    assert other.get(f"/Task/{asked['id']}").content == absent.content


def test_nobody_makes_a_recall_but_the_hub(hub, first):
    referral = sent(hub)
    task = referral.child()
    mine = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": coded(canonical.TASK_CODE, "recall"),
        "focus": {"reference": f"Task/{task['id']}"},
        "for": {"reference": f"Patient/{referral.patient}"},
    }
    for caller in (referral.source, hub.caller(FIRST, "recipient", "source")):
        assert refusal(caller.post("/Task", mine))[1] == ["HUB-REF-002"]
    changed = referral.source.change(task, code=coded(canonical.TASK_CODE, "recall"))
    assert refusal(changed)[1] == ["HUB-REF-004"]


def test_a_recall_and_its_answer_are_audited_with_their_person(hub, first):
    referral = sent(hub)
    first.read(f"/Patient/{referral.patient}")
    recalled(referral)
    asked = recall_of(first, referral)
    first.move(asked, status="completed", output=[DESTROYED])
    privacy = hub.caller("tsunagi-hub", "privacy")
    rows = privacy.search(f"/AuditEvent?patient={referral.patient}&_count=200")
    about = [
        (row["action"], row["agent"][-2]["who"].get("reference"))
        for row in rows
        if any(
            f"Task/{asked['id']}" in entity.get("what", {}).get("reference", "")
            for entity in row["entity"]
        )
    ]
    assert ("C", "Organization/tsunagi-hub") in about
    assert ("U", f"Organization/{FIRST}") in about
