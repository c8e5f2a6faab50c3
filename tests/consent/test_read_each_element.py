"""Each element of a Consent counts, and only under its own name (G10).

Written against the survivors of mutation testing: whatever is left out, misspelt or
turned round in the reader changes one of these facts.
"""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from hub.consent.read import moment, read
from hub.fhir.canonical import ORGANIZATION_ID
from hub.fhir.dates import JST

PATIENT = {"reference": "Patient/p"}
MOTHER = {"patient": PATIENT, "relationship": [{"coding": [{"code": "MTH"}]}]}
RELATIVE = {"reference": "RelatedPerson/m"}
WHOLE = {
    "resourceType": "Consent",
    "status": "active",
    "scope": {"coding": [{"code": "patient-privacy"}]},
    "category": [{"coding": [{"code": "59284-0"}]}],
    "patient": PATIENT,
    "dateTime": "2026-04-01",
    "performer": [PATIENT],
    "provision": {
        "type": "permit",
        "period": {"start": "2026-04-01", "end": "2026-04-30"},
        "purpose": [{"code": "COC"}, {"code": "TREAT"}],
    },
}


def facts(without=(), relatives=None, **over):
    kept = {k: v for k, v in {**WHOLE, **over}.items() if k not in without}
    return read(kept, "Consent/c", relatives or {})


def coded(*codes):
    return {"coding": [{"code": code} for code in codes]}


def test_every_fact_is_what_the_resource_says():
    found = facts()
    assert found.reference == "Consent/c"
    assert found.status == "active"
    assert found.patient == "Patient/p"
    assert (found.giver, found.has_relationship) == ("person", True)
    assert found.effect == "permit"
    assert found.starts == datetime(2026, 4, 1, tzinfo=JST)
    assert found.ends == datetime(2026, 5, 1, tzinfo=JST)
    assert found.purposes == {"COC", "TREAT"}
    assert found.recipients == frozenset()
    assert found.explanations is None
    assert found.wording_version is None
    assert found.is_for_support is True
    assert found.given_on == date(2026, 4, 1)


def test_what_is_absent_is_empty_and_not_a_word():
    found = facts(without=("status", "patient", "provision", "dateTime"))
    assert (found.status, found.patient) == ("", "")
    assert found.purposes == frozenset()
    assert (found.starts, found.ends, found.given_on) == (None, None, None)
    assert facts(provision={"purpose": [{"system": "x"}]}).purposes == {""}


@pytest.mark.parametrize(
    ("stated", "day"),
    [
        ("2026-04-01T00:30:00+09:00", date(2026, 4, 1)),
        ("2026-03-31T15:30:00Z", date(2026, 4, 1)),
        ("2026-03-31T14:59:59Z", date(2026, 3, 31)),
        ("2026-04", date(2026, 4, 1)),
        ("2026", date(2026, 1, 1)),
    ],
)
def test_the_day_of_consent_is_japans(stated, day):
    assert facts(dateTime=stated).given_on == day


@pytest.mark.parametrize("unreadable", ["yesterday", "", 20260401, None, "2026-02-31"])
def test_a_day_that_cannot_be_read_never_comes(unreadable):
    assert facts(dateTime=unreadable).given_on == date(9999, 1, 1)


def test_a_bound_that_cannot_be_read_never_begins_or_is_long_over():
    for odd in ("soon", 5, None):
        found = facts(provision={"period": {"start": odd, "end": odd}})
        assert found.starts == datetime(9999, 1, 1, tzinfo=UTC)
        assert found.ends == datetime(1, 1, 2, tzinfo=UTC)
    absent: dict[str, Any] = {"_start": {"extension": []}, "_end": {"extension": []}}
    found = facts(provision={"period": absent})
    assert found.starts == datetime(9999, 1, 1, tzinfo=UTC)
    assert found.ends == datetime(1, 1, 2, tzinfo=UTC)
    assert moment(None, end=True) is None
    assert moment("2026-01", end=True) == datetime(2026, 2, 1, tzinfo=JST)


@pytest.mark.parametrize("scope", ["patient-privacy", "treatment"])
def test_a_scope_of_support_is_one(scope):
    assert facts(scope=coded(scope)).is_for_support is True
    assert facts(scope=coded(scope, "something-else")).is_for_support is True


@pytest.mark.parametrize(
    "scope", [None, {}, coded(), coded("x"), {"text": "treatment"}]
)
def test_without_a_scope_of_support_it_is_not_for_support(scope):
    assert facts(scope=scope).is_for_support is False


@pytest.mark.parametrize(
    "other",
    ["acd", "adr", "dnr", "emrgonly", "hcd", "polst", "research", "rsdid", "rsreid"],
)
def test_another_use_in_scope_or_category_is_not_for_support(other):
    assert facts(category=[coded(other)]).is_for_support is False
    assert facts(category=[coded("59284-0"), coded("x", other)]).is_for_support is False
    assert facts(scope=coded("treatment", other)).is_for_support is False
    assert facts(without=("category",)).is_for_support is True


@pytest.mark.parametrize("kind", ["permit", None, "perhaps"])
def test_G10_a_permit_under_a_policy_of_dissent_contradicts_itself(kind):
    over: dict[str, Any] = {"_type": {}} if kind is None else {}
    provision = {"type": kind, **over}
    assert facts(provision=provision, policyRule=coded("OPTOUT")).effect == "unknown"
    if kind == "permit":
        for rule in (coded("OPTIN"), {"text": "OPTOUT"}, {}, None):
            assert facts(provision=provision, policyRule=rule).effect == "permit"


def test_G10_a_refusal_under_a_policy_of_dissent_is_a_refusal():
    assert (
        facts(provision={"type": "deny"}, policyRule=coded("OPTOUT")).effect == "deny"
    )
    assert facts(provision={"type": "deny"}, policyRule=coded("OPTIN")).effect == "deny"


@pytest.mark.parametrize("action", ["access", "disclose", "use"])
def test_an_action_that_passes_on_is_understood(action):
    provision = {"type": "permit", "action": [coded("collect"), coded(action)]}
    assert facts(provision=provision).effect == "permit"


def test_who_is_nobody_gives_nothing_and_is_nobodys_relative():
    for nobody in ([], [{"display": "x"}], [{"reference": "Practitioner/x"}]):
        found = facts(performer=nobody)
        assert (found.giver, found.has_relationship) == (None, False)
    found = facts(without=("performer",))
    assert (found.giver, found.has_relationship) == (None, False)
    # Two who are both nobody are not one and the same.
    found = facts(without=("patient",), performer=[{"display": "x"}])
    assert (found.giver, found.has_relationship) == (None, False)
    assert facts(patient={}, performer=[{"display": "x"}]).giver is None


def test_person_and_relative_together_are_the_family():
    both = {"performer": [PATIENT, RELATIVE], "relatives": {"RelatedPerson/m": MOTHER}}
    found = facts(**both)
    assert (found.giver, found.has_relationship) == ("family", True)
    stranger = {"reference": "Practitioner/x"}
    found = facts(performer=[PATIENT, RELATIVE, stranger], relatives=both["relatives"])
    assert (found.giver, found.has_relationship) == (None, False)
    found = facts(performer=[RELATIVE, stranger], relatives=both["relatives"])
    assert found.giver is None


def test_every_relative_has_to_say_what_they_are():
    nameless = {"patient": PATIENT, "relationship": [{}]}
    two = {"RelatedPerson/m": MOTHER, "RelatedPerson/n": nameless}
    givers = [RELATIVE, {"reference": "RelatedPerson/n"}]
    assert not facts(performer=givers, relatives=two).has_relationship
    assert facts(performer=givers[:1], relatives=two).has_relationship
    assert facts(performer=givers[:1], relatives=two).giver == "family"


def test_an_identifier_without_a_value_names_nobody():
    actor = [{"reference": {"identifier": {"system": ORGANIZATION_ID}}}]
    assert facts(provision={"actor": actor}).recipients == {"Organization/?"}
    assert facts(provision={"actor": [{}]}).recipients == {"?"}
