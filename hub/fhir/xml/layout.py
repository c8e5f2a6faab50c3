"""What the reader and writer must be told about the types of R4."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple, Protocol

from hub.fhir.markup import FHIR, XHTML

Kind = Literal["primitive", "xhtml", "complex", "resource"]
NUMBERS = frozenset(("integer", "positiveInt", "unsignedInt"))


class Part(Protocol):
    """One JSON key of a type: `step` is its FHIRPath step, `many` means an array.

    `shape` describes an object; without it the value is a resource when `type` is
    `Resource`, else a primitive.
    """

    @property
    def step(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def many(self) -> bool: ...
    @property
    def shape(self) -> "Layout | None": ...


class Layout(Protocol):
    """One type: its keys in the order of its definition; one object per type."""

    def __hash__(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def is_resource(self) -> bool: ...
    @property
    def properties(self) -> Mapping[str, Part]: ...


@dataclass(frozen=True, slots=True)
class Definitions:
    """`resource` finds a resource type by name; `element` is the type Element."""

    resource: Callable[[str], Layout | None]
    element: Layout


class Place(NamedTuple):
    """Where a child element stands: `key` is its JSON key, `order` its rank."""

    order: int
    key: str
    part: Part
    kind: Kind


@cache
def attributes(layout: Layout) -> frozenset[str]:
    """The keys that XML writes as attributes: `id` of an element, `url`."""
    if layout.is_resource:
        return frozenset()
    return frozenset(("id", "url") if layout.name == "Extension" else ("id",))


@cache
def by_key(layout: Layout) -> dict[str, Place]:
    """The child elements of a type by JSON key."""
    return {
        key: Place(order, key, part, _kind(part))
        for order, (key, part) in enumerate(layout.properties.items())
        if key not in attributes(layout)
        and not (layout.is_resource and key == "resourceType")
    }


@cache
def by_tag(layout: Layout) -> dict[str, Place]:
    """The child elements of a type by their name with namespace."""
    return {
        f"{{{XHTML if place.kind == 'xhtml' else FHIR}}}{key}": place
        for key, place in by_key(layout).items()
    }


def _kind(part: Part) -> Kind:
    if part.shape is not None:
        return "complex"
    if part.type == "Resource":
        return "resource"
    return "xhtml" if part.type == "xhtml" else "primitive"
