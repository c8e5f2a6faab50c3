"""A Consent as facts: never an exception, and what cannot be read denies."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.consent.read import moment, read
from hub.fhir.canonical import (
    EXPLANATIONS,
    INSTITUTION_NO,
    ORGANIZATION_ID,
    WORDING_VERSION,
)
from hub.fhir.dates import JST

PATIENT = {"reference": "Patient/p"}
MOTHER = {"patient": PATIENT, "relationship": [{"text": "母"}]}
NOW = datetime(2026, 4, 1, 9, tzinfo=JST)


def facts(relatives=None, **over):
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "patient": PATIENT,
        "performer": [PATIENT],
        "provision": {"type": "permit"},
    } | over
    return read(consent, "Consent/c", relatives or {})


def midnight(day):
    year, month, of_month = day
    return datetime(year, month, of_month, tzinfo=JST)


def provision(**over):
    return facts(provision={"type": "permit"} | over)


@pytest.mark.parametrize(
    ("value", "first", "after"),
    [
        ("2026", (2026, 1, 1), (2027, 1, 1)),
        ("2026-02", (2026, 2, 1), (2026, 3, 1)),
        ("2026-12", (2026, 12, 1), (2027, 1, 1)),
        ("2028-02-29", (2028, 2, 29), (2028, 3, 1)),
    ],
)
def test_a_partial_date_lasts_to_its_end_in_japan(value, first, after):
    assert moment(value, end=False) == midnight(first)
    assert moment(value, end=True) == midnight(after)


def test_a_moment_is_itself_and_without_zone_japans():
    assert moment("2026-04-01T00:00:00Z", end=True) == datetime(2026, 4, 1, tzinfo=UTC)
    assert moment("2026-04-01T09:00:00", end=False) == NOW


@pytest.mark.parametrize(
    "value",
    ["2026-02-30", "2026-13", "9999", "9999-12-31", "0000", "x", "", "2026-01-01T25:00:00Z",
     "2026-99-99T99:99:99Z", 20260401, None, ["2026"]],
)  # fmt: skip
def test_a_bound_that_is_no_date_has_never_begun_and_is_long_over(value):
    read_ = provision(period={"start": value, "end": value})
    assert read_.starts is not None
    assert read_.ends is not None
    is_usable = read_.starts <= NOW < read_.ends
    assert not is_usable or value in ("9999", "9999-12-31")


def test_a_bound_with_an_extension_instead_of_a_value_denies():
    absent = {"extension": [{"url": "x", "valueCode": "unknown"}]}
    read_ = provision(period={"_end": absent})
    assert read_.ends is not None
    assert read_.ends < NOW
    assert provision(period={}).ends is None


def test_who_gives_it():
    assert facts().giver == "person"
    relative = {"performer": [{"reference": "RelatedPerson/m"}]}
    assert facts({"RelatedPerson/m": MOTHER}, **relative).giver == "family"
    assert facts({"RelatedPerson/m": MOTHER}, **relative).has_relationship
    nameless = {"RelatedPerson/m": {"patient": PATIENT}}
    assert not facts(nameless, **relative).has_relationship
    for nobody in ([], [{"display": "母"}], [{"reference": "Practitioner/x"}]):
        assert facts(performer=nobody).giver is None


def test_without_a_type_the_policy_rule_speaks():
    """R4 asks for no type in the root provision."""

    def rule(*codes):
        system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
        return {"coding": [{"system": system, "code": code} for code in codes]}

    for root in (None, {}, {"period": {"start": "2026"}}):
        assert facts(provision=root, policyRule=rule("OPTIN")).effect == "permit"
        assert facts(provision=root, policyRule=rule("OPTOUT")).effect == "deny"
        assert (
            facts(provision=root, policyRule=rule("OPTIN", "OPTOUT")).effect
            == "unknown"
        )
        assert facts(provision=root, policyRule={"text": "OPTIN"}).effect == "unknown"
        assert facts(provision=root).effect == "unknown"
    absent = {"_type": {"extension": [{"url": "x", "valueCode": "unknown"}]}}
    assert facts(provision=absent, policyRule=rule("OPTIN")).effect == "unknown"


def test_a_relative_of_somebody_else_gives_nothing():
    other = MOTHER | {"patient": {"reference": "Patient/other"}}
    found = facts(
        {"RelatedPerson/m": other}, performer=[{"reference": "RelatedPerson/m"}]
    )
    assert found.giver is None


@pytest.mark.parametrize(
    "restriction",
    [
        {"provision": [{"type": "deny"}]},
        {"class": [{"code": "Patient"}]},
        {"code": [{"text": "x"}]},
        {"data": [{"meaning": "instance"}]},
        {"dataPeriod": {"end": "2020"}},
        {"securityLabel": [{"code": "R"}]},
        {"modifierExtension": [{"url": "x"}]},
        {"action": [{"coding": [{"code": "collect"}]}]},
        {"action": [{"text": "照会のみ"}]},
        {"type": None},
        {"type": "perhaps"},
    ],
)
def test_G10_a_restriction_that_is_not_understood_is_unknown(restriction):
    assert provision(**restriction).effect == "unknown"


def test_what_is_understood_is_read():
    assert provision(action=[{"coding": [{"code": "disclose"}]}]).effect == "permit"
    assert facts(provision={"type": "deny"}).effect == "deny"
    assert facts(provision=None).effect == "unknown"
    assert facts(modifierExtension=[{"url": "x"}]).effect == "unknown"


def test_a_recipient_that_cannot_be_read_matches_nobody():
    def named(**reference):
        return provision(actor=[{"reference": reference}]).recipients

    assert named(reference="Organization/a") == {"Organization/a"}
    for system in (ORGANIZATION_ID, INSTITUTION_NO):
        identifier = {"system": system, "value": "4619999917"}
        assert named(identifier=identifier) == {"Organization/4619999917"}
    for unread in ({"display": "保健所"}, {"identifier": {"value": "1"}}, {}):
        assert named(**unread) == {"?"}
    assert provision().recipients == frozenset()


def test_explanations_and_wording():
    told = [{"url": EXPLANATIONS, "valueInteger": n} for n in (1, 7)]
    wording = {"url": WORDING_VERSION, "valueString": "2019-03"}
    found = facts(extension=[*told, wording])
    assert (found.explanations, found.wording_version) == ({1, 7}, "2019-03")
    assert facts().explanations is None
    odd = [{"url": EXPLANATIONS, "valueString": "すべて"}]
    assert facts(extension=odd).explanations == frozenset()


@given(st.text(max_size=30))
def test_no_text_as_a_bound_ever_raises(text):
    provision(period={"start": text, "end": text})


def test_the_end_of_a_day_is_the_next_midnight():
    found = provision(period={"end": "2026-04-01"})
    assert found.ends == datetime(2026, 4, 2, tzinfo=JST)
    assert found.ends - timedelta(microseconds=1) > NOW
