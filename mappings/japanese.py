"""Japanese ways of writing: dates with eras, kana, telephone and postal numbers.

Pure. Every function reads one written value and says whether it could be read;
none guesses. Width is folded (NFKC) in dates, numbers and choices, never in names:
NFKC would turn U+FA1B into U+798F, another way to write the same surname.
Source: handbook §7, `Kana`, `Eras`, `Fold width`; decision D-14.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Literal

import jaconv

Trouble = Literal["unreadable", "era", "lunar"]


@dataclass(frozen=True, slots=True)
class Era:
    """One era: `start` is the first day that is written with it."""

    name: str
    letter: str
    start: date


# Newest first. The day an era begins is written with the new era only (D-14).
ERAS = (
    Era("令和", "R", date(2019, 5, 1)),
    Era("平成", "H", date(1989, 1, 8)),
    Era("昭和", "S", date(1926, 12, 25)),
    Era("大正", "T", date(1912, 7, 30)),
    Era("明治", "M", date(1868, 1, 25)),
)
# Japan counted by the moon until then: a date before it is kept as written.
GREGORIAN_SINCE = date(1873, 1, 1)

_BY_SIGN = {sign: era for era in ERAS for sign in (era.name, era.letter, era.name[0])}
_ENDS = {old.name: new.start for new, old in pairwise(ERAS)}
_DAY = (
    r"(?P<y>元|[0-9]{1,2})(?:年|[./-])(?P<m>[0-9]{1,2})(?:月|[./-])(?P<d>[0-9]{1,2})日?"
)
_ERA_DATE = re.compile(rf"(?P<era>令和|平成|昭和|大正|明治|[RHSTM令平昭大明])\.?{_DAY}")
_WEST_DATE = re.compile(
    r"(?:西暦)?(?P<y>[0-9]{4})(?:年|[./-])(?P<m>[0-9]{1,2})(?:月|[./-])(?P<d>[0-9]{1,2})日?"
)
_MINUS = str.maketrans(dict.fromkeys("\u2212\u2010\u2011\u2013\u2014\u30fc\uff70", "-"))
# The pairs that ISO-2022-JP and CP932 give for one and the same JIS character.
_PAIRS = str.maketrans({"\uff0d": "\u2212", "\uff5e": "\u301c"})
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")
_LOST = re.compile("[\u3013\u25a0?\uff1f\ufffd]")
_KATAKANA = re.compile(r"[ァ-ヺー・ヽヾ '.A-Za-z-]+")
_SPACES = re.compile(r"\s+")
_PHONE = re.compile(r"0[0-9-]*[0-9]")


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """A date as written, and what it means when it can be read.

    `trouble`: `unreadable` (no known way of writing, or no such day), `era` (the
    era did not have that date) or `lunar` (before 1873); None when `day` is given.
    """

    text: str
    day: date | None = None
    trouble: Trouble | None = None


def fold(text: str) -> str:
    """One width, no spaces: how printed words, headers and numbers are compared."""
    return _SPACES.sub("", unicodedata.normalize("NFKC", text.translate(_PAIRS)))


def same_writing(one: str, other: str) -> bool:
    """True when two texts differ at most in U+FF0D/U+2212 and U+FF5E/U+301C."""
    return one.translate(_PAIRS) == other.translate(_PAIRS)


def read_date(text: str) -> WrittenDate:
    """Read one written date: `S45.3.7`, `㍼64年1月7日`, `令和元年5月1日`, `2026/4/3`.

    Either width, era by name, letter or square sign, 元 for the first year.
    """
    folded = fold(text).translate(_MINUS).upper()
    if match := _ERA_DATE.fullmatch(folded):
        return _era_date(text, match)
    if match := _WEST_DATE.fullmatch(folded):
        day = _day(int(match["y"]), match)
        return _checked(text, day)
    return WrittenDate(text, trouble="unreadable")


def _era_date(text: str, match: re.Match[str]) -> WrittenDate:
    era = _BY_SIGN[match["era"]]
    year = 1 if match["y"] == "元" else int(match["y"])
    day = _day(era.start.year + year - 1, match)
    if day is None:
        return WrittenDate(text, trouble="unreadable")
    end = _ENDS.get(era.name)
    if year < 1 or day < era.start or (end is not None and day >= end):
        return WrittenDate(text, trouble="era")
    return _checked(text, day)


def _checked(text: str, day: date | None) -> WrittenDate:
    if day is None:
        return WrittenDate(text, trouble="unreadable")
    if day < GREGORIAN_SINCE:
        return WrittenDate(text, trouble="lunar")
    return WrittenDate(text, day)


def _day(year: int, match: re.Match[str]) -> date | None:
    try:
        return date(year, int(match["m"]), int(match["d"]))
    except ValueError:
        return None


def to_era(day: date) -> str:
    """Write a day as the forms print it: `令和8年4月1日`, the first year as 元年.

    A day before 1873 has no era date in this calendar and is written `1870年1月1日`.
    """
    era = next((e for e in ERAS if day >= e.start), None)
    if era is None or day < GREGORIAN_SINCE:
        return f"{day.year}年{day.month}月{day.day}日"
    year = day.year - era.start.year + 1
    written = "元" if year == 1 else str(year)
    return f"{era.name}{written}年{day.month}月{day.day}日"


def weekday(day: date) -> str:
    """The weekday as the forms print it: one of 月火水木金土日."""
    return "月火水木金土日"[day.weekday()]


def name_text(text: str) -> str:
    """A name as FHIR wants it: only spaces change, to single half-width ones."""
    return _SPACES.sub(" ", text).strip()


def has_lost_character(text: str) -> bool:
    """True when a name holds 〓 ■ ? or U+FFFD: some system could not write it."""
    return _LOST.search(text) is not None


def mark_private(text: str) -> str:
    """Replace private-use characters (a sender's own glyphs) by 〓."""
    return _PRIVATE.sub("\u3013", text)


def katakana(text: str) -> str | None:
    """A reading in full-width katakana, parts joined by one space.

    Hiragana and half-width kana are converted. None when something else than kana
    or Latin letters remains: kanji have no reading of their own.
    """
    wide = jaconv.h2z(name_text(text), kana=True, ascii=False, digit=False)
    kana = jaconv.hira2kata(unicodedata.normalize("NFC", wide))
    return kana if _KATAKANA.fullmatch(kana) else None


def telephone(text: str) -> str | None:
    """A Japanese telephone number in digits and hyphens; None when it is not one.

    `0995(00)0002` gives `0995-00-0002`, `+81-99-000-0005` gives `099-000-0005`.
    Ten or eleven digits without separators stay so: where the area code ends is not
    known without a table.
    """
    folded = fold(text).translate(_MINUS).replace("(0)", "")
    if folded.startswith("+81"):
        folded = "0" + folded[3:].lstrip("-")
    number = re.sub(r"[()./-]+", "-", folded).strip("-")
    if not _PHONE.fullmatch(number):
        return None
    return number if len(number.replace("-", "")) in {10, 11} else None


def postal_code(text: str) -> str | None:
    """A postal code as `NNN-NNNN`; None unless it has exactly seven digits."""
    folded = fold(text).translate(_MINUS).removeprefix("〒")
    match = re.fullmatch(r"([0-9]{3})-?([0-9]{4})", folded)
    return f"{match[1]}-{match[2]}" if match else None
