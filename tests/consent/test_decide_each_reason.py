"""Each reason stands at its element, and each condition of the decision counts.

Written against the survivors of mutation testing.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from hub.consent.decide import decide
from hub.disclosure.grants import Permit
from tests.consent.test_decide import (
    ASKED,
    AT,
    FAMILY,
    LONG_AGO,
    ONWARD,
    PERSON,
    PROGRAMMES,
    RULE,
    SOON,
    permit,
)

BOTH = replace(RULE, rule="both")


def places(consents, rule=RULE, asked=ASKED):
    decision = decide(consents, rule, asked)
    assert isinstance(decision, list)
    return [(one.id, one.expression) for one in decision]


@pytest.mark.parametrize(
    ("change", "id_", "place"),
    [
        ({"status": "draft"}, "HUB-CON-002", "Consent.status"),
        ({"status": "on-hold"}, "HUB-CON-002", "Consent.provision.type"),
        ({"effect": "unknown"}, "HUB-CON-014", "Consent.provision"),
        ({"effect": "deny"}, "HUB-CON-006", "Consent.provision.type"),
        ({"giver": None}, "HUB-CON-003", "Consent.performer"),
        ({"ends": AT}, "HUB-CON-005", "Consent.provision.period"),
        ({"starts": SOON}, "HUB-CON-005", "Consent.provision.period"),
        ({"is_for_support": False}, "HUB-CON-009", "Consent.provision.purpose"),
        (
            {"purposes": frozenset({"HRESCH"})},
            "HUB-CON-009",
            "Consent.provision.purpose",
        ),
        (
            {"recipients": frozenset({"Organization/far"})},
            "HUB-CON-007",
            "Consent.provision.actor",
        ),
        ({"patient": "Patient/other"}, "HUB-CON-013", "Consent.patient"),
        ({"has_relationship": False}, "HUB-CON-004", "RelatedPerson.relationship"),
    ],
)
def test_each_fault_is_told_at_its_element(change, id_, place):
    assert places([replace(PERSON, **change)]) == [(id_, place)]


def test_what_is_about_several_consents_is_told_at_its_element():
    assert places([]) == [("HUB-CON-001", "Bundle")]
    gone = replace(PERSON, status="inactive")
    assert places([gone, FAMILY]) == [("HUB-CON-015", "Consent.status")]
    assert places([FAMILY], BOTH) == [("HUB-CON-010", "Consent.performer")]
    only_person = PROGRAMMES["lifelink"].consent
    assert places([FAMILY], only_person) == [("HUB-CON-011", "Consent.performer")]


def test_KG_14_the_refusal_of_a_transfer_names_the_item():
    listed = replace(PERSON, explanations=frozenset({1, 2, 3}))
    decision = decide([listed], RULE, ONWARD)
    assert isinstance(decision, list)
    (found,) = decision
    assert (found.id, found.expression) == ("HUB-CON-008", "Consent.extension")
    assert str(RULE.transfer_item) in found.text
    assert "None" not in found.text


def test_a_family_that_is_not_understood_leaves_the_person_alone():
    odd = replace(FAMILY, effect="unknown")
    assert permit([PERSON, odd]).basis == "consent-person"
    assert places([odd]) == [("HUB-CON-002", "Consent.provision.type")]


def test_the_permit_ends_with_the_consent_it_rests_on():
    """Only where both are needed does the other's end count."""
    assert permit([PERSON, replace(FAMILY, ends=SOON)]).ends is None
    assert permit([replace(PERSON, ends=SOON), FAMILY]).ends == SOON
    later = SOON + timedelta(days=1)
    ending = [replace(PERSON, ends=later), replace(FAMILY, ends=SOON)]
    assert permit(ending).ends == later
    assert permit(ending, BOTH).ends == SOON
    assert permit([PERSON, FAMILY], BOTH).ends is None


@pytest.mark.parametrize(
    ("change", "is_permitted"),
    [
        ({"starts": AT}, True),
        ({"starts": AT + timedelta(microseconds=1)}, False),
        ({"ends": AT + timedelta(microseconds=1)}, True),
        ({"starts": LONG_AGO, "ends": SOON}, True),
        ({"given_on": date(2026, 4, 1)}, True),
        ({"given_on": date(2026, 4, 2)}, False),
        ({"given_on": date(2026, 3, 31)}, True),
    ],
)
def test_the_period_has_its_first_moment_and_not_its_last(change, is_permitted):
    decision = decide([replace(PERSON, **change)], RULE, ASKED)
    assert isinstance(decision, Permit) is is_permitted


def test_the_day_of_consent_is_compared_in_japan():
    late = replace(ASKED, at=datetime(2026, 3, 31, 15, 30, tzinfo=UTC))
    assert permit([replace(PERSON, given_on=date(2026, 4, 1))], asked=late)


def test_explanations_come_from_the_consent_its_wording_or_the_source():
    wordings = {v: RULE.items(v) for v in RULE.wordings}
    with_item = [v for v, items in wordings.items() if RULE.covers_transfer(items)]
    without = [v for v, items in wordings.items() if not RULE.covers_transfer(items)]
    assert with_item
    named = replace(PERSON, wording_version=with_item[0])
    assert permit([named], asked=replace(ONWARD, wording_version="no such"))
    for version in (*without, "no such"):
        stated = replace(PERSON, wording_version=version)
        assert places([stated], asked=ONWARD)[0][0] == "HUB-CON-008"
    assert RULE.transfer_item is not None
    told = replace(PERSON, explanations=frozenset({RULE.transfer_item}))
    assert permit([told], asked=replace(ONWARD, wording_version="no such"))


def test_what_is_permitted_is_named_in_the_permit():
    found = permit([FAMILY], asked=ONWARD)
    assert found.recipient == "far"
    assert found.clause == f"item {RULE.transfer_item}"
    assert found.consent == "Consent/family"
    plain = permit([PERSON], asked=replace(ASKED, recipient=None, desk=None))
    assert (plain.recipient, plain.clause) == ("", RULE.recipients.code)
    only_person = PROGRAMMES["lifelink"].consent
    if only_person.transfer_item is None:
        onward = permit([PERSON], only_person, ONWARD)
        assert onward.clause == only_person.recipients.code
