"""Consent asked again in a running case: what goes on longer rests on the new one."""

from datetime import timedelta

import pytest

from hub.disclosure import grants
from hub.fhir import dates
from tests.referrals.build import HOSPITAL, a_consent, refusal, sent

FIRST = "kagoshima-shi"
UNTIL = {"type": "permit", "period": {"end": "2099-03-31"}}


def rows(hub, referral, organisation):
    with hub.database.transaction(write=False) as session:
        found = grants.explain(session, referral.case)
    return [row for row in found if row["organisation"] == organisation]


def end_of(referral, caller):
    told = caller.read(f"/EpisodeOfCare/{referral.case}/$explain-access")
    return {
        next((p["valueInstant"] for p in one["part"] if p["name"] == "until"), None)
        for one in told["parameter"]
        if one["name"] == "access"
    }


def again(referral, **over):
    person = f"Patient/{referral.patient}"
    return a_consent("person", person, "", **over)


@pytest.mark.parametrize("organisation", [FIRST, HOSPITAL])
def test_G7_a_dated_consent_opens_a_longer_grant_and_the_first_row_stays(
    hub, organisation
):
    referral = sent(hub, consent={"provision": UNTIL})
    assert end_of(referral, referral.source) == {"2099-04-01T00:00:00.000+09:00"}
    (before,) = rows(hub, referral, organisation)
    new = again(referral, dateTime=dates.today().isoformat())
    made = referral.source.post("/Consent", new).json()
    first, second = rows(hub, referral, organisation)
    assert first == before
    assert second["ends"] is None
    assert second["consent"] == f"Consent/{made['id']}/_history/1"
    assert second["classes"] == first["classes"]
    assert end_of(referral, referral.source) == {None}


def test_an_undated_consent_beside_another_is_refused_and_lengthens_nothing(hub):
    referral = sent(hub, consent={"provision": UNTIL})
    before = rows(hub, referral, FIRST)
    answer = referral.source.post("/Consent", again(referral))
    assert refusal(answer) == (422, ["HUB-CON-031"])
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    longer = consent | {"provision": {"type": "permit"}}
    answer = referral.source.put(f"/Consent/{consent['id']}", longer)
    assert refusal(answer) == (422, ["HUB-CON-031"])
    patch = [{"op": "remove", "path": "/provision/period"}]
    answer = referral.source.request(
        "PATCH",
        f"/Consent/{consent['id']}",
        json=patch,
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert refusal(answer) == (422, ["HUB-CON-031"])
    assert rows(hub, referral, FIRST) == before


def test_the_same_consent_with_the_day_on_which_it_was_asked_again(hub):
    referral = sent(hub, consent={"provision": UNTIL, "dateTime": "2026-04-01"})
    consent = referral.source.read(f"/Consent/{referral.consents[0]}")
    longer = consent | {"provision": {"type": "permit"}}
    path = f"/Consent/{consent['id']}"
    assert refusal(referral.source.put(path, longer)) == (422, ["HUB-CON-031"])
    dated = longer | {"dateTime": dates.today().isoformat()}
    assert referral.source.put(path, dated).status_code == 200
    _, second = rows(hub, referral, FIRST)
    assert second["consent"] == f"Consent/{consent['id']}/_history/2"


def test_a_later_and_shorter_consent_limits_what_is_open(hub):
    referral = sent(hub)
    day = dates.today() + timedelta(days=7)
    shorter = again(
        referral,
        dateTime=dates.today().isoformat(),
        provision={"type": "permit", "period": {"end": day.isoformat()}},
    )
    assert referral.source.post("/Consent", shorter).status_code == 201
    after = (day + timedelta(days=1)).isoformat()
    assert end_of(referral, referral.source) == {f"{after}T00:00:00.000+09:00"}


def test_a_yes_that_was_taken_back_is_not_given_again_without_a_day(hub):
    referral = sent(hub, givers=("person", "family"))
    path = f"/Consent/{referral.consents[1]}"
    family = referral.source.read(path)
    gone = referral.source.put(path, family | {"status": "inactive"})
    assert gone.status_code == 200
    answer = referral.source.put(path, family)
    assert refusal(answer) == (422, ["HUB-CON-031"])
