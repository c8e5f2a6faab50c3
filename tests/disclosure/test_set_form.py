"""The predicate said as a set (for searches) is the predicate said of a row (G1)."""

from datetime import datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import select

from hub.actor import Actor
from hub.database import flush
from hub.disclosure import cases, grants
from hub.disclosure.classes import DataClass
from hub.disclosure.tables import case_resource, draft
from hub.fhir.dates import JST
from hub.store.visibility import among, hub_sees_all
from tests.disclosure.test_cases import a_case, permit

NOON = datetime(2026, 4, 1, 12, tzinfo=JST)
HOUR = timedelta(hours=1)
MEMBERS = (
    ("case-1", ("Patient", "p1"), DataClass.PERSON),
    ("case-1", ("Observation", "o1"), DataClass.RECORD),
    ("case-1", ("Task", "t1"), DataClass.STATUS),
    ("case-2", ("Patient", "p2"), DataClass.PERSON),
    ("case-2", ("Observation", "o2"), DataClass.RECORD),
    ("case-2", ("Location", "l2"), DataClass.RECORD),
    ("case-3", ("Patient", "p3"), DataClass.PERSON),
)
TYPES = (
    *(("Patient",), ("Observation",), ("Task",), ("Location",), ("Consent",)),
    *(("Patient", "Observation"), ("Patient", "Task", "Observation")),
    *(("Patient", "Location"), ("Location", "Organization"), ("Location", "Consent")),
)


@pytest.fixture
def session(database):
    """`one` sees all of case 1 but records, of case 2 persons from the second hour on."""
    with database.transaction() as opened:
        for number in (1, 2, 3):
            cases.open_case(opened, a_case(number), NOON)
        for case_id, key, data_class in MEMBERS:
            cases.add(opened, case_id, key, data_class, "author")
        whole = DataClass.PERSON | DataClass.STATUS
        grants.open_grant(opened, "case-1", permit("one", whole), "source", NOON)
        person = permit("one", DataClass.PERSON, NOON + 3 * HOUR)
        grants.open_grant(opened, "case-2", person, "recipient", NOON + HOUR)
        grants.open_grant(opened, "case-3", permit("one"), "recipient", NOON)
        grants.close_grants(opened, "case-3", "over", NOON)
        grants.open_grant(opened, "case-3", permit("two"), "recipient", NOON)
        for kind, id_, who, ends in (
            ("Patient", "d1", "one", NOON + HOUR),
            ("Patient", "d2", "two", NOON + 9 * HOUR),
            ("Observation", "d3", "one", NOON + 9 * HOUR),
        ):
            cases.keep_draft(opened, (kind, id_), who, ends)
        yield opened


def seen(session, organisation, at, types, rows, *, as_set):
    flush(session)
    visible = grants.visible_to(Actor("client", organisation), at)
    asked = among(visible, rows, types) if as_set else visible(rows)
    found = select(rows.c.type, rows.c.id).where(rows.c.type.in_(types), asked)
    return {(row.type, row.id) for row in session.execute(found)}


def test_G1_both_forms_see_the_same(session):
    hours, whom = (0, 1, 2, 3, 10), ("one", "two", "three")
    for rows, organisation, hour, types in product(
        (case_resource, draft), whom, hours, TYPES
    ):
        asked = (session, organisation, NOON + hour * HOUR, types, rows)
        assert seen(*asked, as_set=True) == seen(*asked, as_set=False), asked[1:]


def test_G1_what_the_set_holds(session):
    def of(organisation, hours, *types, rows=case_resource):
        at = NOON + hours * HOUR
        found = seen(session, organisation, at, types, rows, as_set=True)
        return sorted(id_ for _, id_ in found)

    every = ("Patient", "Observation", "Task", "Location")
    assert of("one", 0, *every) == ["l2", "p1", "t1"]
    assert of("one", 1, *every) == ["l2", "p1", "p2", "t1"]
    assert of("one", 3, *every) == ["l2", "p1", "t1"]
    assert of("one", 0, "Patient") == ["p1"]
    assert of("one", 0, "Observation") == []
    assert of("two", 0, "Patient") == ["p3"]
    assert of("three", 0, *every) == ["l2"]
    assert of("three", 0, "Location") == ["l2"]
    assert of("one", 0, "Patient", rows=draft) == ["d1"]
    assert of("one", 1, "Patient", rows=draft) == []
    assert of("one", 1, "Patient", "Observation", rows=draft) == ["d3"]
    assert of("two", 1, "Patient", "Observation", rows=draft) == ["d2"]


def test_the_hub_sees_all_in_either_form(session):
    hub = Actor("hub", "tsunagi-hub", roles=frozenset({"hub"}))
    assert grants.visible_to(hub) is hub_sees_all
    found = select(case_resource.c.id).where(among(hub_sees_all, case_resource, ("x",)))
    assert len(session.execute(found).all()) == len(MEMBERS)
