"""Postal code and free address text → municipality, offline, for the whole country.

The postal code proposes, the text decides (handbook §6). Nothing here is stored:
the text is folded for comparing only, and no sentence repeats it.
"""

from dataclasses import dataclass, replace
from typing import Literal

from hub.directory import postal
from hub.directory.gazetteer import Gazetteer, Place
from hub.directory.reading import Reading, read_text
from hub.fhir.outcome import Issue, issue
from hub.routing import Step

By = Literal[
    "code",
    "text",
    "text+postal-code",
    "source-prefecture",
    "postal-code",
    "none",
]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The municipality of an address, how it was decided, and what was doubtful.

    `municipality` is a present JIS X 0402 code, wards rolled up (`ward` keeps the
    ward); None when undecided: then `prefecture` (2 digits) may still be known and
    `candidates` propose, best first. `locality` is the folded rest of the text.
    `warnings` are Issues of severity warning without expression.
    """

    municipality: str | None = None
    prefecture: str | None = None
    candidates: tuple[str, ...] = ()
    by: By = "none"
    ward: str | None = None
    locality: str = ""
    warnings: tuple[Issue, ...] = ()
    trace: tuple[Step, ...] = ()


def resolve(
    gazetteer: Gazetteer,
    text: str | None,
    postal_code: str | None = None,
    *,
    home: str | None = None,
    code: str | None = None,
) -> Resolved:
    """Decide the municipality of an address.

    `home` is the source's prefecture (2 digits): a name that exists several times
    is looked for there. `code` is a stated municipality code (5 or 6 digits) and
    wins over everything when it exists. Never raises for what was written.
    """
    stated = gazetteer.municipality(code) if code else None
    reading = read_text(gazetteer, text or "")
    if stated:
        return _stated(gazetteer, stated, reading)
    proposed, warnings = _propose(gazetteer, postal_code or reading.postal_code)
    if code:
        warnings = (*warnings, _warning("HUB-ROUTE-010"))
    result = _combine(gazetteer, reading, proposed, home)
    return replace(
        result, warnings=(*warnings, *_notes(reading, result), *result.warnings)
    )


def _stated(gazetteer: Gazetteer, code: str, reading: Reading) -> Resolved:
    """A stated code; a text that says the same keeps its ward and neighbourhood."""
    if reading.codes == (code,):
        result = _decided(gazetteer, code, "text", reading, ())
        return replace(result, warnings=_notes(reading, result))
    return _decided(gazetteer, code, "code", Reading(), ())


def _propose(
    gazetteer: Gazetteer, postal_code: str | None
) -> tuple[tuple[str, ...], tuple[Issue, ...]]:
    if not postal_code or not postal_code.strip():
        return (), ()
    digits = postal.normalise(postal_code)
    codes = postal.municipalities(digits) if digits else ()
    if not codes:
        return (), (_warning("HUB-ROUTE-008"),)
    rolled = dict.fromkeys(gazetteer.city_of.get(c, c) for c in codes)
    return tuple(c for c in rolled if c in gazetteer.names), ()


def _combine(
    gazetteer: Gazetteer, reading: Reading, proposed: tuple[str, ...], home: str | None
) -> Resolved:
    if reading.no_fixed_address:
        return _undecided(gazetteer, reading, reading.codes or proposed)
    if not reading.codes:
        return _by_postal_code(gazetteer, reading, proposed)
    if len(reading.codes) == 1:
        return _by_text(gazetteer, reading, proposed)
    return _by_help(gazetteer, reading, proposed, home)


def _by_text(
    gazetteer: Gazetteer, reading: Reading, proposed: tuple[str, ...]
) -> Resolved:
    code = reading.codes[0]
    differs = bool(proposed) and code not in proposed
    warnings = (_warning("HUB-ROUTE-002"),) if differs else ()
    return _decided(gazetteer, code, "text", reading, warnings)


def _by_help(
    gazetteer: Gazetteer, reading: Reading, proposed: tuple[str, ...], home: str | None
) -> Resolved:
    """The text names several: the postal code, else the source's prefecture helps."""
    both = [c for c in reading.codes if c in proposed]
    if len(both) == 1:
        return _decided(gazetteer, both[0], "text+postal-code", reading, ())
    near = _near(reading, home)
    if len(near) == 1 and not both:
        warnings = [_warning("HUB-ROUTE-003")]
        if proposed:
            warnings.append(_warning("HUB-ROUTE-002"))
        return _decided(
            gazetteer, near[0], "source-prefecture", reading, tuple(warnings)
        )
    ordered = [*both, *near, *reading.codes]
    return _undecided(gazetteer, reading, tuple(dict.fromkeys(ordered)))


def _near(reading: Reading, home: str | None) -> list[str]:
    """What the text may mean in the source's prefecture; a whole municipality first.

    A neighbourhood of the same name is written with its city in front.
    """
    near = [c for c in reading.codes if home and c[:2] == home]
    whole = {p.code for p in reading.places if p.until is None and p.ward is None}
    return [c for c in near if c in whole] or near


def _by_postal_code(
    gazetteer: Gazetteer, reading: Reading, proposed: tuple[str, ...]
) -> Resolved:
    fitting = tuple(c for c in proposed if reading.allows(c))
    if proposed and not fitting:
        result = _undecided(gazetteer, reading, proposed)
        return replace(result, warnings=(*result.warnings, _warning("HUB-ROUTE-002")))
    if len(fitting) == 1:
        warnings = (_warning("HUB-ROUTE-005"),)
        return _decided(gazetteer, fitting[0], "postal-code", reading, warnings)
    return _undecided(gazetteer, reading, fitting or tuple(sorted(reading.counties)))


def _decided(
    gazetteer: Gazetteer,
    code: str,
    by: By,
    reading: Reading,
    warnings: tuple[Issue, ...],
) -> Resolved:
    place = next((p for p in reading.places if p.code == code), None)
    ja, en = _HOW[by]
    name = gazetteer.name(code)
    step = Step("address", f"住所：{name}（{ja}）", f"address: {name} ({en})", row=code)
    return Resolved(
        municipality=code,
        prefecture=code[:2],
        by=by,
        ward=place.ward if place else None,
        locality=reading.locality,
        warnings=warnings,
        trace=(*_successor(place, name), step),
    )


def _undecided(
    gazetteer: Gazetteer, reading: Reading, candidates: tuple[str, ...]
) -> Resolved:
    # Somebody without a fixed address lives nowhere else: never "out of prefecture".
    prefecture = (
        None
        if reading.no_fixed_address
        else reading.prefecture or _common_prefecture(candidates)
    )
    names = "、".join(gazetteer.name(c) for c in candidates[:5])
    more = f"：候補{len(candidates)}件（{names}など）" if candidates else ""
    step = Step(
        "address",
        f"住所から市区町村が決まりません{more}",
        f"the address decides no municipality ({len(candidates)} candidates)",
    )
    if reading.no_fixed_address:
        warnings: tuple[Issue, ...] = ()
    elif candidates:
        warnings = (_warning("HUB-ROUTE-006", count=len(candidates)),)
    else:
        warnings = (_warning("HUB-ROUTE-001"),)
    return Resolved(
        prefecture=prefecture,
        candidates=candidates,
        locality=reading.locality,
        warnings=warnings,
        trace=(step,),
    )


def _common_prefecture(candidates: tuple[str, ...]) -> str | None:
    prefectures = {c[:2] for c in candidates}
    return prefectures.pop() if len(prefectures) == 1 else None


def _successor(place: Place | None, name: str) -> tuple[Step, ...]:
    if place is None or place.until is None:
        return ()
    day = place.until.isoformat()
    return (
        Step(
            "former-municipality",
            f"旧市町村名を{name}に読み替え（{day}まで）",
            f"a former municipality (until {day}), now {name}",
            row=place.code,
            version=day,
        ),
    )


def _notes(reading: Reading, result: Resolved) -> tuple[Issue, ...]:
    former = any(s.rule == "former-municipality" for s in result.trace)
    noted = (
        ("HUB-ROUTE-007", reading.no_fixed_address),
        ("HUB-ROUTE-009", reading.county_differs),
        ("HUB-ROUTE-004", former),
    )
    return tuple(_warning(id_) for id_, applies in noted if applies)


def _warning(id_: str, count: int = 0) -> Issue:
    return issue(id_, severity="warning", count=count)


_HOW: dict[By, tuple[str, str]] = {
    "code": ("市区町村コードで決定", "decided by the stated code"),
    "text": ("住所の文字で決定", "decided by the text"),
    "text+postal-code": (
        "同名の所があるため郵便番号と合わせて決定",
        "the name exists several times; the postal code decided",
    ),
    "source-prefecture": (
        "都道府県が省かれ同名の所があるため、情報提供元と同じ都道府県として決定",
        "the prefecture is left out and the name is not unique; the source's was taken",
    ),
    "postal-code": ("郵便番号で決定", "decided by the postal code"),
    "none": ("", ""),
}
