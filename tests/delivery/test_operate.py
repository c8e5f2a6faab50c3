"""What operators can see and do."""

import pytest

from hub.delivery import operate
from hub.delivery.connector import DeliveryError
from hub.fhir.dates import micros
from hub.fhir.outcome import FhirError
from tests.delivery.conftest import START

POISON = DeliveryError("http-400", retry=False)


def bury(box, case="c1", **over):
    id_ = box.add(case, **over)
    while True:
        for envelope in box.claim():
            box.start(envelope)
            box.settle(envelope, POISON)
        if box.status(id_) == "dead":
            return id_


def replay(box, **where):
    with box.database.transaction() as session:
        return operate.replay(session, at=box.at, **where)


def test_Q7_a_dead_letter_is_listed_with_its_reason_and_replayed_with_its_id(box):
    id_ = bury(box)
    with box.database.transaction(write=False) as session:
        (letter,) = operate.find(session, status="dead")
    assert (letter.id, letter.error, letter.attempts) == (id_, "http-400", 1)
    assert replay(box, ids=[id_]) == [id_]
    (envelope,) = box.claim()
    assert (envelope.id, envelope.attempts, envelope.sends) == (id_, 0, 1)
    box.start(envelope)
    assert box.settle(envelope).attempts == 1


def test_dead_letters_are_replayed_by_range_and_destination(box):
    old = bury(box, "c1")
    box.pass_(hours=1)
    new = bury(box, "c2", organisation="kumage")
    assert replay(box, since=micros(START) + 1, organisation="aira") == []
    assert replay(box, until=micros(START) + 1) == [old]
    assert replay(box, organisation="kumage") == [new]


def test_only_dead_letters_can_be_replayed(box):
    queued = box.add()
    with pytest.raises(FhirError) as refused:
        replay(box, ids=[queued, "absent"])
    assert [found.id for found in refused.value.issues] == [
        "HUB-DEL-002",
        "HUB-DEL-001",
    ]


def test_a_replayed_message_waits_for_the_one_of_its_case_under_way(box):
    old = bury(box)
    new = box.add()
    (under_way,) = box.claim()
    assert under_way.id == new
    replay(box, ids=[old])
    assert box.claim() == []
    box.start(under_way)
    box.settle(under_way)
    assert [e.id for e in box.claim()] == [old]


def test_a_withdrawn_dead_letter_cannot_be_replayed(box):
    id_ = bury(box)
    box.withdraw()
    with pytest.raises(FhirError):
        replay(box, ids=[id_])


def test_a_cancelled_message_is_erased_and_one_under_way_is_not(box):
    first, second = box.add(), box.add("c2")
    (envelope,) = box.claim(1)
    assert envelope.id == first
    with box.database.transaction() as session:
        assert operate.cancel(session, [first, second], at=box.at) == [second]
    assert (box.status(second), box.row(second).body) == ("cancelled", None)


def test_counts_and_the_oldest_open_message_are_known(box):
    with box.database.transaction(write=False) as session:
        assert operate.oldest_queued(session) is None
    bury(box, "c3")
    box.pass_(hours=1)
    oldest = micros(box.at)
    box.add("c1")
    box.claim()
    box.pass_(hours=1)
    box.add("c2")
    with box.database.transaction(write=False) as session:
        counts = operate.counts(session)
        assert counts == {"dead": 1, "claimed": 1, "queued": 1}
        assert operate.oldest_queued(session) == oldest
        found = operate.find(session, organisation="aira", case="c2")
    assert [each.subject for each in found] == ["Task/c2"]
