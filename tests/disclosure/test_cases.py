"""Cases and what belongs to them: each question is answered for its own case alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.disclosure import cases, grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import WHOLE, DataClass
from hub.disclosure.grants import Permit
from hub.fhir.dates import JST

NOON = datetime(2026, 4, 1, 12, 0, 0, 123000, tzinfo=JST)
HOUR = timedelta(hours=1)


def a_case(number, **over):
    values: dict[str, Any] = {
        "id": f"case-{number}",
        "programme": f"programme-{number}",
        "source": "one",
        "correlation": f"number-{number}",
        "patient": f"patient-{number}",
        "service_request": f"request-{number}",
        "parent_task": f"task-{number}",
        "consent": f"Consent/c{number}/_history/1",
        "provided_at": NOON,
        "closed_at": None,
    }
    return Case(**values | over)


@pytest.fixture
def session(database):
    """Three cases: two of one source, the second an hour younger, one of another."""
    with database.transaction() as opened:
        cases.open_case(opened, a_case(1), NOON)
        cases.open_case(opened, a_case(2, provided_at=NOON + HOUR), NOON + HOUR)
        cases.open_case(opened, a_case(3, source="two"), NOON)
        yield opened


def the(session, case_id):
    found = cases.find(session, case_id)
    assert found is not None
    return found


def named(session, source, number):
    found = cases.named(session, source, number)
    return found and found.id


def permit(recipient, classes=WHOLE, ends=None):
    return Permit("consent-person", recipient, classes, "Consent/c", "clause", ends)


def test_a_case_is_found_again_as_it_was_opened(session):
    assert cases.find(session, "case-1") == a_case(1)
    assert cases.find(session, "case-2") == a_case(2, provided_at=NOON + HOUR)
    assert cases.find(session, "case-9") is None
    assert the(session, "case-1").provided_at.tzinfo is not None


def test_a_closed_case_says_when_and_is_closed_once(session):
    cases.close(session, "case-1", NOON + HOUR)
    cases.close(session, "case-1", NOON + 2 * HOUR)
    assert the(session, "case-1").closed_at == NOON + HOUR
    assert the(session, "case-2").closed_at is None


def test_a_resource_stands_in_its_cases_newest_first_with_class_and_author(session):
    for number, data_class, author in (
        (1, DataClass.PERSON, "one"),
        (2, DataClass.RECORD, "two"),
    ):
        key = ("Patient", "p")
        cases.add(session, f"case-{number}", key, data_class, author)
    cases.add(session, "case-3", ("Task", "p"), DataClass.STATUS, "two")
    found = cases.of_resource(session, "Patient", "p")
    assert [one.id for one in found] == ["case-2", "case-1"]
    assert cases.of_resource(session, "Patient", "q") == []
    assert [one.id for one in cases.of_resource(session, "Task", "p")] == ["case-3"]
    assert cases.classes_of(session, "Patient", "p") == [
        ("case-1", DataClass.PERSON),
        ("case-2", DataClass.RECORD),
    ]
    assert cases.classes_of(session, "Task", "q") == []
    placed = cases.placed(session, "case-1", ("Patient", "p"))
    assert placed == cases.Placed(DataClass.PERSON, "one")
    placed = cases.placed(session, "case-2", ("Patient", "p"))
    assert placed == cases.Placed(DataClass.RECORD, "two")
    for case_id, key in (
        ("case-3", ("Patient", "p")),
        ("case-1", ("Task", "p")),
        ("case-1", ("Patient", "q")),
    ):
        assert cases.placed(session, case_id, key) is None
    assert cases.author_of(session, "Task", "p") == "two"
    assert cases.author_of(session, "Task", "q") is None
    assert cases.author_of(session, "Consent", "p") is None


def test_whom_resources_are_about_however_many_they_are(session):
    keys = [("Observation", f"o{n}") for n in range(405)]
    for number, key in enumerate(keys):
        cases.add(session, f"case-{1 + number % 2}", key, DataClass.RECORD, "two")
    last = ("Observation", "last")
    cases.add(session, "case-3", last, DataClass.RECORD, "two")
    assert cases.patients_of(session, [*keys, last]) == {
        "patient-1",
        "patient-2",
        "patient-3",
    }
    assert cases.patients_of(session, keys[:1]) == {"patient-1"}
    assert cases.patients_of(session, [("Task", "o1"), ("Observation", "x")]) == set()
    assert cases.patients_of(session, []) == set()
    assert cases.patients_of(session, iter([*keys[1:2], last])) == {
        "patient-2",
        "patient-3",
    }


def test_members_are_of_these_types_and_classes_and_of_the_case(session):
    for case_id, key, data_class in (
        ("case-1", ("Task", "b"), DataClass.STATUS),
        ("case-1", ("Task", "a"), DataClass.STATUS),
        ("case-1", ("Patient", "p"), DataClass.PERSON),
        ("case-1", ("Observation", "o"), DataClass.RECORD),
        ("case-2", ("Task", "c"), DataClass.STATUS),
    ):
        cases.add(session, case_id, key, data_class, "one")
    assert cases.members(session, "case-1", ("Task", "Patient")) == [
        ("Patient", "p"),
        ("Task", "a"),
        ("Task", "b"),
    ]
    every = ("Task", "Patient", "Observation")
    classes = DataClass.RECORD | DataClass.PERSON
    assert cases.members(session, "case-1", iter(every), classes) == [
        ("Observation", "o"),
        ("Patient", "p"),
    ]
    assert cases.members(session, "case-3", every) == []


def test_a_referral_number_is_one_of_its_source(session):
    assert cases.is_numbered(session, "one", "number-1")
    assert not cases.is_numbered(session, "two", "number-1")
    assert not cases.is_numbered(session, "one", "number-3")
    assert named(session, "one", "number-1") == "case-1"
    assert cases.named(session, "two", "number-1") is None
    assert cases.named(session, "one", "number-9") is None
    later = a_case(4, correlation="number-1")
    cases.open_case(session, later, NOON + HOUR)
    assert named(session, "one", "number-1") == "case-4"
    cases.close(session, "case-4", NOON + HOUR)
    assert named(session, "one", "number-1") == "case-1"
    cases.close(session, "case-1", NOON + HOUR)
    assert cases.named(session, "one", "number-1") is None
    assert cases.is_numbered(session, "one", "number-1"), "a number is not free again"


def test_what_a_source_provided_in_a_time_in_order(session):
    def ids(since, until, source="one"):
        return [c.id for c in cases.provided_by(session, source, since, until)]

    assert ids(NOON, NOON + 2 * HOUR) == ["case-1", "case-2"]
    assert ids(NOON, NOON + HOUR) == ["case-1"], "the end is not part of it"
    assert ids(NOON + HOUR, NOON + 2 * HOUR) == ["case-2"]
    assert ids(NOON + timedelta(milliseconds=1), NOON + HOUR) == []
    assert ids(NOON, NOON + HOUR, "two") == ["case-3"]
    cases.open_case(session, a_case(0), NOON)
    assert ids(NOON, NOON + HOUR) == ["case-0", "case-1"], "of one moment by id"


def test_drafts_are_their_authors_until_a_case_takes_them(session):
    one, two = ("Patient", "p"), ("Patient", "q")
    cases.keep_draft(session, one, "one", NOON)
    cases.keep_own(session, two, "one")
    cases.keep_draft(session, ("Task", "p"), "two", NOON)
    assert cases.own_draft(session, one, "one")
    assert cases.own_draft(session, two, "one")
    for key, organisation in (
        (one, "two"),
        (("Patient", "x"), "one"),
        (("Task", "q"), "one"),
    ):
        assert not cases.own_draft(session, key, organisation)
    cases.adopt_drafts(session, [])
    assert cases.own_draft(session, one, "one")
    cases.adopt_drafts(session, iter([one]))
    assert not cases.own_draft(session, one, "one")
    assert cases.own_draft(session, two, "one")
    assert cases.own_draft(session, ("Task", "p"), "two")
    cases.adopt_drafts(session, [two, ("Task", "p")])
    assert not cases.own_draft(session, two, "one")
    assert not cases.own_draft(session, ("Task", "p"), "two")
    assert datetime(9999, 12, 31, tzinfo=UTC) == cases.NEVER


def test_who_holds_what_of_a_case_oldest_first(session):
    later = NOON + HOUR
    first = grants.open_grant(session, "case-1", permit("one"), "source", NOON)
    second = grants.open_grant(session, "case-1", permit("two"), "recipient", later)
    grants.open_grant(session, "case-2", permit("two"), "recipient", NOON)
    held = grants.all_held(session, "case-1", later)
    assert [row["id"] for row in held] == [first, second]
    assert [row["role"] for row in held] == ["source", "recipient"]
    assert [row["id"] for row in grants.all_held(session, "case-1", NOON)] == [first]
    assert [row["id"] for row in grants.all_held(session, "case-1")] == [first, second]
    assert [row["id"] for row in grants.held(session, "case-1", "two", later)] == [
        second
    ]
    assert grants.held(session, "case-1", "two", NOON) == []
    assert [row["id"] for row in grants.held(session, "case-1", "one")] == [first]
    assert grants.held(session, "case-1", "three") == []
    assert grants.are_open(session, f"{first} {second}")
    assert grants.are_open(session, "")
    grants.close_grants(session, "case-1", "over", later, organisation="two")
    assert not grants.are_open(session, f"{first} {second}")
    assert grants.are_open(session, first)
    assert not grants.are_open(session, f"{first} nobody")
    assert [row["id"] for row in grants.all_held(session, "case-1")] == [first]


def test_recipients_in_the_order_of_their_arrival_former_ones_too(session):
    for name, role, at in (
        ("b", "recipient", NOON),
        ("one", "source", NOON),
        ("a", "former", NOON + HOUR),
    ):
        grants.open_grant(session, "case-1", permit(name), role, at)
    grants.open_grant(session, "case-2", permit("c"), "recipient", NOON)
    assert grants.recipients(session, "case-1") == ["b", "a"]
    grants.close_grants(session, "case-1", "over", NOON + HOUR)
    assert grants.recipients(session, "case-1") == ["b", "a"]
    assert grants.recipients(session, "case-3") == []
