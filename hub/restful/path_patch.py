"""FHIRPath Patch (R4 fhirpatch.html): a Parameters resource, on the stored document.

The path is found by `hub.fhir.fhirpath`, the change is made in the document itself,
so decimals, order and unknown extensions stay. What type an element has and whether
it repeats is asked of the shapes that also judge the result.
"""

from collections.abc import Callable
from typing import Any

from hub.fhir.elements import (
    beside_of,
    insert,
    remove,
    rename,
    set_beside,
    set_value,
    there,
)
from hub.fhir.fhirpath import Place, at
from hub.fhir.json import Resource
from hub.restful.path_elements import element_of, has_value, made, shape_at
from hub.restful.path_operation import Operation


def apply(document: Resource, operation: Operation) -> None:
    """Change the document in place; 422 HUB-REST-042 and -043, 041 for a path."""
    _ACTS[operation.type](document, operation)


def _add(document: Resource, operation: Operation) -> None:
    """Append to a list, or set what is not there yet."""
    place, name = _single(document, operation), operation.name or ""
    if name in ("extension", "id"):
        place = beside_of(document, place)
    parent = there(document, place)
    if not isinstance(parent, dict):
        raise operation.refuse("HUB-REST-043")
    one, key, value, beside = made(document, place, name, operation)
    if one.many:
        length = max(len(parent.get(key, [])), len(parent.get(f"_{key}", [])))
        insert(parent, key, length, value, beside)
    elif has_value(shape_at(document, place), parent, one, name):
        raise operation.refuse("HUB-REST-043")
    else:
        set_value(parent, key, value, beside)


def _insert_op(document: Resource, operation: Operation) -> None:
    parent, key, length, place = _list(document, operation)
    index = operation.numbers["index"]
    if not 0 <= index <= length:
        raise operation.refuse("HUB-REST-043")
    one, key, value, beside = made(document, place, key, operation)
    if not one.many:
        raise operation.refuse("HUB-REST-043")
    insert(parent, key, index, value, beside)


def _delete(document: Resource, operation: Operation) -> None:
    """R4: "if found", so nothing there is nothing to do; one element at most."""
    if not operation.path.places(document):
        return
    place = _single(document, operation)
    if not place:
        raise operation.refuse("HUB-REST-043")
    remove(document, place)


def _replace(document: Resource, operation: Operation) -> None:
    place = _single(document, operation)
    if not place:
        raise operation.refuse("HUB-REST-043")
    *above, last = place
    if isinstance(last, int):
        *above, name = above
        _, key, value, beside = made(document, tuple(above), str(name), operation)
        parent = at(document, tuple(above))
        held = parent.setdefault(key, [])
        held += [None] * (last + 1 - len(held))
        held[last] = value
        set_beside(parent, key, last, beside)
        return
    parent = at(document, tuple(above))
    name = element_of(document, tuple(above), str(last))
    _, key, value, beside = made(document, tuple(above), name, operation)
    # Another type of a choice has another key, which stands where the old one stood.
    rename(parent, str(last), key, value)
    set_value(parent, key, None, beside)


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
