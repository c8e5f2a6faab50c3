"""Consent asked again, as pure rules: more than before needs a later day."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from hub.consent.again import change_issues, new_issues
from hub.consent.decide import decide
from hub.disclosure.grants import Permit
from tests.consent.test_decide import (
    ASKED,
    AT,
    FAMILY,
    LONG_AGO,
    PERSON,
    RULE,
    SOON,
    ids,
    permit,
)

TODAY = date(2026, 4, 1)
YESTERDAY = TODAY - timedelta(days=1)
OLD = replace(PERSON, reference="Consent/old", given_on=YESTERDAY, ends=SOON)
NEW = replace(PERSON, reference="Consent/new", given_on=TODAY)
UNDATED = replace(PERSON, reference="Consent/undated")


def test_a_later_consent_is_the_last_word_and_may_last_longer_or_shorter():
    assert permit([OLD]).ends == SOON
    assert (permit([OLD, NEW]).consent, permit([OLD, NEW]).ends) == (
        "Consent/new",
        None,
    )
    shorter = replace(NEW, ends=SOON - timedelta(days=1))
    assert permit([replace(OLD, ends=None), shorter]).ends == shorter.ends


def test_an_undated_consent_lengthens_nothing():
    for consents in ([OLD, UNDATED], [UNDATED, OLD]):
        assert permit(consents).ends == SOON
    twice = [UNDATED, replace(UNDATED, reference="Consent/x", ends=SOON)]
    assert permit(twice).ends == permit(twice[::-1]).ends == SOON


def test_G10_of_two_that_contradict_on_one_day_neither_holds():
    over = replace(UNDATED, reference="Consent/over", ends=LONG_AGO)
    assert ids(decide([UNDATED, over], RULE, ASKED)) == ["HUB-CON-030"]
    dated = [replace(c, given_on=YESTERDAY) for c in (UNDATED, over)]
    assert ids(decide(dated, RULE, ASKED)) == ["HUB-CON-030"]
    assert isinstance(decide([over, NEW], RULE, ASKED), Permit)


def test_a_later_consent_that_ran_out_does_not_bring_the_earlier_back():
    over = replace(NEW, ends=AT)
    assert isinstance(decide([replace(OLD, ends=None), over], RULE, ASKED), list)


def test_a_consent_that_has_not_begun_leaves_the_one_that_holds():
    later = replace(NEW, starts=SOON)
    assert permit([OLD, later]).consent == "Consent/old"
    tomorrow = replace(NEW, given_on=TODAY + timedelta(days=1))
    assert permit([OLD, tomorrow]).consent == "Consent/old"


def test_a_consent_to_something_else_supersedes_nothing():
    for other in (
        replace(NEW, recipients=frozenset({"Organization/far"}), ends=AT),
        replace(NEW, purposes=frozenset({"HRESCH"}), ends=AT),
        replace(NEW, status="draft"),
    ):
        assert permit([OLD, other]).consent == "Consent/old"


def test_D_02_a_person_who_said_yes_and_then_no_is_not_overridden():
    no = replace(NEW, status="rejected")
    assert ids(decide([OLD, no, FAMILY], RULE, ASKED)) == ["HUB-CON-015"]
    # Said no, then yes: the later word holds.
    first_no = replace(PERSON, status="rejected", given_on=YESTERDAY)
    assert permit([first_no, NEW]).consent == "Consent/new"


def test_a_withdrawal_on_a_later_day_holds_against_an_earlier_yes():
    withdrawn = replace(NEW, status="inactive")
    assert isinstance(decide([OLD, withdrawn], RULE, ASKED), list)
    again = replace(NEW, reference="Consent/again")
    assert isinstance(
        decide([replace(OLD, status="inactive"), again], RULE, ASKED), Permit
    )


@pytest.mark.parametrize(
    ("over", "refused"),
    [
        ({}, True),
        ({"given_on": TODAY}, False),
        ({"status": "inactive"}, False),
        ({"status": "rejected"}, False),
        ({"effect": "deny"}, False),
    ],
)
def test_a_second_yes_of_one_giver_has_a_date(over, refused):
    new = replace(UNDATED, **over)
    expected = ["HUB-CON-031"] if refused else []
    assert ids(new_issues(new, [OLD])) == expected
    assert new_issues(new, [FAMILY]) == []
    assert new_issues(new, [replace(OLD, status="draft")]) == []
    assert new_issues(new, []) == []


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        (OLD, replace(OLD, ends=None), True),
        (OLD, replace(OLD, ends=SOON + timedelta(days=1)), True),
        (OLD, replace(OLD, ends=SOON - timedelta(days=1)), False),
        (OLD, replace(OLD, ends=None, given_on=None), True),
        (OLD, replace(OLD, ends=None, given_on=TODAY), False),
        (OLD, replace(OLD, ends=None, given_on=LONG_AGO.date()), True),
        (replace(OLD, given_on=None), replace(OLD, ends=None), False),
        (replace(OLD, status="inactive"), OLD, True),
        (replace(OLD, status="inactive"), replace(OLD, given_on=TODAY), False),
        (replace(OLD, effect="deny"), OLD, True),
        (OLD, replace(OLD, status="inactive", ends=None), False),
        (OLD, replace(OLD, effect="deny", ends=None), False),
        (replace(OLD, ends=None), OLD, False),
        # A slip of the same day.
        (replace(NEW, ends=SOON), NEW, False),
    ],
)
def test_a_consent_that_allows_more_than_before_has_a_later_date(
    before, after, refused
):
    assert ids(change_issues(before, after, AT)) == (["HUB-CON-031"] if refused else [])
