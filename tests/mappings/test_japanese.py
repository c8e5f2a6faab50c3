"""Japanese ways of writing: vectors, era edges, and what must never change."""

import json
import unicodedata
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from japanera import EraDate

from mappings import japanese
from tests.mappings.build import DATA, REPOSITORY

VECTORS = json.loads((DATA / "format_vectors.json").read_text("utf-8"))
DAYS = st.dates(min_value=japanese.GREGORIAN_SINCE, max_value=date(2117, 12, 31))


@pytest.mark.parametrize("case", VECTORS["date_vectors"], ids=lambda c: c["in"])
def test_a_written_date_reads_as_the_vector_says(case):
    read = japanese.read_date(case["in"])
    assert (read.day.isoformat() if read.day else None) == case["out"]
    assert (read.trouble is None) == case["valid"]
    assert read.text == case["in"]


@pytest.mark.parametrize("case", VECTORS["kana_vectors"], ids=lambda c: c["in"])
def test_kana_become_full_width_katakana(case):
    assert japanese.katakana(case["in"]) == case["out"]


@pytest.mark.parametrize("case", VECTORS["phone_vectors"], ids=lambda c: c["in"])
def test_a_telephone_number_reads_as_the_vector_says(case):
    assert japanese.telephone(case["in"]) == case["out"]


@pytest.mark.parametrize("case", VECTORS["postal_vectors"], ids=lambda c: c["in"])
def test_a_postal_code_reads_as_the_vector_says(case):
    assert japanese.postal_code(case["in"]) == case["out"]


def test_the_vectors_are_those_of_the_handbook():
    shared = REPOSITORY.parent / "shared/domain/samples/format_vectors.json"
    if not shared.exists():
        pytest.skip("the handbook is not beside this repository")
    assert json.loads(shared.read_text("utf-8")) == VECTORS


@given(DAYS)
def test_a_day_written_with_its_era_reads_back_as_the_same_day(day):
    assert japanese.read_date(japanese.to_era(day)).day == day


@given(DAYS)
def test_our_eras_are_those_of_another_library(day):
    # A second opinion; it has the edges of everyday use as we do.
    theirs = EraDate.from_date(day)
    assert theirs.era.kanji == japanese.read_date(japanese.to_era(day)).text[:2]


@pytest.mark.parametrize("era", japanese.ERAS[:-1], ids=lambda e: e.name)
def test_the_day_an_era_begins_is_written_with_the_new_era_only(era):
    """D-14: the old era's writing of that day keeps the text."""
    old = japanese.ERAS[japanese.ERAS.index(era) + 1]
    day, before = era.start, era.start - timedelta(days=1)
    year = day.year - old.start.year + 1
    assert japanese.to_era(day).startswith(f"{era.name}元年")
    written = japanese.read_date(f"{old.letter}{year}.{day.month}.{day.day}")
    assert (written.day, written.trouble) == (None, "era")
    assert japanese.read_date(japanese.to_era(before)).day == before
    assert japanese.to_era(before).startswith(old.name)


@pytest.mark.parametrize(
    "text",
    ["㋿8年4月1日", "令8.4.1", "ｒ８．４．１", "令和 8年 4月 1日", "2026年4月1日"],
)
def test_other_ways_of_writing_one_day_are_understood(text):
    assert japanese.read_date(text).day == date(2026, 4, 1)


@pytest.mark.parametrize("text", ["明治5年12月2日", "1872-12-31"])
def test_a_date_before_1873_is_kept_as_text(text):
    assert japanese.read_date(text) == japanese.WrittenDate(text, None, "lunar")


@pytest.mark.parametrize(
    "text", ["", "R8.4", "85/1/8", "R100.1.1", "R٨.4.1", "46113", "不明"]
)
def test_what_is_not_a_date_is_not_guessed(text):
    assert japanese.read_date(text).trouble == "unreadable"


@given(st.text())
def test_reading_any_text_never_fails(text):
    read = japanese.read_date(text)
    assert (read.day is None) == (read.trouble is not None)
    japanese.telephone(text)
    japanese.katakana(text)


@given(st.text(alphabet="髙﨑福\ufa1b試験太郎Ａ① \u3000", min_size=1))
def test_only_spaces_change_in_a_name(text):
    name = japanese.name_text(text)
    assert [c for c in name if c != " "] == [c for c in text if not c.isspace()]
    assert "\u3000" not in name
    assert "  " not in name


def test_a_surname_keeps_its_own_character():
    """U+FA1B would turn into U+798F by NFKC: another way to write the name."""
    assert japanese.name_text("\ufa1b島") == "\ufa1b島"
    assert unicodedata.normalize("NFKC", "\ufa1b") == "\u798f"


def test_minus_and_wave_of_both_encodings_are_the_same_writing():
    assert japanese.same_writing("1\uff0d2\uff5e3", "1\u22122\u301c3")
    assert not japanese.same_writing("髙", "高")


@pytest.mark.parametrize("name", ["■子", "〓田", "?藤", "？藤"])
def test_a_lost_character_is_seen(name):
    assert japanese.has_lost_character(name)


def test_kanji_have_no_reading_of_their_own():
    assert japanese.katakana("試験たろう") is None


@pytest.mark.parametrize(
    "text", ["内線12", "0995-00-000", "1234567890", "+1-202-555-0100"]
)
def test_what_is_no_japanese_number_is_not_guessed(text):
    assert japanese.telephone(text) is None


def test_the_weekday_is_printed_in_one_character():
    assert japanese.weekday(date(2026, 4, 8)) == "水"


def test_a_day_before_1873_is_written_without_an_era():
    assert japanese.to_era(date(1870, 1, 2)) == "1870年1月2日"
