"""What a rule is, and careful readers of JSON that may be ill-formed."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

Object = dict[str, Any]
Holds = Callable[[Object], bool]

_DATE = re.compile(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?")


class Rule(NamedTuple):
    """`holds` is true when the invariant is met; `ja` says what is asked."""

    holds: Holds
    ja: str


Rows = dict[str, tuple[Holds, str]]


def has(value: Object, *names: str) -> bool:
    """FHIRPath exists(): the element is there, with a value or only an extension."""
    return any(name in value or "_" + name in value for name in names)


def has_choice(value: Object, name: str) -> bool:
    """exists() of a choice type such as `value[x]`."""
    return any(
        key.startswith((name, "_" + name))
        and key.removeprefix("_")[len(name) :][:1].isupper()
        for key in value
    )


def part(value: Object, name: str) -> Object:
    """A single complex child, or an empty object."""
    child = value.get(name)
    return child if type(child) is dict else {}


def parts(value: Object, name: str) -> list[Object]:
    """The complex children of a repeating element."""
    children = value.get(name)
    if type(children) is not list:
        return []
    return [child for child in children if type(child) is dict]


def text(value: Object, name: str) -> str:
    """A string, or the empty string."""
    child = value.get(name)
    return child if type(child) is str else ""


def codings(concept: Object) -> Iterator[tuple[str, str]]:
    """(system, code) of each coding of a CodeableConcept."""
    for coding in parts(concept, "coding"):
        yield text(coding, "system"), text(coding, "code")


def number(value: Object, name: str) -> Decimal | None:
    """A decimal or integer, or None."""
    child = value.get(name)
    if type(child) is int or (type(child) is Decimal and child.is_finite()):
        return Decimal(child)
    return None


def is_after(one: str, other: str) -> bool:
    """True when `one` is certainly later than `other` (FHIR date, dateTime, instant).

    Values of different precision are compared by what both state, as FHIRPath does;
    where that leaves the answer open, it is False.
    """
    if "T" in one and "T" in other:
        try:
            return datetime.fromisoformat(one) > datetime.fromisoformat(other)
        except (ValueError, TypeError):
            return False
    head, tail = _DATE.match(one), _DATE.match(other)
    if not head or not tail:
        return False
    length = min(len(head[0]), len(tail[0]))
    return head[0][:length] > tail[0][:length]


def at_most_one(value: Object, *names: str) -> bool:
    return sum(has(value, name) for name in names) <= 1
