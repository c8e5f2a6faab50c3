"""Every municipality's names: present, former, wards; read once from CSV."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from hub.directory.fold import fold
from hub.directory.sheet import Line, read_sheet

CHECK_WEIGHTS = (6, 5, 4, 3, 2)


@dataclass(frozen=True, slots=True)
class Place:
    """One name of a municipality: `code` is where it leads today.

    `county` and `name` are folded; `until` is the day a former municipality
    ended; `ward` the code of a ward that rolls up to `code`.
    """

    code: str
    name: str
    county: str = ""
    until: date | None = None
    ward: str | None = None

    @property
    def prefecture(self) -> str:
        return self.code[:2]


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """The country's municipalities (JIS X 0402, 5 digits) by name and by code.

    `names` gives the full name of a code; `city_of` rolls a ward up; `namesakes`
    are municipalities with a neighbourhood of that name.
    """

    places: Mapping[str, tuple[Place, ...]]
    lengths: tuple[int, ...]
    prefectures: Mapping[str, str]
    counties: Mapping[str, frozenset[str]]
    names: Mapping[str, str]
    city_of: Mapping[str, str]
    namesakes: Mapping[str, tuple[str, ...]]

    def municipality(self, code: str) -> str | None:
        """A 5-digit code, or a 6-digit 団体コード, as the 5-digit code of today.

        Wards of designated cities roll up. None when the code does not exist or
        the check digit is wrong.
        """
        if not (code.isascii() and code.isdigit()):
            return None
        if len(code) == len(CHECK_WEIGHTS) + 1:
            if check_digit(code[:-1]) != code[-1]:
                return None
            code = code[:-1]
        code = self.city_of.get(code, code)
        return code if code in self.names else None

    def name(self, code: str) -> str:
        return self.names.get(code, code)

    def longest(self, text: str) -> tuple[tuple[Place, ...], int]:
        """The places whose name begins the folded `text`, longest name first."""
        for length in self.lengths:
            found = self.places.get(text[:length])
            if found and len(text) >= length:
                return found, length
        return (), 0

    def begins_with_prefecture(self, text: str) -> tuple[str | None, int]:
        # Names of three or four characters: 47 of them.
        for length in (4, 3):
            code = self.prefectures.get(text[:length])
            if code:
                return code, length
        return None, 0

    def begins_with_county(self, text: str) -> tuple[str, int]:
        # Counties have two to six characters; an island may stand for one.
        for length in range(6, 1, -1):
            if text[:length] in self.counties:
                return text[:length], length
        return "", 0


def check_digit(code: str) -> str:
    """The sixth digit of a 団体コード: weights 6, 5, 4, 3, 2; 11 − sum mod 11."""
    total = sum(int(d) * w for d, w in zip(code, CHECK_WEIGHTS, strict=True))
    return str((11 - total % 11) % 10)


@lru_cache(maxsize=4)
def read_gazetteer(folder: Path) -> Gazetteer:
    """Read the place tables of a directory folder (profiles/directory).

    Raises FhirError HUB-DIR-001…004 naming file, row and column.
    """
    present = [*read_sheet(folder / "municipalities.csv", ("jisx0402", "prefecture"))]
    wards = [*read_sheet(folder / "wards.csv", ("ward", "city", "ward_name"))]
    former = [*read_sheet(folder / "former_municipalities.csv", ("name", "successor"))]
    twins = [*read_sheet(folder / "namesakes.csv", ("name", "jisx0402"))]
    places = [*_present(present), *_wards(wards), *_former(former)]
    by_name = _by_name(places)
    return Gazetteer(
        places=by_name,
        lengths=tuple(sorted({len(n) for n in by_name}, reverse=True)),
        prefectures={fold(r["prefecture"]): r["jisx0402"][:2] for r in present},
        counties=_counties(places),
        names={
            r["jisx0402"]: r["prefecture"] + r["county"] + r["municipality"]
            for r in present
        },
        city_of={r["ward"]: r["city"] for r in wards},
        namesakes={fold(r["name"]): tuple(r["jisx0402"].split()) for r in twins},
    )


def _present(lines: Iterable[Line]) -> Iterable[Place]:
    return (
        Place(r["jisx0402"], fold(r["municipality"]), fold(r["county"])) for r in lines
    )


def _wards(lines: Iterable[Line]) -> Iterable[Place]:
    return (Place(r["city"], fold(r["ward_name"]), ward=r["ward"]) for r in lines)


def _former(lines: Iterable[Line]) -> Iterable[Place]:
    return (
        Place(r["successor"], fold(r["name"]), fold(r["county"]), r.date("until"))
        for r in lines
    )


def _by_name(places: Iterable[Place]) -> dict[str, tuple[Place, ...]]:
    found: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        found[place.name].append(place)
    return {name: tuple(group) for name, group in found.items()}


def _counties(places: Iterable[Place]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for place in places:
        if place.county:
            found[place.county].add(place.prefecture)
    return {county: frozenset(codes) for county, codes in found.items()}
