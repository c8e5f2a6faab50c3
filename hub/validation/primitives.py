"""The R4 primitive types: one predicate each, on the decoded JSON value.

Source: R4 datatypes, "Primitive Types". Decimals are `decimal.Decimal` or int;
a Python float never passes, since it has already lost what was sent.
"""

import base64
import binascii
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Predicate = Callable[[Any], bool]

_YEAR = r"[0-9]{4}"
_DAY = r"(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

# [0-9], not \d: full-width digits are no FHIR dates.
_DATE = re.compile(rf"{_YEAR}{_DAY}?)?")
_DATE_TIME = re.compile(rf"{_YEAR}{_DAY[:-1]}(?:T{_TIME}{_ZONE})?)?)?")
_INSTANT = re.compile(rf"{_YEAR}{_DAY})T{_TIME}{_ZONE}")
_CLOCK = re.compile(_TIME)
_CODE = re.compile(r"\S+(?: \S+)*")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_URI = re.compile(r"\S+")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
_UUID_HEX = r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID = re.compile(_UUID_HEX)
_ANY_UUID = re.compile(_UUID_HEX, re.IGNORECASE)
_SPACE = re.compile(r"\s+")

MAX_STRING = 1024 * 1024
_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_INT32 = 2**31


def is_boolean(value: Any) -> bool:
    return value is True or value is False


def is_string(value: Any) -> bool:
    return (
        type(value) is str
        and bool(value)
        and not value.isspace()
        and (len(value) <= MAX_STRING // 4 or len(value.encode()) <= MAX_STRING)
    )


def is_code(value: Any) -> bool:
    return type(value) is str and _CODE.fullmatch(value) is not None


def is_id(value: Any) -> bool:
    return type(value) is str and _ID.fullmatch(value) is not None


def is_uri(value: Any) -> bool:
    """A uri without blanks; a urn:uuid or urn:oid must be one."""
    if type(value) is not str or _URI.fullmatch(value) is None:
        return False
    if value.startswith("urn:uuid:"):
        return _ANY_UUID.fullmatch(value) is not None
    return not value.startswith("urn:oid:") or _OID.fullmatch(value) is not None


def is_oid(value: Any) -> bool:
    return type(value) is str and _OID.fullmatch(value) is not None


def is_uuid(value: Any) -> bool:
    return type(value) is str and _UUID.fullmatch(value) is not None


def is_integer(value: Any) -> bool:
    return type(value) is int and -_INT32 <= value < _INT32


def is_unsigned(value: Any) -> bool:
    return type(value) is int and 0 <= value < _INT32


def is_positive(value: Any) -> bool:
    return type(value) is int and 0 < value < _INT32


def is_decimal(value: Any) -> bool:
    return type(value) is int or (type(value) is Decimal and value.is_finite())


def is_date(value: Any) -> bool:
    return type(value) is str and _DATE.fullmatch(value) is not None and _exists(value)


def is_date_time(value: Any) -> bool:
    return (
        type(value) is str
        and _DATE_TIME.fullmatch(value) is not None
        and _exists(value)
    )


def is_instant(value: Any) -> bool:
    return (
        type(value) is str and _INSTANT.fullmatch(value) is not None and _exists(value)
    )


def is_time(value: Any) -> bool:
    return type(value) is str and _CLOCK.fullmatch(value) is not None


def is_base64(value: Any) -> bool:
    if type(value) is not str or not value:
        return False
    try:
        compact = value if value.isalnum() else _SPACE.sub("", value)
        return bool(base64.b64decode(compact, validate=True))
    except (binascii.Error, ValueError):
        return False


def _exists(text: str) -> bool:
    """A day of the calendar: no 30 February, no year 0000."""
    if text.startswith("0000"):
        return False
    if len(text) < 10 or text[8:10] <= "28":  # noqa: PLR2004 - YYYY-MM-DD
        return True
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    leap = month == 2 and (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))  # noqa: PLR2004
    return day <= _MONTH[month - 1] + leap


PRIMITIVES: dict[str, Predicate] = {
    "base64Binary": is_base64,
    "boolean": is_boolean,
    "canonical": is_uri,
    "code": is_code,
    "date": is_date,
    "dateTime": is_date_time,
    "decimal": is_decimal,
    "id": is_id,
    "instant": is_instant,
    "integer": is_integer,
    "markdown": is_string,
    "oid": is_oid,
    "positiveInt": is_positive,
    "string": is_string,
    "time": is_time,
    "unsignedInt": is_unsigned,
    "uri": is_uri,
    "url": is_uri,
    "uuid": is_uuid,
    "xhtml": is_string,
}
