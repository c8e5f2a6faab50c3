"""Filters of a subscription: read from `Task?owner=…&status=…`, asked of a Task. Pure.

Parameters are ANDed, also over several filters; the values of one are ORed by comma,
as in a search. No modifiers: what is not understood is refused, never ignored.
"""

import re
from collections.abc import Collection
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote_plus

from hub.fhir import references
from hub.fhir.json import Resource

# Parameter -> the element of a Task it reads, and how.
PARAMETERS: dict[str, tuple[str, Literal["reference", "concept", "status"]]] = {
    "owner": ("owner", "reference"),
    "requester": ("requester", "reference"),
    "code": ("code", "concept"),
    "status": ("status", "status"),
}
_STATUS_SYSTEM = "http://hl7.org/fhir/task-status"
# http://hl7.org/fhir/task-status, R4.
_STATUSES = frozenset(
    [
        "draft",
        "requested",
        "received",
        "accepted",
        "rejected",
        "ready",
        "cancelled",
        "in-progress",
        "on-hold",
        "failed",
        "completed",
        "entered-in-error",
    ]
)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LONGEST = 1000  # characters


class Filter(NamedTuple):
    """One parameter with its values; references are relative or bare ids."""

    parameter: str
    values: tuple[str, ...]


class FilterError(Exception):
    """`unknown`: a parameter or modifier outside the topic; `value`: malformed."""

    def __init__(self, kind: Literal["unknown", "value"]) -> None:
        super().__init__(kind)
        self.kind = kind


def parse(
    text: str, resource_type: str, allowed: Collection[str], base: str
) -> list[Filter]:
    """Read `Task?owner=A,B&status=requested`; raises FilterError.

    `base` is the hub's own FHIR base: references below it become relative.
    """
    kind, mark, query = text.partition("?")
    if kind != resource_type or not mark:
        raise FilterError("unknown")
    if not query or len(text) > _LONGEST:
        raise FilterError("value")
    return [_filter(part, allowed, base) for part in query.split("&")]


def holds(filters: Collection[Filter], task: Resource) -> bool:
    """True when a Task fits every filter."""
    return all(_holds(one, task) for one in filters)


def _filter(part: str, allowed: Collection[str], base: str) -> Filter:
    name, _, raw = part.partition("=")
    if name not in allowed or name not in PARAMETERS:
        raise FilterError("unknown")
    how = PARAMETERS[name][1]
    values = [_value(how, unquote_plus(one), base) for one in raw.split(",")]
    return Filter(name, tuple(values))


def _value(how: str, value: str, base: str) -> str:
    if how == "reference":
        target = references.split(value, base)
        if target is None and not _ID.fullmatch(value):
            raise FilterError("value")
        return "/".join(target) if target else value
    if how == "status":
        system, bar, code = value.rpartition("|")
        if code not in _STATUSES or (bar and system not in ("", _STATUS_SYSTEM)):
            raise FilterError("value")
        return code
    if not value.replace("|", "", 1) or value.count("|") > 1:
        raise FilterError("value")
    return value


def _holds(one: Filter, task: Resource) -> bool:
    element, how = PARAMETERS[one.parameter]
    value = task.get(element)
    if value is None:
        return False
    if how == "status":
        return value in one.values
    if how == "reference":
        target = references.split(str(value.get("reference", "")))
        named = {"/".join(target), target[1]} if target else set()
        return not named.isdisjoint(one.values)
    codings = value.get("coding", ())
    return any(_is_coded(coding, wanted) for coding in codings for wanted in one.values)


def _is_coded(coding: dict[str, Any], wanted: str) -> bool:
    system, bar, code = wanted.rpartition("|")
    if code and coding.get("code") != code:
        return False
    return not bar or coding.get("system", "") == system
