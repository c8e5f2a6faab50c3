"""The predicate against a model, and the rules of a grant (security.md G1, G7, G8)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from hub.actor import Actor
from hub.database import flush
from hub.disclosure import cases, grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import (
    FOR_FORMER,
    FOR_SOURCE,
    PUBLIC_TYPES,
    WHOLE,
    DataClass,
    class_of,
)
from hub.disclosure.grants import Permit
from hub.disclosure.tables import case, case_resource, draft, grant
from hub.fhir.dates import JST, micros

NOON = datetime(2026, 4, 1, 12, tzinfo=JST)
HOUR = timedelta(hours=1)
ORGANISATIONS = ("one", "two", "three")


def a_case(id="case-1", **over):
    values = {
        "programme": "p",
        "source": "one",
        "correlation": id,
        "patient": f"patient-{id}",
        "service_request": "r",
        "parent_task": f"task-{id}",
        "consent": "Consent/c/_history/1",
        "provided_at": NOON,
        "closed_at": None,
    }
    return Case(id=id, **values | over)


def a_permit(recipient="two", classes=WHOLE, ends=None):
    return Permit("consent-person", recipient, classes, "Consent/c", "clause", ends)


@pytest.fixture
def session(database):
    with database.transaction() as opened:
        cases.open_case(opened, a_case(), NOON)
        yield opened


def seen(session, organisation, at=NOON, roles=frozenset()):
    flush(session)
    actor = Actor("client", organisation, roles=roles)
    visible = grants.visible_to(actor, at)
    rows = session.execute(
        select(case_resource.c.type, case_resource.c.id).where(visible(case_resource))
    )
    return {(row.type, row.id) for row in rows}


def test_a_grant_opens_its_classes_to_its_organisation_and_to_nobody_else(session):
    cases.add(session, "case-1", ("Patient", "p"), DataClass.PERSON, "one")
    cases.add(session, "case-1", ("Encounter", "e"), DataClass.RECORD, "two")
    grants.open_grant(session, "case-1", a_permit("one", FOR_SOURCE), "source", NOON)
    grants.open_grant(session, "case-1", a_permit("two"), "recipient", NOON)
    assert seen(session, "one") == {("Patient", "p")}
    assert seen(session, "two") == {("Patient", "p"), ("Encounter", "e")}
    assert seen(session, "three") == set()
    assert len(seen(session, "hub", roles=frozenset({"hub"}))) == 2


def test_G7_rows_are_closed_and_never_deleted(session):
    grants.open_grant(session, "case-1", a_permit(), "recipient", NOON)
    assert grants.close_grants(session, "case-1", "transferred", NOON + HOUR) == 1
    assert grants.close_grants(session, "case-1", "again", NOON + HOUR) == 0
    (row,) = grants.explain(session, "case-1")
    assert (row["closed_because"], row["closed_at"]) == (
        "transferred",
        micros(NOON + HOUR),
    )
    assert row["basis"] == "consent-person"
    assert row["classes"] == [str(c.name).lower() for c in DataClass if c & WHOLE]


def test_an_equal_open_grant_is_the_same_one_and_an_ended_one_is_not(session):
    until = NOON + HOUR
    first = grants.open_grant(
        session, "case-1", a_permit(ends=until), "recipient", NOON
    )
    again = grants.open_grant(
        session, "case-1", a_permit(ends=until), "recipient", NOON
    )
    assert again == first
    later = grants.open_grant(
        session, "case-1", a_permit(ends=until + HOUR), "recipient", until
    )
    assert later != first
    assert grants.is_open(session, later, until)
    assert not grants.is_open(session, first, until)


def test_a_grant_is_limited_when_its_permit_ends_earlier(session):
    id_ = grants.open_grant(session, "case-1", a_permit(), "recipient", NOON)
    grants.limit_grant(session, id_, a_permit(ends=NOON + HOUR))
    assert grants.is_open(session, id_, NOON)
    assert not grants.is_open(session, id_, NOON + HOUR)
    assert grants.expired(session, NOON) == []
    assert grants.expired(session, NOON + HOUR) == ["case-1"]


def test_closing_one_role_leaves_the_other_of_the_same_organisation(session):
    grants.open_grant(session, "case-1", a_permit("one", FOR_SOURCE), "source", NOON)
    grants.open_grant(session, "case-1", a_permit("one"), "recipient", NOON)
    grants.close_grants(session, "case-1", "transferred", NOON, "one", "recipient")
    roles = [g["role"] for g in grants.held(session, "case-1", "one", NOON)]
    assert roles == ["source"]


def test_a_former_recipient_keeps_person_status_and_feedback(session):
    for kind, data_class in (
        ("Patient", DataClass.PERSON),
        ("QuestionnaireResponse", DataClass.REFERRAL),
        ("Consent", DataClass.CONSENT),
        ("Task", DataClass.STATUS),
        ("Encounter", DataClass.RECORD),
        ("Composition", DataClass.FEEDBACK),
    ):
        cases.add(session, "case-1", (kind, "x"), data_class, "one")
    grants.open_grant(session, "case-1", a_permit("two", FOR_FORMER), "former", NOON)
    assert {kind for kind, _ in seen(session, "two")} == {
        "Patient",
        "Task",
        "Composition",
    }


def test_two_recipients_of_one_case_see_it_and_each_alone_of_another(session):
    cases.open_case(session, a_case("case-2"), NOON)
    cases.add(session, "case-1", ("Patient", "p1"), DataClass.PERSON, "one")
    cases.add(session, "case-2", ("Patient", "p2"), DataClass.PERSON, "one")
    for organisation in ("two", "three"):
        grants.open_grant(session, "case-1", a_permit(organisation), "recipient", NOON)
    grants.open_grant(session, "case-2", a_permit("three"), "recipient", NOON)
    assert seen(session, "two") == {("Patient", "p1")}
    assert seen(session, "three") == {("Patient", "p1"), ("Patient", "p2")}


def test_a_draft_is_its_authors_until_it_expires(session):
    cases.keep_draft(session, ("Patient", "d"), "one", NOON + HOUR)
    flush(session)
    for organisation, at, expected in (
        ("one", NOON, 1),
        ("one", NOON + HOUR, 0),
        ("two", NOON, 0),
    ):
        visible = grants.visible_to(Actor("c", organisation), at)
        found = session.execute(select(draft.c.id).where(visible(draft))).all()
        assert len(found) == expected


def test_open_cases_come_before_closed_ones(session):
    cases.open_case(session, a_case("case-2", patient="patient-case-1"), NOON + HOUR)
    for id_ in ("case-1", "case-2"):
        grants.open_grant(session, id_, a_permit(), "recipient", NOON - HOUR)
    cases.close(session, "case-2", NOON + HOUR)
    found = grants.writable_cases(session, "two", "patient-case-1")
    assert found == ["case-1", "case-2"]


def test_the_class_of_a_resource_depends_on_who_wrote_it():
    assert (
        class_of({"resourceType": "Observation"}, by_recipient=True) == DataClass.RECORD
    )
    assert (
        class_of({"resourceType": "Observation"}, by_recipient=False)
        == DataClass.REFERRAL
    )
    for kind in ("Composition", "Bundle"):
        document = {"resourceType": kind}
        assert class_of(document, by_recipient=True) == DataClass.FEEDBACK
        # As feedback a former recipient would read what the sender writes later.
        assert class_of(document, by_recipient=False) == DataClass.REFERRAL
    for by_recipient in (True, False):
        patient = {"resourceType": "Patient"}
        assert class_of(patient, by_recipient=by_recipient) == DataClass.PERSON


@dataclass(frozen=True)
class Given:
    case: str
    organisation: str
    classes: DataClass
    starts: int
    ends: int | None
    closed: bool


CASES = ("case-1", "case-2")
GIVEN = st.builds(
    Given,
    case=st.sampled_from(CASES),
    organisation=st.sampled_from(ORGANISATIONS),
    classes=st.integers(0, 127).map(DataClass),
    starts=st.integers(-3, 3),
    ends=st.none() | st.integers(-3, 3),
    closed=st.booleans(),
)
MEMBERS = st.dictionaries(
    st.tuples(
        st.sampled_from(("Patient", "Task", "Encounter", "Organization")),
        st.sampled_from("ab"),
        st.sampled_from(CASES),
    ),
    st.sampled_from(list(DataClass)),
    max_size=8,
)


def model(members, given_, organisation, moment):
    """What a plain reading of G1 lets an organisation see."""
    return {
        (kind, id_)
        for (kind, id_, in_case), data_class in members.items()
        if kind in PUBLIC_TYPES
        or any(
            g.case == in_case
            and g.organisation == organisation
            and g.classes & data_class
            and not g.closed
            and g.starts <= moment
            and (g.ends is None or g.ends > moment)
            for g in given_
        )
    }


def fill(session, members, given_):
    for table in (case_resource, grant, draft, case):
        session.execute(table.delete())
    for id_ in CASES:
        cases.open_case(session, a_case(id_), NOON)
    for (kind, id_, in_case), data_class in members.items():
        cases.add(session, in_case, (kind, id_), data_class, "one")
    flush(session)
    for number, one in enumerate(given_):
        row = {
            "id": str(number),
            "case_id": one.case,
            "organisation": one.organisation,
            "role": "recipient",
            "basis": "consent-person",
            "consent": "Consent/c",
            "clause": "x",
            "classes": int(one.classes),
            "starts": micros(NOON + one.starts * HOUR),
            "ends": None if one.ends is None else micros(NOON + one.ends * HOUR),
            "closed_at": micros(NOON) if one.closed else None,
            "closed_because": "x" if one.closed else None,
        }
        session.execute(grant.insert(), row)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MEMBERS, st.lists(GIVEN, max_size=6), st.integers(-4, 4))
def test_G1_the_predicate_is_the_model(database, members, given_, moment):
    with database.transaction() as session:
        fill(session, members, given_)
        at = NOON + moment * HOUR
        for organisation in ORGANISATIONS:
            expected = model(members, given_, organisation, moment)
            assert seen(session, organisation, at) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MEMBERS, st.lists(GIVEN, min_size=1, max_size=6), st.data())
def test_G8_one_restriction_more_never_adds_a_result(database, members, given_, data):
    index = data.draw(st.integers(0, len(given_) - 1))
    one = given_[index]
    fewer = data.draw(st.sampled_from(list(DataClass)))
    narrower = data.draw(
        st.sampled_from(
            [
                None,
                Given(**{**vars(one), "closed": True}),
                Given(**{**vars(one), "classes": one.classes & ~fewer}),
                Given(**{**vars(one), "ends": min(one.ends or 0, 0)}),
            ]
        )
    )
    rest = [g for n, g in enumerate(given_) if n != index]
    with database.transaction() as session:
        fill(session, members, given_)
        before = {o: seen(session, o) for o in ORGANISATIONS}
        fill(session, members, [*rest, *([narrower] if narrower else [])])
        for organisation in ORGANISATIONS:
            assert seen(session, organisation) <= before[organisation]
