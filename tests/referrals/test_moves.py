"""The table of workflow.md §3: every row, the wrong actor, and nothing beside it."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.referrals.moves import (
    ENDED,
    IN_PROGRESS,
    MOVES,
    OPEN,
    REASON_NEEDED,
    Role,
    as_stored,
    business_status,
    check_move,
    find_move,
)
from tests.referrals.build import business, entry, reason

STATUSES = (*OPEN, *ENDED)
CODES = [*sorted({code for move in MOVES for code in move.business if code}), None]
ROLES: tuple[Role, ...] = ("recipient", "source", "hub")
RECIPIENT: frozenset[Role] = frozenset({"recipient"})

# workflow.md §3 written out once more, by hand: (row, from, to, business, who).
TABLE: list[tuple[int, str, str, str | None, set[str]]] = [
    (2, "requested", "received", None, {"recipient", "hub"}),
    (2, "requested", "received", "address-unknown", {"recipient", "hub"}),
    (2, "requested", "received", "awaiting-phone", {"recipient", "hub"}),
    (3, "requested", "received", "awaiting-information", {"recipient"}),
    (3, "received", "received", "awaiting-information", {"recipient"}),
    (4, "requested", "accepted", None, {"recipient"}),
    (4, "received", "accepted", None, {"recipient"}),
    (5, "requested", "rejected", "declined", {"recipient"}),
    (5, "received", "rejected", "declined", {"recipient"}),
    (6, "requested", "rejected", "transferred", {"recipient"}),
    (6, "received", "rejected", "transferred", {"recipient"}),
    *(
        (7, before, "failed", "transferred", {"recipient", "hub"})
        for before in ("accepted", "in-progress", "on-hold")
    ),
    *(
        (9, status, status, "transferring", {"recipient"})
        for status in ("received", "accepted", "in-progress", "on-hold")
    ),
    (10, "accepted", "in-progress", "contact-attempted", {"recipient"}),
    *(
        (11, "in-progress", "in-progress", code, {"recipient"})
        for code in sorted(IN_PROGRESS)
    ),
    (12, "in-progress", "on-hold", None, {"recipient"}),
    (12, "on-hold", "in-progress", None, {"recipient"}),
    (13, "in-progress", "completed", None, {"recipient"}),
    (13, "on-hold", "completed", None, {"recipient"}),
    *(
        (14, before, "failed", code, {"recipient"})
        for before in ("in-progress", "on-hold")
        for code in ("unreachable", "person-declined", "provider-unable")
    ),
    *(
        (15, before, "cancelled", None, {"source"})
        for before in ("requested", "received", "accepted")
    ),
    *(
        (17, before, "cancelled", "consent-withdrawn", {"hub"})
        for before in ("requested", "received", "accepted")
    ),
    *(
        (17, before, "failed", "consent-withdrawn", {"hub"})
        for before in ("in-progress", "on-hold")
    ),
    *(
        (18, before, "entered-in-error", None, {"source"})
        for before in STATUSES
        if before != "entered-in-error"
    ),
    (19, "accepted", "received", None, {"recipient"}),
]


def a_task(status, code=None, **over):
    task = {
        "resourceType": "Task",
        "id": "t",
        "status": status,
        "intent": "order",
        "owner": {"reference": "HealthcareService/near"},
        **over,
    }
    return task | ({"businessStatus": business(code)} if code else {})


def moved(before, status, code, /, **over):
    """The Task after a move that carries all that any row asks for."""
    after = copy.deepcopy(before) | {"status": status, "statusReason": reason()}
    after["note"] = [{"text": "お知らせください"}]
    after.pop("businessStatus", None)
    return after | ({"businessStatus": business(code)} if code else {}) | over


def ids(issues):
    return {i.id for i in issues}


def allowed(row):
    number, before, after, code, who = row
    # What a row starts from: any business status but the one it brings.
    start = a_task(before, "visited" if before == after == "in-progress" else None)
    if code == "visited":
        start = a_task(before, "scheduled")
    return start, moved(start, after, code), number, who


@pytest.mark.parametrize("row", TABLE, ids=lambda r: f"{r[0]}:{r[1]}>{r[2]}:{r[3]}")
def test_each_row_is_a_move_of_its_actors_and_of_nobody_else(row):
    before, after, number, who = allowed(row)
    move = find_move(before, after)
    assert move is not None
    assert move.number == number
    for role in ROLES:
        found = check_move(before, after, frozenset({role}))
        if role not in who:
            assert ids(found) == {"HUB-REF-002"}
        elif role != "hub":
            assert found == []


@pytest.mark.parametrize("row", TABLE, ids=lambda r: f"{r[0]}:{r[1]}>{r[2]}:{r[3]}")
def test_a_reason_is_required_where_it_is_stated(row):
    before, after, number, who = allowed(row)
    del after["statusReason"]
    for role in (r for r in ROLES[:2] if r in who):
        needed = after["status"] in REASON_NEEDED or number in (9, 19)
        if number == 9 and after["status"] == "on-hold":
            continue  # already there with a reason
        found = ids(check_move(before, after, frozenset({role})))
        assert ("HUB-REF-003" in found) == needed


def test_there_is_no_other_pair_than_those_of_the_table():
    known = {(before, after, code) for _, before, after, code, _ in TABLE}
    # None beside these: a business status carried over counts as none.
    known |= {("requested", "rejected", None), ("received", "rejected", None)}
    known |= {("accepted", "in-progress", None)}
    for before in STATUSES:
        for after in STATUSES:
            for code in CODES:
                found = find_move(a_task(before), moved(a_task(before), after, code))
                if (before, after, code) in known:
                    assert found is not None, (before, after, code)
                elif found is not None:
                    # A waiting or working word may stand beside the same move.
                    plain = find_move(a_task(before), a_task(after))
                    assert plain is not None
                    assert plain.number == found.number, (before, after, code)
    assert {m.number for m in MOVES} == {row[0] for row in TABLE}


def test_an_ended_task_has_no_move_but_the_recall():
    for before in ENDED:
        for after in STATUSES:
            for code in CODES:
                found = find_move(a_task(before), moved(a_task(before), after, code))
                assert found is None or found.number == 18


def test_move_3_asks_something():
    before = a_task("requested")
    asking = moved(before, "received", "awaiting-information")
    del asking["note"]
    assert ids(check_move(before, asking, RECIPIENT)) == {"HUB-REF-009"}
    asking["output"] = [entry("question", valueString="退院の予定は")]
    assert check_move(before, asking, RECIPIENT) == []


def test_move_19_only_while_nothing_is_recorded():
    before = a_task("accepted")
    after = moved(before, "received", None)
    found = check_move(before, after, RECIPIENT, has_records=True)
    assert ids(found) == {"HUB-REF-008"}


MAY = {"businessStatus", "statusReason", "note", "output", "executionPeriod", "owner"}


@pytest.mark.parametrize(
    "element",
    ["for", "focus", "basedOn", "partOf", "input", "priority", "requester", "code",
     "intent", "groupIdentifier", "extension", "authoredOn", *sorted(MAY)],
)  # fmt: skip
def test_the_recipient_changes_the_listed_elements_and_nothing_else(element):
    before = a_task("in-progress")
    after = moved(before, "in-progress", "visited", **{element: [{"text": "x"}]})
    if element == "businessStatus":
        after[element] = business("visited")
    found = check_move(before, after, RECIPIENT)
    assert ids(found) == (set() if element in MAY else {"HUB-REF-004"})
    removed = {k: v for k, v in before.items() if k != "intent"}
    assert ids(check_move(before, removed, RECIPIENT)) == {"HUB-REF-004"}


def test_one_without_a_part_in_the_task_changes_nothing_not_even_nothing():
    task = a_task("accepted")
    assert ids(check_move(task, task, frozenset())) == {"HUB-REF-002"}


def test_the_sender_adds_inputs_and_notes_and_keeps_what_is_there():
    before = a_task("received", input=[entry("routing-trace", valueString="…")])
    source: frozenset[Role] = frozenset({"source"})
    answer = entry("answer", valueString="月曜日")
    assert (
        check_move(before, before | {"input": [*before["input"], answer]}, source) == []
    )
    assert ids(check_move(before, before | {"input": [answer]}, source)) == {
        "HUB-REF-004"
    }
    assert ids(check_move(before, before | {"statusReason": reason()}, source)) == {
        "HUB-REF-004"
    }


def test_what_was_carried_over_and_no_longer_holds_is_dropped():
    asked = a_task("received", "awaiting-information")
    accepted = as_stored(asked, asked | {"status": "accepted"})
    assert business_status(accepted) is None
    waiting = a_task("requested", "awaiting-phone")
    received = as_stored(waiting, waiting | {"status": "received"})
    assert business_status(received) == "awaiting-phone"
    rejected = as_stored(waiting, waiting | {"status": "rejected"})
    assert business_status(rejected) == "declined"
    going = a_task("in-progress", "transferring")
    assert business_status(as_stored(going, going | {"status": "completed"})) is None
    noted = as_stored(asked, asked | {"note": [{"text": "x"}]})
    assert business_status(noted) == "awaiting-information"


def test_an_overdue_coding_is_no_business_status_of_its_own():
    task = a_task("accepted")
    late = {"coding": [*business("overdue-contact")["coding"]]}
    assert business_status(task | {"businessStatus": late}) is None
    both = {"coding": [*late["coding"], *business("scheduled")["coding"]]}
    assert business_status(task | {"businessStatus": both}) == "scheduled"


STATES = {("requested", c) for c in (None, "address-unknown", "awaiting-phone")} | {
    (row[2], row[3]) for row in TABLE
} | {("accepted", "address-unknown"), ("accepted", "awaiting-phone"),
     ("cancelled", "address-unknown"), ("cancelled", "awaiting-phone"),
     ("in-progress", None), ("on-hold", None)} | {
    (status, code) for status in ("on-hold", "completed") for code in IN_PROGRESS
}  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(STATUSES), st.sampled_from(CODES), st.sampled_from(ROLES)
        ),
        max_size=12,
    )
)
def test_no_sequence_of_moves_reaches_a_state_outside_the_table(steps):
    task = a_task("requested")
    for status, code, role in steps:
        wanted = moved(task, status, code or business_status(task))
        if check_move(task, wanted, frozenset({role})):
            continue
        task = as_stored(task, wanted)
        assert (task["status"], business_status(task)) in STATES
