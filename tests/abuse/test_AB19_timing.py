"""AB19: what is hidden takes the way of what is not there: same answer, same queries.

The times themselves are measured by `make timing`, 2,000 interleaved samples of each:
on a busy machine a test of times would say nothing. Here the work is compared instead.
"""

from contextlib import contextmanager

import pytest
from sqlalchemy import event

from tests.abuse.__main__ import pairs
from tests.abuse.timing import compared
from tests.restful.build import submit


@contextmanager
def statements(hub):
    """The SQL that runs while inside, in order."""
    found: list[str] = []

    def note(_connection, _cursor, statement, *_rest):
        found.append(statement)

    event.listen(hub.database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(hub.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/Patient/{id}"),
        ("HEAD", "/Patient/{id}"),
        ("GET", "/Patient/{id}/_history/1"),
        ("GET", "/Patient/{id}/_history"),
        ("GET", "/Patient?_id={id}"),
        ("GET", "/Patient/{id}/Task"),
        ("DELETE", "/Patient/{id}"),
        ("GET", "/EpisodeOfCare/{id}/$explain-access"),
    ],
)
def test_AB19_hidden_costs_the_statements_of_absent(
    hub, source, stranger, method, path
):
    hidden = submit(stranger)["Patient"].partition("/")[2]
    work, seen = [], []
    for id_ in (hidden, "00000000-0000-4000-8000-00000000000a"):
        with statements(hub) as found:
            answer = source.request(method, path.format(id=id_))
        work.append(found)
        seen.append((answer.status_code, answer.content.replace(id_.encode(), b"")))
    assert work[0] == work[1]
    assert seen[0] == seen[1]


def test_AB19_an_unknown_client_is_answered_as_a_known_one_with_a_wrong_key(hub):
    known, unknown = pairs(hub)["token of an unknown client"]
    assert known() == unknown()


def test_AB19_the_comparison_would_notice_a_difference():
    """The instrument itself: half a millisecond more is seen in 60 samples."""
    slow = sum
    numbers = range(60_000)
    found = compared(lambda: slow(numbers), lambda: slow(()), 60)
    assert not found.is_alike
    assert found.one > found.other
