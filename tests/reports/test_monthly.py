from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.fhir.outcome import FhirError
from hub.reports import Month
from hub.reports.render import sheet
from tests.reports.build import CENTRE, a_report, a_row

MONTHS = st.builds(Month, st.integers(1900, 2200), st.integers(1, 12))


@given(st.integers(0, 60))
def test_KG_10_the_count_equals_the_rows(number):
    value = sheet(a_report(number))
    assert value["count"] == len(value["rows"]) == number


@given(MONTHS)
def test_a_month_is_read_as_it_is_written(month):
    assert Month.parse(str(month)) == month
    assert month.first.day == 1
    assert date.fromordinal(month.last.toordinal() + 1).day == 1


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-4", "2026-13", "令和8年4月", "2026-04-01"]
)
def test_a_month_that_is_not_one_is_refused(text):
    with pytest.raises(FhirError, match="HUB-REP-003"):
        Month.parse(text)


def test_a_month_ends_at_midnight_in_japan():
    april = Month(2026, 4)
    assert april.holds(datetime(2026, 3, 31, 15, 0, tzinfo=UTC))
    assert not april.holds(datetime(2026, 3, 31, 14, 59, 59, tzinfo=UTC))
    assert not april.holds(datetime(2026, 4, 30, 15, 0, tzinfo=UTC))


def test_the_number_is_digits_and_depends_on_centre_hospital_and_month_alone():
    one = a_report(3)
    assert one.number == a_report(0).number
    assert one.number != a_report(3, month=Month(2026, 5)).number
    assert one.file_name == f"report-{one.number}.pdf"
    assert one.number.replace("-", "").isdigit()


def test_the_head_of_the_centre_signs():
    value = sheet(a_report())
    assert CENTRE.signer == "姶良保健所長"
    assert (value["head"], value["month"], value["issued"]) == (
        "姶良保健所長",
        "令和8年4月",
        "令和8年5月1日",
    )


def test_the_sheet_reads_strings_only_and_an_unknown_birth_date_as_written():
    row = sheet(a_report((a_row(birth_date=None, birth_text="昭和60年頃", sex=None),)))
    (shown,) = row["rows"]
    assert shown["birth"] == "昭和60年頃"
    assert (shown["age"], shown["sex"], shown["received"]) == ("", "不明", "R8.4.3")
    assert all(isinstance(value, str) for value in shown.values())
