"""What R4 has at a place in a resource, and the value a patch gives it there."""

from typing import Any

from hub.fhir.elements import insert, set_value
from hub.fhir.fhirpath import Place
from hub.fhir.json import Resource
from hub.restful.path_operation import Operation
from hub.validation.shapes import Property, Shape, resource_shape, shape

# A value of one of these may stand for another: the result is validated anyway.
_KINDS = (
    {"string", "code", "id", "markdown"},
    {"uri", "url", "canonical", "oid", "uuid"},
    {"integer", "positiveInt", "unsignedInt"},
    {"Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity"},
)


def made(
    document: Resource, place: Place, name: str, operation: Operation
) -> tuple[Property, str, Any, Any]:
    """(definition, key, value, `_` value) of the element `name` in what is at `place`.

    422 HUB-REST-043 for an element that R4 does not have there, or another type.
    """
    known = shape_at(document, place)
    if known is None or operation.value is None:
        raise operation.refuse("HUB-REST-043")
    return _valued(known, name, operation.value, operation)


def shape_at(document: Resource, place: Place) -> Shape | None:
    """What kind of object stands at a place; None for a value or an unknown one."""
    known, here = resource_shape(document.get("resourceType")), document
    for step in place:
        here = here[step]  # type: ignore[index]  # a Place leads through what is there
        if isinstance(step, int):
            continue
        one = known.properties.get(step) if known else None
        known = one.shape if one else None
        if step.startswith("_"):
            known = shape("Element")
    if isinstance(here, dict) and "resourceType" in here:
        return resource_shape(here["resourceType"])
    return known


def element_of(document: Resource, place: Place, key: str) -> str:
    """The element's name for a key: `value` for `valueString` of a choice."""
    known = shape_at(document, place)
    one = known.properties.get(key) if known else None
    return one.choice if one and one.choice else key


def has_value(
    known: Shape | None, parent: dict[str, Any], one: Property, name: str
) -> bool:
    """True when the element has a value; of a choice only one type may have."""
    if one.choice is None or known is None:
        return name in parent or f"_{name}" in parent
    held = (known.properties.get(key.lstrip("_")) for key in parent)
    return any(other is not None and other.choice == name for other in held)


def _valued(
    known: Shape, name: str, part: dict[str, Any], operation: Operation
) -> tuple[Property, str, Any, Any]:
    if "part" in part:
        one = known.properties.get(name)
        if one is None or one.shape is None:
            raise operation.refuse("HUB-REST-043")
        return one, name, _anonymous(one.shape, part["part"], operation), None
    if "resource" in part:
        one = known.properties.get(name)
        if one is None or one.type != "Resource":
            raise operation.refuse("HUB-REST-043")
        return one, name, part["resource"], None
    key = next((k for k in part if k.lstrip("_").startswith("value")), None)
    if key is None:
        raise operation.refuse("HUB-REST-040")
    type_ = key.lstrip("_").removeprefix("value")
    found = _typed(known, name, type_)
    if found is None:
        raise operation.refuse("HUB-REST-043")
    value, beside = part.get(f"value{type_}"), part.get(f"_value{type_}")
    return *found, value, beside


def _typed(known: Shape, name: str, type_: str) -> tuple[Property, str] | None:
    """The definition and key of `name` with a value of this type (`DateTime`)."""
    choice = known.properties.get(f"{name}{type_}")
    if choice is not None and choice.choice == name:
        return choice, f"{name}{type_}"
    one = known.properties.get(name)
    if one is None or not _fits(one.type, type_):
        return None
    return one, name


def _fits(wanted: str, given: str) -> bool:
    # `value[x]` writes the type with a capital: valueDateTime, valueHumanName.
    names = {given, given[:1].lower() + given[1:]}
    return wanted in names or any(wanted in kind and names & kind for kind in _KINDS)


def _anonymous(known: Shape, parts: Any, operation: Operation) -> dict[str, Any]:
    """An element without a type of its own, from parts named as its elements."""
    made: dict[str, Any] = {}
    if not isinstance(parts, list) or not parts:
        raise operation.refuse("HUB-REST-040")
    for part in parts:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str):
            raise operation.refuse("HUB-REST-040")
        one, key, value, beside = _valued(known, name, part, operation)
        if one.many:
            length = max(len(made.get(key, [])), len(made.get(f"_{key}", [])))
            insert(made, key, length, value, beside)
        elif key in made:
            raise operation.refuse("HUB-REST-040")
        else:
            set_value(made, key, value, beside)
    return made
