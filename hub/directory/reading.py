"""What an address text says: prefecture, county, municipality, the rest."""

import re
from dataclasses import dataclass

from hub.directory.fold import fold
from hub.directory.gazetteer import Gazetteer, Place

_POSTAL = re.compile("〒?([0-9]{3}[-‐‑‒–—―−ー]?[0-9]{4})(?![0-9])")
_LABEL = re.compile(
    "^(?:(?:現?住所|居所|自宅|住民票)[::]?|日本国?|japan,?|[（(「『\\[、,.・:])+",
    re.IGNORECASE,
)
_NOT_FIXED = re.compile(
    "住所不定|住居不定|住所不明|住居不明|住所不詳|住居なし|住所なし|住所無し|"
    "ホームレス|路上生活|野宿|車上生活|定まった住[所居]"
)
_NOTHING = re.compile(
    "(?:不定|不明|不詳|未詳|未定|なし|無し?|ない|わからない)?[-。.、?※*)」』]*"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The text taken apart; `codes` are the municipalities it may mean.

    One code decides. `prefecture` and `counties` limit what a postal code may
    propose. `locality` is the folded text after the municipality.
    """

    places: tuple[Place, ...] = ()
    codes: tuple[str, ...] = ()
    prefecture: str | None = None
    counties: frozenset[str] = frozenset()
    locality: str = ""
    postal_code: str | None = None
    no_fixed_address: bool = False
    county_differs: bool = False

    def allows(self, code: str) -> bool:
        """True when nothing in the text speaks against this municipality."""
        return self.prefecture in (None, code[:2]) and (
            not self.counties or code in self.counties
        )


def read_text(gazetteer: Gazetteer, text: str) -> Reading:
    """Read a free address text. Anchored: a name counts only where it may stand."""
    folded = fold(text)
    postal = _POSTAL.match(folded)
    if postal:
        folded = folded[postal.end() :]
    written = postal[1] if postal else None
    body = _LABEL.sub("", folded)
    if _NOTHING.fullmatch(body):
        return Reading(postal_code=written, no_fixed_address=bool(body))
    reading = _anchored(gazetteer, body)
    return Reading(
        places=reading.places,
        codes=reading.codes,
        prefecture=reading.prefecture,
        counties=reading.counties,
        locality=reading.locality,
        postal_code=written,
        # The label in front may be part of the word itself: look at the whole text.
        no_fixed_address=bool(_NOT_FIXED.search(folded)),
        county_differs=reading.county_differs,
    )


def _anchored(gazetteer: Gazetteer, body: str) -> Reading:
    prefecture, length = gazetteer.begins_with_prefecture(body)
    if prefecture:
        return _inside(gazetteer, body[length:], prefecture)
    found = _inside(gazetteer, body, None)
    if found.codes:
        return found
    return _short_prefecture(gazetteer, body) or _later(gazetteer, body) or found


def _inside(gazetteer: Gazetteer, rest: str, prefecture: str | None) -> Reading:
    places, length = _places(gazetteer, rest, prefecture)
    if places:
        return _reading(gazetteer, places, rest[length:], prefecture, county="")
    county, skip = gazetteer.begins_with_county(rest)
    if not county:
        return Reading(prefecture=prefecture, locality=rest)
    after = rest[skip:]
    places, length = _places(gazetteer, after, prefecture)
    if places:
        return _reading(gazetteer, places, after[length:], prefecture, county)
    within = frozenset(
        p.code
        for group in gazetteer.places.values()
        for p in group
        if p.county == county and prefecture in (None, p.prefecture) and not p.until
    )
    return Reading(prefecture=prefecture, counties=within, locality=after)


def _places(
    gazetteer: Gazetteer, text: str, prefecture: str | None
) -> tuple[tuple[Place, ...], int]:
    """The longest name at the start that exists in the prefecture."""
    while True:
        found, length = gazetteer.longest(text)
        inside = tuple(p for p in found if prefecture in (None, p.prefecture))
        if inside or not found:
            return inside, length
        # The name is another prefecture's: a shorter one may be meant.
        text = text[: length - 1]


def _reading(
    gazetteer: Gazetteer,
    places: tuple[Place, ...],
    rest: str,
    prefecture: str | None,
    county: str,
) -> Reading:
    same = tuple(p for p in places if p.county == county) if county else ()
    chosen = same or places
    codes = dict.fromkeys(p.code for p in chosen)
    if prefecture is None and not county:
        # A bare town name may as well be a neighbourhood somewhere else.
        codes |= dict.fromkeys(gazetteer.namesakes.get(places[0].name, ()))
    ward, skip = _ward(gazetteer, chosen, rest)
    return Reading(
        places=ward or chosen,
        codes=tuple(codes),
        prefecture=prefecture or _one({c[:2] for c in codes}),
        locality=rest[skip:],
        county_differs=bool(county) and not same,
    )


def _ward(
    gazetteer: Gazetteer, places: tuple[Place, ...], rest: str
) -> tuple[tuple[Place, ...], int]:
    found, length = gazetteer.longest(rest)
    codes = {p.code for p in places if p.ward is None}
    wards = tuple(p for p in found if p.ward and p.code in codes)
    return (wards, length) if wards else ((), 0)


def _short_prefecture(gazetteer: Gazetteer, body: str) -> Reading | None:
    """`都道府県` without its last character, when a municipality of it follows."""
    for name, code in gazetteer.prefectures.items():
        stem = name[:-1]
        if body.startswith(stem) and not body.startswith(name):
            found = _inside(gazetteer, body[len(stem) :], code)
            if found.codes:
                return found
    return None


def _later(gazetteer: Gazetteer, body: str) -> Reading | None:
    """Something stands before the address: begin at a prefecture's full name."""
    starts = sorted(
        (body.index(name), len(name), code)
        for name, code in gazetteer.prefectures.items()
        if name in body
    )
    for start, length, code in starts:
        found = _inside(gazetteer, body[start + length :], code)
        if found.codes:
            return found
    return None


def _one(values: set[str]) -> str | None:
    return next(iter(values)) if len(values) == 1 else None
