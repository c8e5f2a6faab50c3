"""FHIRPath Patch (R4 fhirpatch.html): a Parameters resource, on the stored document.

The path is found by `hub.fhir.fhirpath`, the change is made in the document itself,
so decimals, order and unknown extensions stay. What type an element has and whether
it repeats is asked of the shapes that also judge the result.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hub.fhir.fhirpath import Path, Place, at
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.validation.shapes import Property, Shape, resource_shape, shape

_PARTS = ("type", "path", "name", "value", "index", "source", "destination")
_TEXT, _NUMBER = ("valueCode", "valueString"), ("valueInteger",)
# A value of one of these may stand for another: the result is validated anyway.
_KINDS = (
    {"string", "code", "id", "markdown"},
    {"uri", "url", "canonical", "oid", "uuid"},
    {"integer", "positiveInt", "unsignedInt"},
    {"Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity"},
)


@dataclass(slots=True)
class Operation:
    """One operation; `where` is its FHIRPath in the Parameters.

    `value` is the `value` part as sent: `value[x]`, `resource`, or parts of its own.
    """

    where: str
    type: str
    path: Path
    name: str | None = None
    value: dict[str, Any] | None = None
    numbers: dict[str, int] = field(default_factory=dict)

    def refuse(self, id: str, part: str = "") -> FhirError:
        return FhirError(issue(id, self.where + part))


def operations_of(
    parameters: Resource, where: str = "Parameters"
) -> tuple[Operation, ...]:
    """The operations of a Parameters resource; 422 HUB-REST-040 and -041."""
    raw = parameters.get("parameter", [])
    if parameters.get("resourceType") != "Parameters" or not isinstance(raw, list):
        raise FhirError(issue("HUB-REST-040", where))
    return tuple(
        _operation(one, f"{where}.parameter[{index}]") for index, one in enumerate(raw)
    )


def apply(document: Resource, operation: Operation) -> None:
    """Change the document in place; 422 HUB-REST-042 and -043, 041 for a path."""
    _ACTS[operation.type](document, operation)


def _operation(raw: Any, where: str) -> Operation:
    wrong = FhirError(issue("HUB-REST-040", where))
    if not isinstance(raw, dict) or raw.get("name") != "operation":
        raise wrong
    parts: dict[str, dict[str, Any]] = {}
    for part in raw.get("part") or ():
        name = part.get("name") if isinstance(part, dict) else None
        if name not in _PARTS or name in parts:
            raise wrong
        parts[name] = part
    type_, path = _one(parts, "type", _TEXT, str), _one(parts, "path", _TEXT, str)
    numbers: dict[str, int] = {
        name: _one(parts, name, _NUMBER, int)
        for name in ("index", "source", "destination")
        if name in parts
    }
    needed = _NEEDED.get(type_ or "")
    if needed is None or path is None or None in numbers.values():
        raise wrong
    if parts.keys() - {"type", "path"} != needed:
        raise wrong
    return Operation(
        where,
        str(type_),
        Path(path, where),
        _one(parts, "name", _TEXT, str),
        parts.get("value"),
        numbers,
    )


def _one(
    parts: dict[str, dict[str, Any]], name: str, keys: tuple[str, ...], kind: type
) -> Any:
    held = parts.get(name, {})
    value = next((held[key] for key in keys if key in held), None)
    return value if type(value) is kind else None


def _add(document: Resource, operation: Operation) -> None:
    """Append to a list, or set what is not there yet."""
    place, name = _single(document, operation), operation.name or ""
    if name in ("extension", "id"):
        place = _beside(document, place)
    parent = _there(document, place)
    if not isinstance(parent, dict):
        raise operation.refuse("HUB-REST-043")
    one, key, value, beside = _made(document, place, name, operation)
    if one.many:
        length = max(len(parent.get(key, [])), len(parent.get(f"_{key}", [])))
        _insert(parent, key, length, value, beside)
    elif _is_there(_shape_at(document, place), parent, one, name):
        raise operation.refuse("HUB-REST-043")
    else:
        _set(parent, key, value, beside)


def _insert_op(document: Resource, operation: Operation) -> None:
    parent, key, length, place = _list(document, operation)
    index = operation.numbers["index"]
    if not 0 <= index <= length:
        raise operation.refuse("HUB-REST-043")
    one, key, value, beside = _made(document, place, key, operation)
    if not one.many:
        raise operation.refuse("HUB-REST-043")
    _insert(parent, key, index, value, beside)


def _delete(document: Resource, operation: Operation) -> None:
    """R4: "if found", so nothing there is nothing to do; one element at most."""
    if not operation.path.places(document):
        return
    place = _single(document, operation)
    if not place:
        raise operation.refuse("HUB-REST-043")
    _remove(document, place)


def _replace(document: Resource, operation: Operation) -> None:
    place = _single(document, operation)
    if not place:
        raise operation.refuse("HUB-REST-043")
    *above, last = place
    if isinstance(last, int):
        *above, name = above
        _, key, value, beside = _made(document, tuple(above), str(name), operation)
        parent = at(document, tuple(above))
        held = parent.setdefault(key, [])
        held += [None] * (last + 1 - len(held))
        held[last] = value
        _beside_in_list(parent, key, last, beside)
        return
    parent = at(document, tuple(above))
    name = _choice(document, tuple(above), str(last))
    _, key, value, beside = _made(document, tuple(above), name, operation)
    if key == last:
        parent[key] = value
        parent.pop(f"_{key}", None)
    else:
        # Another type of a choice: the key changes where it stands.
        _rename(parent, str(last), key, value)
    if beside is not None:
        parent[f"_{key}"] = beside


def _move(document: Resource, operation: Operation) -> None:
    parent, key, length, _ = _list(document, operation)
    source = operation.numbers["source"]
    destination = operation.numbers["destination"]
    if not (0 <= source < length and 0 <= destination < length):
        raise operation.refuse("HUB-REST-043")
    for name in (key, f"_{key}"):
        if name in parent:
            held = parent[name]
            held += [None] * (length - len(held))
            held.insert(destination, held.pop(source))


_ACTS: dict[str, Callable[[Resource, Operation], None]] = {
    "add": _add,
    "insert": _insert_op,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}
_NEEDED = {
    "add": {"name", "value"},
    "insert": {"index", "value"},
    "delete": set(),
    "replace": {"value"},
    "move": {"source", "destination"},
}


def _single(document: Resource, operation: Operation) -> Place:
    places = operation.path.places(document)
    if len(places) != 1:
        raise operation.refuse("HUB-REST-042")
    return places[0]


def _list(
    document: Resource, operation: Operation
) -> tuple[dict[str, Any], str, int, Place]:
    """The object and key of the one whole list a path leads to, its length, place.

    A list that is not there yet is empty; the path then has to end with its name.
    """
    path = operation.path
    places = path.places(document)
    lists = {p[:-1] if p and isinstance(p[-1], int) else None for p in places}
    if len(lists) > 1 or None in lists:
        raise operation.refuse("HUB-REST-042")
    if lists:
        *above, key = lists.pop() or ()
        parent = at(document, tuple(above))
        length = max(len(parent.get(key, [])), len(parent.get(f"_{key}", [])))
        if len(places) != length:
            raise operation.refuse("HUB-REST-042")
        return parent, str(key), length, tuple(above)
    parents = path.parents(document)
    if len(parents) != 1 or path.name is None:
        raise operation.refuse("HUB-REST-042")
    parent = at(document, parents[0])
    if not isinstance(parent, dict) or path.name in parent:
        raise operation.refuse("HUB-REST-042")
    return parent, path.name, 0, parents[0]


def _made(
    document: Resource, place: Place, name: str, operation: Operation
) -> tuple[Property, str, Any, Any]:
    """(definition, key, value, `_` value) of the element `name` in what is at `place`.

    422 HUB-REST-043 for an element that R4 does not have there, or another type.
    """
    known = _shape_at(document, place)
    if known is None or operation.value is None:
        raise operation.refuse("HUB-REST-043")
    return _valued(known, name, operation.value, operation)


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
            _insert(made, key, length, value, beside)
        elif key in made:
            raise operation.refuse("HUB-REST-040")
        else:
            _set(made, key, value, beside)
    return made


def _shape_at(document: Resource, place: Place) -> Shape | None:
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


def _there(document: Resource, place: Place) -> Any:
    """What stands at a place; None for a primitive that is only beside itself."""
    if not place:
        return document
    *above, last = place
    parent = at(document, tuple(above))
    return parent.get(last) if isinstance(parent, dict) else parent[last]


def _beside(document: Resource, place: Place) -> Place:
    """Where the extensions of an element are: of a primitive, in `_name` beside it."""
    if (
        not place
        or isinstance(place[-1], int)
        or isinstance(_there(document, place), dict)
    ):
        return place
    *above, last = place
    at(document, tuple(above)).setdefault(f"_{last}", {})
    return (*above, f"_{last}")


def _choice(document: Resource, place: Place, key: str) -> str:
    """The element's name for a key: `value` for `valueString` of a choice."""
    known = _shape_at(document, place)
    one = known.properties.get(key) if known else None
    return one.choice if one and one.choice else key


def _is_there(
    known: Shape | None, parent: dict[str, Any], one: Property, name: str
) -> bool:
    """True when the element has a value; of a choice only one type may have."""
    if one.choice is None or known is None:
        return name in parent or f"_{name}" in parent
    held = (known.properties.get(key.lstrip("_")) for key in parent)
    return any(other is not None and other.choice == name for other in held)


def _set(parent: dict[str, Any], key: str, value: Any, beside: Any) -> None:
    if value is not None:
        parent[key] = value
    if beside is not None:
        parent[f"_{key}"] = beside


def _insert(
    parent: dict[str, Any], key: str, index: int, value: Any, beside: Any
) -> None:
    """Into a list and, position by position, the one of its extensions."""
    held = parent.setdefault(key, [])
    held += [None] * (index - len(held))
    held.insert(index, value)
    if beside is not None or f"_{key}" in parent:
        other = parent.setdefault(f"_{key}", [])
        other += [None] * (index - len(other))
        other.insert(index, beside)


def _beside_in_list(parent: dict[str, Any], key: str, index: int, beside: Any) -> None:
    if beside is None and f"_{key}" not in parent:
        return
    other = parent.setdefault(f"_{key}", [])
    other += [None] * (index + 1 - len(other))
    other[index] = beside
    if not any(other):
        del parent[f"_{key}"]


def _remove(document: Resource, place: Place) -> None:
    """Take an element away, and what holds nothing any more (R4: no empty elements)."""
    *above, last = place
    if isinstance(last, int):
        *holder, key = above
        parent = at(document, tuple(holder))
        for name in (str(key), f"_{key}"):
            if name in parent:
                del parent[name][last : last + 1]
                if not any(one is not None for one in parent[name]):
                    del parent[name]
    else:
        parent = at(document, tuple(above))
        parent.pop(last, None)
        parent.pop(f"_{last}", None)
        holder = above
    if not parent and holder:
        _remove(document, tuple(holder))


def _rename(parent: dict[str, Any], old: str, new: str, value: Any) -> None:
    held = list(parent.items())
    parent.clear()
    for key, child in held:
        if key in (old, f"_{old}"):
            parent[new] = value
        else:
            parent[key] = child
