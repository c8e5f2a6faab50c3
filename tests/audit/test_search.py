"""What a privacy officer can ask the log."""

import json

from hub import audit
from hub.fhir.dates import micros
from tests.audit.conftest import START


def ids(log, *, seen=None, since=None, until=None, **where) -> list[str]:
    columns = {name: (value,) for name, value in where.items()}
    asked = audit.Criteria(**columns, since=since, until=until)
    with log.database.transaction(write=False) as session:
        found = audit.find(session, asked, seen=seen)
        assert len(found) == audit.count(session, asked, seen=seen)
        return [entry.id for entry in found]


def test_events_are_found_by_patient_organisation_action_and_time(log):
    (first,) = log.write(1, "read")
    (second,) = log.write(1, "update", patients=["Patient/p2"])
    (third,) = log.write(1, "disclose", recipient="aira")
    assert ids(log) == [third, second, first]
    assert ids(log, patient="Patient/p2") == [second]
    assert ids(log, patient="Patient/p1") == [third, first]
    assert ids(log, organisation="aira") == [third]
    assert ids(log, organisation="4619999917") == [second, first]
    assert ids(log, action="U") == [second]
    start = micros(START)
    assert ids(log, since=start + 2000) == [third, second]
    assert ids(log, until=start + 2000) == [first]


def test_a_page_goes_on_where_the_last_ended(log):
    log.write(7, "search-type", patients=["Patient/a", "Patient/b"])
    seen: list[str] = []
    before = None
    while True:
        with log.database.transaction(write=False) as session:
            page = audit.find(session, limit=3, before=before)
        if not page:
            break
        seen += [entry.id for entry in page]
        before = (page[-1].recorded, page[-1].id)
    assert len(seen) == len(set(seen)) == 14


def test_one_event_is_read_by_its_id(log):
    (id_,) = log.write(1)
    with log.database.transaction(write=False) as session:
        body = audit.read(session, id_)
        assert body is not None
        assert json.loads(body)["id"] == id_
        assert audit.read(session, "absent") is None
