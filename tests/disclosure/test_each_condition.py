"""Each condition of the queries about grants counts.

Written against the survivors of mutation testing.
"""

from datetime import timedelta

import pytest

from hub.disclosure import cases, grants
from hub.disclosure.classes import DataClass, codes
from hub.disclosure.tables import case_resource
from hub.fhir import dates
from tests.disclosure.test_cases import HOUR, NOON, a_case, permit
from tests.disclosure.test_set_form import seen


@pytest.fixture
def session(database):
    with database.transaction() as opened:
        for number in (1, 2, 3):
            about = a_case(number, patient="p" if number < 3 else "q")
            cases.open_case(opened, about, NOON + number * HOUR)
        yield opened


def test_the_codes_of_classes_are_those_that_are_set():
    assert codes(int(DataClass.PERSON | DataClass.STATUS)) == ["person", "status"]
    assert codes(0) == []


def test_a_draft_is_hidden_from_another_type_of_the_same_id(session):
    cases.keep_draft(session, ("Patient", "x"), "one", NOON + HOUR)
    cases.add(session, "case-1", ("Task", "x"), DataClass.STATUS, "two")
    for as_set in (True, False):
        asked = (session, "one", NOON, ("Task",), case_resource)
        assert seen(*asked, as_set=as_set) == set()


def test_one_grant_is_limited_and_no_closed_one(session):
    ids = [
        grants.open_grant(session, f"case-{n}", permit("one"), "recipient", NOON)
        for n in (1, 2)
    ]
    grants.close_grants(session, "case-2", "over", NOON)
    for id_ in ids:
        grants.limit_grant(session, id_, permit("one", ends=NOON + HOUR))
    assert grants.explain(session, "case-1")[0]["ends"] == dates.micros(NOON + HOUR)
    assert grants.explain(session, "case-2")[0]["ends"] is None
    grants.limit_grant(session, ids[0], permit("one"))
    assert grants.explain(session, "case-1")[0]["ends"] is None


def test_the_cases_that_may_be_written_are_of_the_person_and_the_organisation(session):
    since = dates.now() - timedelta(days=1)
    for number, who, role in (
        (1, "one", "source"),
        (2, "one", "recipient"),
        (2, "two", "former"),
        (3, "one", "recipient"),
    ):
        grants.open_grant(session, f"case-{number}", permit(who), role, since)
    assert grants.writable_cases(session, "one", "p") == ["case-2", "case-1"]
    assert grants.writable_cases(session, "one", "q") == ["case-3"]
    assert grants.writable_cases(session, "two", "p") == []
    grants.close_grants(session, "case-2", "over", since)
    assert grants.writable_cases(session, "one", "p") == ["case-1"]


def test_expired_are_open_cases_whose_open_grants_have_run_out(session):
    ends = permit("one", ends=NOON + HOUR)
    for number, role in ((3, "source"), (1, "recipient"), (2, "former")):
        grants.open_grant(session, f"case-{number}", ends, role, NOON)
    later = NOON + 2 * HOUR
    assert grants.expired(session, later) == ["case-1", "case-3"]
    grants.close_grants(session, "case-3", "over", later)
    assert grants.expired(session, later) == ["case-1"]
    cases.close(session, "case-1", later)
    assert grants.expired(session, later) == []
