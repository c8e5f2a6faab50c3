from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.print.words import (
    age,
    era_month,
    era_short,
    era_time,
    gender_word,
    printable,
)


@pytest.mark.parametrize(
    ("day", "written"),
    [
        (date(2026, 4, 1), "R8.4.1"),
        (date(2019, 5, 1), "R1.5.1"),
        (date(2019, 4, 30), "H31.4.30"),
        (date(1989, 1, 8), "H1.1.8"),
        (date(1989, 1, 7), "S64.1.7"),
        (date(1926, 12, 24), "T15.12.24"),
        (date(1912, 7, 29), "M45.7.29"),
        (date(1870, 1, 1), "1870.1.1"),
    ],
)
def test_a_table_date_has_the_letter_of_its_era(day, written):
    assert era_short(day) == written


def test_a_month_is_written_with_the_era_of_its_first_day():
    assert era_month(2026, 4) == "令和8年4月"
    assert era_month(2019, 5) == "令和元年5月"
    assert era_month(2019, 4) == "平成31年4月"
    assert era_month(1989, 1) == "昭和64年1月"


def test_a_moment_is_written_in_japans_time():
    assert era_time(datetime(2026, 4, 30, 15, 5, tzinfo=UTC)) == "令和8年5月1日 0時05分"


def test_a_leap_day_child_is_a_year_older_on_the_first_of_march():
    assert age(date(2004, 2, 29), date(2026, 2, 28)) == 21
    assert age(date(2004, 2, 29), date(2026, 3, 1)) == 22
    assert age(date(1985, 5, 12), date(2026, 5, 12)) == 41


@given(st.dates(date(1873, 1, 1), date(2100, 1, 1)), st.integers(0, 40_000))
def test_age_never_goes_down_as_days_pass(birth, days):
    later = date.fromordinal(min(birth.toordinal() + days, date.max.toordinal()))
    assert 0 <= age(birth, birth) <= age(birth, later)
    assert age(birth, later) <= days / 365 + 1


def test_gender_is_a_word_of_the_form_and_anything_else_is_not_known():
    words = [gender_word(code) for code in ("male", "female", "other", None, "A")]
    assert words == ["男", "女", "その他", "不明", "不明"]


@given(st.text())
def test_printable_text_has_no_control_character_and_keeps_every_other(text):
    shown = printable(text)
    assert not any(ord(c) < 32 and c != "\n" for c in shown)
    assert [c for c in shown if not c.isspace()] == [
        c for c in text if not c.isspace() and ord(c) >= 32 and not 127 <= ord(c) < 160
    ]


def test_printable_leaves_the_writing_of_a_name_alone():
    # Handbook §7: width and variants are never folded in names.
    for name in ("髙﨑　花子", "福\ufa1b", "葛\U000e0100城", "か\u3099"):
        assert printable(name) == name
