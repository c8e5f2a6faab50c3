"""`$explain-access` says what every door then does (security.md G9, KG-16)."""

import pytest

from hub.disclosure.classes import WHOLE, DataClass
from hub.fhir import canonical
from tests.referrals.build import FAR, HOSPITAL, business, reason, sent
from tests.restful.build import refusal
from tests.running import RunningHub

FIRST, SECOND, NOBODY = "kagoshima-shi", "aira", "naze"
EACH = [str(c.name).lower() for c in DataClass if c & WHOLE]


def parts(told, name):
    return [
        {key: [p for p in one["part"] if p["name"] == key] for key in keys_of(one)}
        for one in told["parameter"]
        if one["name"] == name
    ]


def keys_of(one):
    return {p["name"] for p in one["part"]}


def open_to(told):
    """{(organisation, class)} that the explanation says is open."""
    return {
        (
            one["organisation"][0]["valueReference"]["reference"].partition("/")[2],
            one["class"][0]["valueCoding"]["code"],
        )
        for one in parts(told, "access")
    }


def one_of_each(referral, recipient):
    """{class: path} of one resource of each data class of a case."""
    person = {"reference": f"Patient/{referral.patient}"}
    encounter = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "VR"},
        "subject": person,
    }
    message = {"resourceType": "Communication", "status": "completed"}
    made = recipient.post("/Encounter", encounter).json()["id"]
    answered = recipient.post("/Communication", message | {"subject": person}).json()
    person_, consent, form, _request, task = referral.refs
    return {
        "person": person_,
        "referral": form,
        "consent": consent,
        "status": task,
        "record": f"Encounter/{made}",
        "feedback": f"Communication/{answered['id']}",
    }


def explained(hub, referral):
    privacy = hub.caller("tsunagi-hub", "privacy")
    return privacy.read(f"/EpisodeOfCare/{referral.case}/$explain-access")


def without_recall(told):
    """The sender may see a recall of its referral, of which there is none yet."""
    return {(o, name) for o, name in open_to(told) if name != "recall"}


def enforced(hub, paths):
    """{(organisation, class)} whose resource answers 200, by every kind of caller."""
    both = "source", "recipient"
    scope = "system/*.rs"
    return {
        (organisation, name)
        for organisation in (HOSPITAL, FIRST, SECOND, NOBODY)
        for name, path in paths.items()
        if hub.caller(organisation, *both, scope=scope).get(f"/{path}").status_code
        == 200
    }


def test_G9_at_each_step_of_a_case_what_is_explained_is_what_answers(hub: RunningHub):
    first = hub.caller(FIRST, "recipient")
    referral = sent(hub, address=FAR)
    paths = one_of_each(referral, first)
    told = explained(hub, referral)
    assert without_recall(told) == enforced(hub, paths)
    assert (HOSPITAL, "record") not in open_to(told)
    assert {c for o, c in open_to(told) if o == FIRST} == {*EACH}
    first.move(
        referral.child(FIRST),
        status="rejected",
        businessStatus=business("transferred"),
        statusReason=reason("lives-elsewhere"),
    )
    told = explained(hub, referral)
    assert without_recall(told) == enforced(hub, paths)
    kept = {c for o, c in open_to(told) if o == FIRST}
    assert kept == {"person", "status", "feedback"}
    assert {c for o, c in open_to(told) if o == SECOND} == {*EACH}
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    referral.source.put(f"/Consent/{consent['id']}", consent | {"status": "inactive"})
    told = explained(hub, referral)
    assert without_recall(told) == enforced(hub, paths) == {(HOSPITAL, "status")}


def test_G9_a_recall_leaves_its_own_question_alone(hub: RunningHub):
    first = hub.caller(FIRST, "recipient")
    referral = sent(hub)
    paths = one_of_each(referral, first)
    why = reason("entered-in-error")
    parent = referral.parent()
    referral.source.move(parent, status="entered-in-error", statusReason=why)
    number = parent["groupIdentifier"]["value"]
    (asked,) = referral.source.search(
        f"/Task?group-identifier={number}&code={canonical.TASK_CODE}|recall"
    )
    told = explained(hub, referral)
    assert open_to(told) == enforced(hub, {**paths, "recall": f"Task/{asked['id']}"})
    assert {name for o, name in open_to(told) if o == FIRST} == {"recall"}


def test_G9_a_limit_is_told_and_the_words_are_japanese_with_english(hub: RunningHub):
    period = {"type": "permit", "period": {"end": "2099-03-31"}}
    referral = sent(hub, consent={"provision": period})
    told = referral.source.read(f"/EpisodeOfCare/{referral.case}/$explain-access")
    row = next(
        one
        for one in parts(told, "access")
        if one["organisation"][0]["valueReference"]["reference"].endswith(FIRST)
        and one["class"][0]["valueCoding"]["code"] == "person"
    )
    # The end of a day is the next midnight of Japan.
    assert row["until"][0]["valueInstant"] == "2099-04-01T00:00:00.000+09:00"
    assert row["basis"][0]["valueCode"] == "consent-person"
    assert row["clause"][0]["valueString"] == "health-centre"
    text = row["text"][0]
    assert "本人と家族" in text["valueString"]
    assert "2099年4月1日0時00分" in text["valueString"]
    assert "本人の同意" in text["valueString"]
    (translation,) = text["_valueString"]["extension"]
    english = translation["extension"][1]["valueString"]
    assert "consent of the person" in english
    assert "2099-04-01 00:00 JST" in english


def test_KG_16_a_former_desk_is_told_of_its_own_access_alone(hub: RunningHub):
    first = hub.caller(FIRST, "recipient")
    referral = sent(hub, address=FAR)
    path = f"/EpisodeOfCare/{referral.case}/$explain-access"
    assert {o for o, _ in open_to(first.read(path))} == {HOSPITAL, FIRST}
    first.move(
        referral.child(FIRST),
        status="rejected",
        businessStatus=business("transferred"),
        statusReason=reason("lives-elsewhere"),
    )
    told = first.read(path)
    assert {o for o, _ in open_to(told)} == {FIRST}
    assert SECOND not in str(told)
    closed = [one for one in parts(told, "grant") if not one["open"][0]["valueBoolean"]]
    assert [one["closed-because"][0]["valueCode"] for one in closed] == ["transferred"]
    assert "移管" in closed[0]["text"][0]["valueString"]
    second = hub.caller(SECOND, "recipient")
    assert {o for o, _ in open_to(second.read(path))} == {HOSPITAL, FIRST, SECOND}


def test_G4_who_does_not_see_the_case_gets_the_bytes_of_no_case(hub: RunningHub):
    referral = sent(hub)
    stranger = hub.caller(NOBODY, "recipient")
    hidden = stranger.get(f"/EpisodeOfCare/{referral.case}/$explain-access")
    absent = stranger.get("/EpisodeOfCare/never-there/$explain-access")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content == absent.content
    privacy = hub.caller("tsunagi-hub", "privacy")
    none = privacy.get("/EpisodeOfCare/never-there/$explain-access")
    assert none.content == absent.content


@pytest.mark.parametrize(
    ("organisation", "role", "scope"),
    [
        (FIRST, "recipient", "system/Task.rs system/Patient.rs"),
        (FIRST, "recipient", "system/EpisodeOfCare.s"),
        # The role alone is not enough: the log must have been asked for.
        ("tsunagi-hub", "privacy", "system/AuditEvent.s"),
    ],
)
def test_RS3_explaining_needs_its_own_scope(hub, organisation, role, scope):
    referral = sent(hub)
    caller = hub.caller(organisation, role, scope=scope)
    answer = caller.get(f"/EpisodeOfCare/{referral.case}/$explain-access")
    assert refusal(answer) == (403, "HUB-AUTH-003")
