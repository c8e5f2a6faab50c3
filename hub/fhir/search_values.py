"""Search values: what stands to the right of `=` (R4 4.0.1 search.html §3.1.1.4).

Dates and numbers become half-open ranges `[low, high)`: the same reading serves the
value in a resource and the value in a query.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from math import inf, nextafter

from hub.fhir.dates import JST, micros, now
from hub.fhir.references import split

# Beyond every date that FHIR can write: an open end of a period.
BEGINNING = -(10**17)
END = 10**18

_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r"(Z|[+ -]\d\d:\d\d)?)?)?)?"
)
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_APART = Decimal("0.1")  # `ap`: within a tenth


@dataclass(frozen=True, slots=True)
class Token:
    """`system` None means any, "" means none; `code` None means any."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Text:
    """A string or uri as typed, escapes resolved."""

    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """Either `id` (and `type`, when known) of a resource here, or a `url`.

    `url` beside an id is the same reference written absolutely; a canonical has
    its `version` split off.
    """

    type: str | None = None
    id: str | None = None
    url: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """A date in microseconds UTC, or a number: `exact` is the number as given."""

    prefix: str
    low: float
    high: float
    exact: float = 0.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with the unit asked for; `system` None means any."""

    number: Range
    system: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """`:missing=true` or `false`."""

    missing: bool


@dataclass(frozen=True, slots=True)
class Codes:
    """`:in` a value set: its codes by system."""

    systems: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def size(self) -> int:
        return sum(len(codes) for _system, codes in self.systems)


@dataclass(frozen=True, slots=True)
class Composite:
    """`a$b`: the values of the components, which one element must hold together."""

    parts: "tuple[Value, ...]"


Value = Token | Text | Reference | Range | Quantity | Missing | Codes | Composite


def pieces(text: str, separator: str) -> list[str]:
    r"""Split at a separator that no backslash escapes; the escapes stay."""
    if "\\" not in text:
        return text.split(separator)
    found = re.finditer(rf"\\.|{re.escape(separator)}", text, re.DOTALL)
    cuts = [m.start() for m in found if m[0] == separator]
    starts, ends = [0, *(cut + 1 for cut in cuts)], [*cuts, len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def plain(text: str) -> str:
    r"""Resolve `\,` `\|` `\$` `\\`. Raises ValueError for any other escape."""
    if "\\" not in text:
        return text
    if re.sub(r"\\[,|$\\]", "", text).count("\\"):
        raise ValueError("escape")
    return re.sub(r"\\([,|$\\])", r"\1", text)


def date_range(text: str) -> tuple[int, int]:
    """The span a FHIR date, dateTime or instant covers, in microseconds UTC.

    `2026-11` is the whole month; without a zone it is Japan's. Raises ValueError.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("date")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if hour is None:
        return _days(int(year), month, day)
    start = datetime(
        int(year), int(month), int(day), int(hour), int(minute), tzinfo=JST
    )
    if zone:
        start = start.replace(tzinfo=_zone(zone))
    low = _micros(start)
    if second is None:
        return low, low + 60_000_000
    if int(second) > 60:  # noqa: PLR2004 - FHIR allows the leap second
        raise ValueError("seconds")
    low += int(second) * 1_000_000
    if fraction is None:
        return low, low + 1_000_000
    width: int = 10 ** max(0, 6 - len(fraction))
    low += int(fraction[:6].ljust(6, "0"))
    return low, low + width


def _days(year: int, month: str | None, day: str | None) -> tuple[int, int]:
    start = datetime(year, int(month or 1), int(day or 1), tzinfo=JST)
    try:
        if day:
            end = start + timedelta(days=1)
        elif month:
            end = (start.replace(day=28) + timedelta(days=4)).replace(day=1)
        else:
            end = start.replace(year=year + 1)
    except (OverflowError, ValueError):  # the end of the year 9999
        return _micros(start), END
    return _micros(start), _micros(end)


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[4:6])
    # A `+` in a query string that was not encoded arrives as a space.
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def parse_date(text: str) -> Range:
    """A date with its prefix. Raises ValueError."""
    prefix, rest = _prefixed(text)
    low, high = date_range(rest)
    if prefix == "ap":
        gap = abs(micros(now()) - low) // 10
        low, high = low - gap, high + gap
    return Range(prefix, low, high)


def parse_number(text: str) -> Range:
    """A number with its prefix and the range its digits imply. Raises ValueError."""
    prefix, rest = _prefixed(text)
    if not _NUMBER.fullmatch(rest):
        raise ValueError("number")
    try:
        value = Decimal(rest)
        exponent = value.as_tuple().exponent
        half = Decimal(5).scaleb(int(exponent) - 1)
        if prefix == "ap":
            half = max(half, abs(value) * _APART)
        # More digits than a double has: the range must still hold the number itself.
        exact = float(value)
        low, high = float(value - half), max(float(value + half), nextafter(exact, inf))
        return Range(prefix, low, high, exact)
    except (InvalidOperation, OverflowError):
        raise ValueError("number") from None


def parse_token(text: str) -> Token:
    """`code`, `system|code`, `|code` or `system|`. Raises ValueError."""
    parts = [plain(part) for part in pieces(text, "|")]
    if len(parts) == 1 and parts[0]:
        return Token(None, parts[0])
    if len(parts) != 2 or not any(parts):  # noqa: PLR2004 - system and code
        raise ValueError("token")
    return Token(parts[0], parts[1] or None)


def typed_code(code: str, value: str) -> str:
    """An identifier's type and value as one code: what `:of-type` compares."""
    return f"{code}|{value}"


def parse_of_type(text: str) -> Token:
    """`system|code|value` of `:of-type`; all three. Raises ValueError."""
    parts = [plain(part) for part in pieces(text, "|")]
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004 - system, code, value
        raise ValueError("of-type")
    return Token(parts[0], typed_code(parts[1], parts[2]))


def parse_quantity(text: str) -> Quantity:
    """`number`, `number|system|code` or `number||code`. Raises ValueError."""
    parts = [plain(part) for part in pieces(text, "|")]
    number = parse_number(parts[0])
    if len(parts) == 1:
        return Quantity(number)
    if len(parts) != 3 or not parts[2]:  # noqa: PLR2004 - number, system, code
        raise ValueError("quantity")
    return Quantity(number, parts[1] or None, parts[2])


def parse_reference(text: str, base_url: str, only_type: str | None) -> Reference:
    """`Type/id`, `id`, an absolute URL or a canonical. Raises ValueError."""
    text = plain(text)
    if local := split(text, base_url):
        found_type, id_ = local
        if only_type not in (None, found_type):
            raise ValueError("type")
        return _here(found_type, id_, base_url)
    if _ID.fullmatch(text):
        return _here(only_type, text, base_url)
    url, _, version = text.partition("|")
    if ":" not in url or only_type:
        raise ValueError("reference")
    return Reference(url=url, version=version or None)


def _here(type_: str | None, id_: str, base_url: str) -> Reference:
    url = f"{base_url}/{type_}/{id_}" if type_ and base_url else None
    return Reference(type_, id_, url)


def parse_text(text: str) -> Text:
    """A string or uri. Raises ValueError when empty."""
    if not text.strip():
        raise ValueError("empty")
    return Text(plain(text))


def parse_missing(text: str) -> Missing:
    """`true` or `false`. Raises ValueError."""
    if text not in ("true", "false"):
        raise ValueError("boolean")
    return Missing(text == "true")


def _prefixed(text: str) -> tuple[str, str]:
    match = _PREFIXED.fullmatch(plain(text))
    if match is None:
        raise ValueError("prefix")
    return match[1] or "eq", match[2]
