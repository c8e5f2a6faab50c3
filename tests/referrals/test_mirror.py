"""The parent follows its children and never moves back: workflow.md §4 row by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.fhir.canonical import TASK_REPLACES
from hub.referrals.mirror import apply, coded, mirror
from hub.referrals.moves import ENDED, OPEN, business_status
from tests.referrals.build import entry, reason

ORDER = {"requested": 0, "received": 1, "accepted": 2, "in-progress": 3, "on-hold": 3}


def a_task(id, status, code=None, **over):
    task = {"resourceType": "Task", "id": id, "status": status, **over}
    return task | ({"businessStatus": coded(code)} if code else {})


def replacing(id, status, code=None):
    extension = {"url": TASK_REPLACES, "valueReference": {"reference": "Task/old"}}
    return a_task(id, status, code, extension=[extension])


def after(parent, *children, changed=None, another=False):
    mirrored = mirror(
        parent, children, changed or children[-1], another_candidate=another
    )
    task = apply(parent, mirrored)
    return task["status"], business_status(task)


@pytest.mark.parametrize(
    ("parent", "child", "expected"),
    [
        ("requested", ("requested", "awaiting-phone"), ("requested", "awaiting-phone")),
        ("requested", ("received", None), ("received", None)),
        (
            "requested",
            ("received", "awaiting-information"),
            ("received", "awaiting-information"),
        ),
        ("received", ("accepted", None), ("accepted", None)),
        ("accepted", ("in-progress", "visited"), ("in-progress", "visited")),
        ("in-progress", ("on-hold", None), ("on-hold", None)),
        ("on-hold", ("in-progress", "monitoring"), ("in-progress", "monitoring")),
        ("received", ("rejected", "declined"), ("rejected", "declined")),
        ("accepted", ("rejected", "declined"), ("failed", "declined")),
        ("accepted", ("received", None), ("accepted", None)),
        ("in-progress", ("received", "awaiting-information"),
         ("in-progress", "awaiting-information")),
        ("accepted", ("cancelled", None), ("cancelled", None)),
        ("completed", ("entered-in-error", None), ("entered-in-error", None)),
        ("received", ("rejected", "transferred"), ("received", "transferring")),
        ("in-progress", ("failed", "transferred"), ("in-progress", "transferring")),
        ("in-progress", ("completed", None), ("completed", None)),
        ("in-progress", ("failed", "unreachable"), ("failed", "unreachable")),
        ("accepted", ("cancelled", "consent-withdrawn"),
         ("cancelled", "consent-withdrawn")),
        ("in-progress", ("failed", "consent-withdrawn"),
         ("failed", "consent-withdrawn")),
    ],
)  # fmt: skip
def test_each_row_of_the_table(parent, child, expected):
    assert after(a_task("p", parent), a_task("c", *child)) == expected


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        ("requested", ("received", "rerouting")),
        ("received", ("received", "rerouting")),
        ("accepted", ("accepted", "rerouting")),
    ],
)
def test_a_decline_with_another_candidate_reroutes(parent, expected):
    child = a_task("c", "rejected", "declined")
    assert after(a_task("p", parent), child, another=True) == expected


def test_a_new_child_after_a_transfer_leaves_the_status_and_shows_its_own_word():
    old = a_task("old", "failed", "transferred")
    new = replacing("new", "requested")
    parent = a_task("p", "in-progress")
    assert after(parent, old, new, changed=old) == ("in-progress", "transferring")
    asked = replacing("new", "received", "awaiting-information")
    assert after(parent, old, asked) == ("in-progress", "awaiting-information")
    accepted = replacing("new", "accepted")
    assert after(parent, old, accepted) == ("in-progress", None)


def test_of_two_open_children_the_one_furthest_along_counts():
    old = a_task("old", "in-progress", "visited")
    new = replacing("new", "received")
    assert after(a_task("p", "accepted"), old, new) == ("in-progress", "visited")


def test_one_of_two_that_ends_leaves_the_other():
    ended = a_task("old", "completed")
    other = replacing("new", "received")
    parent = a_task("p", "in-progress")
    assert after(parent, ended, other, changed=ended)[0] == "in-progress"


def test_outputs_come_along_once_and_not_from_what_was_cancelled():
    output = entry("outcome", valueString="終結")
    child = a_task("c", "completed", output=[output])
    parent = a_task("p", "in-progress", output=[output])
    assert apply(parent, mirror(parent, [child], child))["output"] == [output]
    cancelled = child | {"status": "cancelled"}
    parent = a_task("p", "accepted")
    assert "output" not in apply(parent, mirror(parent, [cancelled], cancelled))


def test_the_reason_of_the_child_is_the_parents_and_goes_when_it_goes():
    held = a_task("c", "on-hold", statusReason=reason("hospitalised"))
    parent = apply(a_task("p", "in-progress"), mirror(a_task("p", "x"), [held], held))
    assert parent["statusReason"] == reason("hospitalised")
    going = a_task("c", "in-progress")
    assert "statusReason" not in apply(parent, mirror(parent, [going], going))


CHILD = st.tuples(
    st.sampled_from((*OPEN, *ENDED)),
    st.sampled_from((None, "transferred", "transferring", "visited", "declined")),
)


@given(
    st.sampled_from(OPEN),
    st.lists(CHILD, min_size=1, max_size=3),
    st.booleans(),
)
def test_the_parent_never_moves_back(status, children, another):
    tasks = [a_task(str(n), *child) for n, child in enumerate(children)]
    mirrored = mirror(a_task("p", status), tasks, tasks[-1], another_candidate=another)
    assert mirrored.status in ENDED or ORDER[mirrored.status] >= ORDER[status]
