"""What is explained is what is enforced (security.md G9)."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from hub.actor import Actor
from hub.disclosure import access, cases, grants
from hub.disclosure.classes import PUBLIC_TYPES, WHOLE, DataClass
from hub.disclosure.tables import case_resource
from hub.store.visibility import among
from tests.disclosure.test_grants import (
    CASES,
    GIVEN,
    HOUR,
    MEMBERS,
    NOON,
    ORGANISATIONS,
    Given,
    a_case,
    a_permit,
    fill,
)

MOMENTS = range(-4, 5)
TYPES = ("Patient", "Task", "Encounter", "Organization")


def enforced(session, organisation, at, shape):
    """(type, id) that the predicate lets through, in one of its two forms."""
    visible = grants.visible_to(Actor("client", organisation), at)
    is_set = shape == "set"
    rule = among(visible, case_resource, TYPES) if is_set else visible(case_resource)
    rows = session.execute(select(case_resource.c.type, case_resource.c.id).where(rule))
    return {(row.type, row.id) for row in rows}


def explained(session, members, organisation, at):
    """(type, id) that the explanation of the cases says an organisation may see."""
    told = {
        (id_, one.data_class)
        for id_ in CASES
        for one in access.of_case(session, id_, at)
        if one.organisation == organisation
    }
    return {
        (kind, id_)
        for (kind, id_, in_case), data_class in members.items()
        if kind in PUBLIC_TYPES or (in_case, data_class) in told
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(MEMBERS, st.lists(GIVEN, max_size=6))
def test_G9_explanation_and_enforcement_agree_for_all_organisations_and_moments(
    database, members, given_
):
    with database.transaction() as session:
        fill(session, members, given_)
        for organisation in ORGANISATIONS:
            for moment in MOMENTS:
                at = NOON + moment * HOUR
                told = explained(session, members, organisation, at)
                for shape in ("each", "set"):
                    assert enforced(session, organisation, at, shape) == told


EACH = {("Patient", str(int(c)), CASES[0]): c for c in DataClass}
IN_CASE = GIVEN.map(lambda g: Given(**{**vars(g), "case": CASES[0]}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(st.lists(IN_CASE, max_size=6))
def test_G9_until_is_the_moment_at_which_enforcement_ends(database, given_):
    with database.transaction() as session:
        fill(session, EACH, given_)
        for one in access.of_case(session, CASES[0], NOON):
            key = ("Patient", str(int(one.data_class)))
            assert key in enforced(session, one.organisation, NOON, "each")
            for moment in MOMENTS:
                at = NOON + moment * HOUR
                is_within = at >= NOON and (one.until is None or at < one.until)
                seen = key in enforced(session, one.organisation, at, "each")
                assert seen or not is_within
            # Those that began later do not count: what is told is of this moment.
            held = [g for g in given_ if g.starts <= 0 and not g.closed]
            if one.until is not None and len(held) == len(given_):
                assert key not in enforced(session, one.organisation, one.until, "set")


def test_two_grants_of_one_class_are_told_together_with_the_later_end(database):
    with database.transaction() as session:
        cases.open_case(session, a_case(), NOON)
        soon, later = NOON + HOUR, NOON + 2 * HOUR
        short = a_permit(classes=DataClass.STATUS, ends=soon)
        first = grants.open_grant(session, "case-1", short, "former", NOON - HOUR)
        long = a_permit(classes=DataClass.STATUS | DataClass.PERSON, ends=later)
        second = grants.open_grant(session, "case-1", long, "recipient", NOON)
        person, status = access.of_case(session, "case-1", NOON)
        assert (person.data_class, person.until) == (DataClass.PERSON, later)
        assert person.grants == (second,)
        assert (status.data_class, status.until) == (DataClass.STATUS, later)
        assert status.grants == (first, second)
        grants.open_grant(session, "case-1", a_permit(), "recipient", NOON)
        told = access.of_case(session, "case-1", NOON)
        assert [one.data_class for one in told] == [c for c in DataClass if c & WHOLE]
        assert {one.until for one in told} == {None}
        assert access.of_case(session, "case-2", NOON) == []


def test_what_is_closed_stays_closed_when_the_clock_steps_back(database):
    with database.transaction() as session:
        cases.open_case(session, a_case(), NOON)
        grants.open_grant(session, "case-1", a_permit(), "recipient", NOON - HOUR)
        grants.close_grants(session, "case-1", "consent-withdrawn", NOON)
        assert access.of_case(session, "case-1", NOON - timedelta(minutes=1)) == []
