"""How printed sheets write dates, months, ages and gender.

A full date is `令和8年4月1日`; a table cell has the era's letter, `R8.4.1`, as the
forms themselves print M.T.S.H. A calendar month is named by its first day.
"""

import re
from datetime import date, datetime

from hub.fhir.dates import JST
from mappings.japanese import ERAS, GREGORIAN_SINCE, to_era

GENDER = {"male": "男", "female": "女", "other": "その他", "unknown": "不明"}

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]+")


def era_short(day: date) -> str:
    """`R8.4.1`; the first year of an era is 1. Before 1873: `1870.1.1`."""
    era = next((e for e in ERAS if day >= e.start), None)
    if era is None or day < GREGORIAN_SINCE:
        return f"{day.year}.{day.month}.{day.day}"
    return f"{era.letter}{day.year - era.start.year + 1}.{day.month}.{day.day}"


def era_month(year: int, month: int) -> str:
    """`令和8年4月`, the era of the month's first day."""
    return to_era(date(year, month, 1)).removesuffix("1日")


def era_time(moment: datetime) -> str:
    """`令和8年4月1日 9時05分`, in Japan's time. `moment` is aware."""
    local = moment.astimezone(JST)
    return f"{to_era(local.date())} {local.hour}時{local.minute:02d}分"


def age(birth: date, on: date) -> int:
    """Completed years on a day. One born on 29 February is a year older on 1 March."""
    return on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))


def gender_word(code: str | None) -> str:
    """The printed word of a FHIR administrative gender; none or another code: 不明."""
    return GENDER.get(code or "unknown", GENDER["unknown"])


def printable(text: str) -> str:
    """Text with plain line ends and no control characters; nothing else changes.

    Names keep their writing: no normalisation, variation selectors stay.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub(" ", lines).strip()
