"""The one reader and writer of FHIR JSON (security.md J1-J12).

Everything that arrives from outside goes from bytes through `decode`; what is
sent or stored goes through `encode`. Decimals are `decimal.Decimal`, so `1.50`
stays `1.50`; binary floats never occur.
"""

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

import orjson

from hub.fhir.outcome import FhirError, issue

Resource = dict[str, Any]

MAX_DEPTH = 64
_MAX_INTEGER_DIGITS = 18
# Controls and surrogates (J8), and what XML could not say: FHIR has both forms.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def decode(raw: bytes, max_depth: int = MAX_DEPTH) -> Resource:
    """Read one FHIR JSON resource strictly.

    Raises FhirError `HUB-JSON-001`…`HUB-JSON-009` (400) for anything that two
    readers could understand differently: not UTF-8, BOM, duplicate keys, NaN,
    numbers out of range, control characters, depth, no resourceType. The text
    of the error never repeats the input.
    """
    value = decode_value(raw, max_depth)
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise FhirError(issue("HUB-JSON-009"))
    return value


def decode_value(raw: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Read any JSON value with the rules of `decode` but for J9 (JSON Patch)."""
    if not raw.strip():
        raise FhirError(issue("HUB-JSON-001"))
    if raw.startswith(b"\xef\xbb\xbf"):
        raise FhirError(issue("HUB-JSON-003"))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise FhirError(issue("HUB-JSON-002")) from None
    _require_depth(raw, max_depth)
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=decimal,
            parse_int=integer,
            parse_constant=_constant,
            strict=True,
        )
    except FhirError:
        raise
    except (ValueError, RecursionError):
        raise FhirError(issue("HUB-JSON-004")) from None


def decode_own(raw: bytes) -> Any:
    """Read JSON that the hub itself has written: nothing is checked again."""
    return json.loads(raw, parse_float=Decimal)


def encode(value: Any) -> bytes:
    """Write JSON as UTF-8 bytes; decimals keep the digits they came with."""
    return orjson.dumps(value, default=_fragment)


def _require_depth(raw: bytes, max_depth: int) -> None:
    # J5: counted before parsing, so that deep nesting never reaches the parser.
    if raw.count(b"{") + raw.count(b"[") <= max_depth:
        return
    depth = 0
    for head in _STRING.sub(b"", raw).translate(None, _NO_BRACKETS):
        if head in b"[{":
            depth += 1
            if depth > max_depth:
                raise FhirError(issue("HUB-JSON-006", limit=max_depth))
        else:
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # J3: the last of two equal keys would win silently, here and elsewhere not.
    result = dict(pairs)
    if len(result) != len(pairs):
        raise FhirError(issue("HUB-JSON-005"))
    for key, value in pairs:
        if (type(value) is str and _FORBIDDEN.search(value)) or _FORBIDDEN.search(key):
            raise FhirError(issue("HUB-JSON-008"))
        if type(value) is list:
            for item in value:
                if type(item) is str and _FORBIDDEN.search(item):
                    raise FhirError(issue("HUB-JSON-008"))
    return result


def decimal(text: str) -> Decimal:
    """A JSON number with a fraction or exponent; HUB-JSON-007 beyond any double."""
    try:
        value = Decimal(text)
    except ArithmeticError:  # an exponent that Decimal itself cannot hold
        raise FhirError(issue("HUB-JSON-007")) from None
    if not -400 < value.adjusted() < 300:  # noqa: PLR2004 - beyond any double
        raise FhirError(issue("HUB-JSON-007"))
    return value


def integer(text: str) -> int:
    """A JSON number without; HUB-JSON-007 for more than 18 digits (J7)."""
    if len(text.lstrip("+-")) > _MAX_INTEGER_DIGITS:
        raise FhirError(issue("HUB-JSON-007"))
    return int(text)


def _constant(_text: str) -> NoReturn:
    raise FhirError(issue("HUB-JSON-007"))


def _fragment(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(type(value).__name__)
