"""Which rows of the log an officer sees: the hub's all, an organisation's its own."""

from urllib.parse import quote

import pytest

from hub.fhir import dates
from tests.referrals.build import refusal, sent
from tests.restful.build import a_caller

CENTRE, HOSPITAL, OTHER = "kagoshima-shi", "4619999917", "4619999925"


@pytest.fixture
def referral(hub):
    """A referral that its sender, its desk and a stranger have reached for."""
    made = sent(hub)
    hub.caller(CENTRE, "recipient").read(f"/Patient/{made.patient}")
    hub.caller(OTHER, "source").get(f"/Patient/{made.patient}")
    hub.caller(OTHER, "source").get(f"/Task/{made.parent_id}")
    # Each question about a person is itself a row about that person, from now on.
    until = quote(dates.instant(dates.now()))
    return made, f"patient={made.patient}&date=lt{until}"


def officer(hub, organisation):
    return hub.caller(organisation, "privacy")


def ids(caller, query):
    bundle = caller.read(f"/AuditEvent?_count=1000&{query}")
    found = [entry["resource"]["id"] for entry in bundle.get("entry", ())]
    assert bundle["total"] == len(found)
    return set(found)


def test_the_senders_officer_sees_what_anybody_did_with_its_person(hub, referral):
    referral, about = referral
    whole = ids(officer(hub, "tsunagi-hub"), about)
    assert len(whole) > 5
    assert ids(officer(hub, HOSPITAL), about) == whole


def test_an_officer_sees_what_its_own_clients_did_with_anothers_person(hub, referral):
    referral, about = referral
    whole = ids(officer(hub, "tsunagi-hub"), about)
    for organisation in (CENTRE, OTHER):
        attempt = f"{about}&agent={organisation}&entity=Task/{referral.parent_id}"
        attempts = ids(officer(hub, "tsunagi-hub"), f"{attempt}&outcome=4")
        own = f"{about}&agent=Organization/{organisation}"
        seen = ids(officer(hub, organisation), about)
        assert seen == ids(officer(hub, "tsunagi-hub"), own) - attempts
        assert 0 < len(seen) < len(whole)


def test_the_senders_officer_finds_others_refused_attempts_and_they_learn_nothing(
    hub, referral
):
    referral, about = referral
    attempt = f"entity=Task/{referral.parent_id}&outcome=4&agent={OTHER}"
    (row,) = ids(officer(hub, "tsunagi-hub"), attempt)
    assert ids(officer(hub, HOSPITAL), attempt) == {row}
    assert row in ids(officer(hub, HOSPITAL), about)
    assert row in ids(officer(hub, "tsunagi-hub"), about)
    # Its own officer sees that the client asked, and not that anything was there.
    assert ids(officer(hub, OTHER), attempt) == {row}
    assert row not in ids(officer(hub, OTHER), about)
    assert referral.patient not in officer(hub, OTHER).get(f"/AuditEvent/{row}").text
    assert ids(officer(hub, CENTRE), attempt) == set()


def test_a_hidden_row_is_as_one_that_is_not_there(hub, referral):
    referral, about = referral
    whole, stranger = officer(hub, "tsunagi-hub"), officer(hub, OTHER)
    (row, *_) = ids(whole, f"{about}&agent=Organization/{CENTRE}")
    assert whole.get(f"/AuditEvent/{row}").status_code == 200
    hidden = stranger.get(f"/AuditEvent/{row}")
    absent = stranger.get("/AuditEvent/never-there")
    assert refusal(hidden) == refusal(absent) == (404, ["HUB-REST-001"])
    assert hidden.content == absent.content
    for query in (
        f"{about}&agent=Organization/{CENTRE}",
        f"entity=Task/{referral.parent_id}&agent={CENTRE}",
        f"{about}&agent:identifier={referral.source.client_id}",
    ):
        shown = stranger.read(f"/AuditEvent?{query}")
        assert (shown["total"], "entry" in shown) == (0, False)


def test_the_pages_of_an_officer_hold_each_visible_row_once(hub, referral):
    referral, about = referral
    whole = ids(officer(hub, HOSPITAL), about)
    path, seen = f"/AuditEvent?_count=2&{about}", []
    while path:
        bundle = officer(hub, HOSPITAL).read(path)
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        following = [x["url"] for x in bundle["link"] if x["relation"] == "next"]
        path = following[0].partition("/fhir/R4")[2] if following else ""
    assert set(seen) == whole
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("action=R,C", {"R", "C"}),
        ("outcome=4", {"R"}),
        ("type=rest&subtype=read", {"R"}),
        ("type=http://dicom.nema.org/resources/ontology/DCM|110107", {"C"}),
        ("type=http://wrong.example|110107", set()),
        ("subtype=AuthZ-Consent", {"E"}),
    ],
)
def test_the_log_is_narrowed_by_action_outcome_and_type(hub, referral, query, expected):
    referral, about = referral
    found = officer(hub, HOSPITAL).search(f"/AuditEvent?{about}&{query}")
    assert {event["action"] for event in found} == expected


def test_the_log_is_asked_by_entity_client_and_date(hub, referral):
    referral, about = referral
    caller = officer(hub, HOSPITAL)
    patient = f"Patient/{referral.patient}"
    asked = about.replace(f"patient={referral.patient}", f"entity={patient}")
    attempt = f"{about}&outcome=4&entity=Task/{referral.parent_id}"
    assert ids(caller, asked) == ids(caller, about) - ids(caller, attempt)
    consent = ids(caller, f"entity=Consent/{referral.consents[0]}")
    assert consent
    by_client = f"{about}&agent:identifier={referral.source.client_id}"
    sender = f"{about}&agent={HOSPITAL}&type=rest"
    assert ids(caller, f"{by_client}&type=rest") == ids(caller, sender)
    person = f"patient={referral.patient}"
    assert ids(caller, f"{person}&date=lt2020") == set()
    assert ids(caller, f"{person}&date=ge2020-01-01") >= consent


def test_reading_the_log_is_recorded_as_about_the_persons_it_shows(hub, referral):
    referral, about = referral
    whole = officer(hub, "tsunagi-hub")
    own = f"patient={referral.patient}&agent=Organization/{HOSPITAL}&subtype=read"
    before = ids(whole, own)
    (row, *_) = ids(officer(hub, HOSPITAL), f"{about}&subtype=create")
    officer(hub, HOSPITAL).read(f"/AuditEvent/{row}")
    after = ids(whole, own)
    assert len(after) == len(before) + 1


def test_a_star_scope_never_includes_the_log(hub):
    everything = a_caller(hub, HOSPITAL, "privacy", scopes="system/*.cruds")
    assert refusal(everything.get("/AuditEvent")) == (403, ["HUB-AUTH-003"])
    assert refusal(everything.get("/AuditEvent/x")) == (403, ["HUB-AUTH-003"])


def test_the_officer_sees_a_withdrawn_case_still(hub, referral):
    referral, about = referral
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    answer = referral.source.put(
        f"/Consent/{consent['id']}", consent | {"status": "inactive"}
    )
    assert answer.status_code == 200
    assert ids(officer(hub, HOSPITAL), f"{about}&agent={CENTRE}")
