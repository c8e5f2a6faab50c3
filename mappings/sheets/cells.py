"""One cell of a sheet to answers: by the kind of its column, never by guessing.

A value that cannot be read keeps its text, has no coded value and gives one warning
(decision D-10).
"""

import re
from dataclasses import dataclass, field

from hub.fhir.answers import answer
from hub.fhir.canonical import MUNICIPALITY_CODES
from hub.fhir.json import Resource
from mappings import japanese
from mappings.japanese import fold
from mappings.sheets.choices import Picked, pick, without_label
from mappings.sheets.layout import Choice, Column, Layout

_WEEKDAY = re.compile(r"^(.*?)[（(]\s*([月火水木金土日]?)\s*(?:曜日?)?\s*[)）]\s*$")
_BLANK_DATE = re.compile(r"(令和|平成|昭和)?年月日(\((曜日)?\))?")
_NUMBERS = re.compile(r"[・･、，,;；\n]+")
# Words that stand in no relation's name: 家族（拒否） is not a family's consent.
_DENIED = re.compile("無|拒|不|否|なし|ない|せず|保留|未定|未同意|未確認|×|✕|✖")
_SENTENCES = re.compile(r"[。\r\n]+")
_DATE_TROUBLE = {
    "unreadable": "HUB-SHEET-021",
    "era": "HUB-SHEET-022",
    "lunar": "HUB-SHEET-023",
}
_PAIR = 2  # both of two choices may hold
_CHECK_WEIGHTS = (6, 5, 4, 3, 2)


@dataclass(slots=True)
class Reading:
    """What one cell gave: (linkId, answer) in order, extras, ids of warnings."""

    answers: list[tuple[str, Resource]] = field(default_factory=list)
    extras: dict[str, str | bool] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_cell(text: str, column: Column, layout: Layout) -> Reading:
    """Read one non-empty cell. Never raises: what cannot be read is a warning."""
    reading = Reading()
    _READERS[column.kind](text.strip(), column, layout, reading)
    return reading


def _text(text: str, column: Column, _layout: Layout, out: Reading) -> None:
    if column.extra:
        out.extras[column.extra] = text
    if column.link:
        out.answers.append((column.link, answer("valueString", text)))
    if column.wish and any(fold(s) in column.wish for s in _SENTENCES.split(text)):
        out.extras["nearestCentre"] = True


def _name(text: str, column: Column, _layout: Layout, out: Reading) -> None:
    if japanese.has_lost_character(text):
        out.warnings.append("HUB-SHEET-027")
    name = japanese.name_text(text)
    out.answers.append((str(column.link), answer("valueString", name, text)))


def _kana(text: str, column: Column, _layout: Layout, out: Reading) -> None:
    kana = japanese.katakana(text)
    if kana is None:
        out.warnings.append("HUB-SHEET-026")
    out.answers.append((str(column.link), answer("valueString", kana, text)))


def _date(text: str, column: Column, layout: Layout, out: Reading) -> None:
    if _BLANK_DATE.fullmatch(fold(text)):
        return
    written, day_of_week = text, ""
    if column.weekday and (match := _WEEKDAY.match(text)):
        written, day_of_week = match[1].strip(), match[2]
    read = japanese.read_date(written)
    if read.trouble:
        out.warnings.append(_DATE_TROUBLE[read.trouble])
    value = read.day.isoformat() if read.day else None
    out.answers.append((str(column.link), answer("valueDate", value, written)))
    if column.weekday and day_of_week:
        coding = layout.choices[column.weekday].words[day_of_week]
        out.answers.append((column.weekday, answer("valueCoding", coding)))


def _phone(text: str, column: Column, _layout: Layout, out: Reading) -> None:
    for written in (part.strip() for part in _NUMBERS.split(text)):
        if written:
            number = japanese.telephone(written)
            if number is None:
                out.warnings.append("HUB-SHEET-024")
            made = answer("valueString", number, written)
            out.answers.append((str(column.link), made))


def _postal(text: str, column: Column, _layout: Layout, out: Reading) -> None:
    code = japanese.postal_code(text)
    name = column.extra or "postalCode"
    if code is None:
        out.warnings.append("HUB-SHEET-025")
        out.extras[f"{name}Text"] = text
    else:
        out.extras[name] = code


def _boolean(text: str, column: Column, layout: Layout, out: Reading) -> None:
    link = str(column.link)
    value = layout.choices[link].words.get(fold(text))
    if value is None:
        out.warnings.append(_unread(column))
        # A yes-no box has no place for other words but the written form.
    out.answers.append((link, answer("valueBoolean", value, text)))


def _municipality(text: str, column: Column, _layout: Layout, out: Reading) -> None:
    code = municipality_code(text)
    reference: Resource = {"display": text}
    if code:
        reference = {"identifier": {"system": MUNICIPALITY_CODES, "value": code}}
    out.answers.append((str(column.link), {"valueReference": reference}))


def municipality_code(text: str) -> str | None:
    """A JIS X 0402 code of five digits, or of six with a right check digit.

    The check digit is 11 - (sum of digits times 6, 5, 4, 3, 2) mod 11, last digit.
    """
    digits = fold(text)
    if re.fullmatch(r"[0-9]{5}", digits):
        return digits
    if not re.fullmatch(r"[0-9]{6}", digits):
        return None
    total = sum(int(d) * w for d, w in zip(digits, _CHECK_WEIGHTS, strict=False))
    return digits[:5] if int(digits[5]) == (11 - total % 11) % 10 else None


def _choice(text: str, column: Column, layout: Layout, out: Reading) -> None:
    link = str(column.link)
    choice = layout.choices[link]
    picked = pick(text, choice)
    codes = {p.coding["code"] for p in picked if p.coding}
    several = len(picked) > 1 and not choice.repeats
    # A cell that still lists every printed choice was not filled in.
    untouched = len(codes) == choice.options > _PAIR and not choice.every
    if several or untouched or (column.consent and _is_qualified(picked, choice)):
        picked = [Picked(text)]
    for one in picked:
        _picked(one, link, layout, out)
    if any(p.coding is None and not p.uncoded for p in picked):
        out.warnings.append(_unread(column))


def _is_qualified(picked: list[Picked], choice: Choice) -> bool:
    """True when a bracket limits a consent: 本人（口頭）, 家族（拒否）.

    Only the bracket the form prints, with the relation in it, is understood.
    """
    return any(
        one.bracket
        and (
            one.coding is None
            or one.coding["code"] not in choice.bracket
            or _DENIED.search(fold(one.bracket))
        )
        for one in picked
    )


def _picked(one: Picked, link: str, layout: Layout, out: Reading) -> None:
    if one.coding is None:
        out.answers.append((link, answer("valueCoding", None, one.text)))
        return
    choice = layout.choices[link]
    code = one.coding["code"]
    child = choice.bracket.get(code)
    stray = one.bracket and child is None
    if stray:
        out.warnings.append("HUB-SHEET-028")
    written = one.text if stray else None
    out.answers.append((link, answer("valueCoding", one.coding, written)))
    inner = without_label(one.bracket, choice.bracket_label.get(code, ""))
    if child and inner:
        _child(child, inner, layout, out)


def _child(link: str, text: str, layout: Layout, out: Reading) -> None:
    if link not in layout.choices:
        out.answers.append((link, answer("valueString", text)))
        return
    for one in pick(text, layout.choices[link]):
        if one.coding is None:
            out.warnings.append("HUB-SHEET-020")
        written = one.text if one.coding is None or one.bracket else None
        out.answers.append((link, answer("valueCoding", one.coding, written)))


def _unread(column: Column) -> str:
    return "HUB-SHEET-029" if column.consent else "HUB-SHEET-020"


_READERS = {
    "text": _text,
    "name": _name,
    "kana": _kana,
    "date": _date,
    "phone": _phone,
    "postal": _postal,
    "choice": _choice,
    "boolean": _boolean,
    "municipality": _municipality,
}
