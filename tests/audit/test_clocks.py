"""The last days of the reports that the law asks for after a leak."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.audit.clocks import clocks


def test_the_day_of_knowing_is_the_first_day():
    found = clocks(datetime(2026, 11, 2, 3, 0, tzinfo=UTC), malicious=False)
    assert found.known == date(2026, 11, 2)
    assert (found.first_from, found.first_to) == (date(2026, 11, 4), date(2026, 11, 6))
    assert found.second == date(2026, 12, 1)


def test_a_malicious_act_gives_sixty_days_for_the_second_report_alone():
    found = clocks(datetime(2026, 11, 2, 3, 0, tzinfo=UTC), malicious=True)
    assert found.second == found.second_malicious == date(2026, 12, 31)
    assert found.second_usual == date(2026, 12, 1)
    assert found.first_to == date(2026, 11, 6)


@pytest.mark.parametrize(
    ("moment", "known"),
    [
        (datetime(2026, 11, 2, 14, 59, tzinfo=UTC), date(2026, 11, 2)),
        (datetime(2026, 11, 2, 15, 0, tzinfo=UTC), date(2026, 11, 3)),
    ],
)
def test_the_day_of_knowing_is_japans(moment, known):
    assert clocks(moment, malicious=False).known == known


@given(st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001 - made aware below
def test_no_deadline_is_later_than_the_law_by_either_way_of_counting(moment):
    aware = moment.replace(tzinfo=UTC)
    found = clocks(aware, malicious=False)
    # The day of knowing not counted (民法140条) would end a day later.
    assert found.first_to < found.known + timedelta(days=5)
    assert found.second_usual < found.known + timedelta(days=30)
    assert found.second_malicious < found.known + timedelta(days=60)
