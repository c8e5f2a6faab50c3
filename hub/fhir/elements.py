"""Elements of a document by place: put in, taken out, with what is beside them.

A primitive's id and extensions stand in `_name` beside `name`, in a list position by
position (R4 json.html#primitive): both are one element, and are changed together.
"""

from typing import Any

from hub.fhir.fhirpath import Place, at
from hub.fhir.json import Resource


def there(document: Resource, place: Place) -> Any:
    """What stands at a place; None for a primitive that is only beside itself."""
    if not place:
        return document
    *above, last = place
    parent = at(document, tuple(above))
    return parent.get(last) if isinstance(parent, dict) else parent[last]


def beside_of(document: Resource, place: Place) -> Place:
    """Where the extensions of an element are: of a primitive, in `_name` beside it."""
    if (
        not place
        or isinstance(place[-1], int)
        or isinstance(there(document, place), dict)
    ):
        return place
    *above, last = place
    at(document, tuple(above)).setdefault(f"_{last}", {})
    return (*above, f"_{last}")


def set_value(parent: dict[str, Any], key: str, value: Any, beside: Any) -> None:
    """Give an element its value, and what is beside it; None is neither."""
    if value is not None:
        parent[key] = value
    if beside is not None:
        parent[f"_{key}"] = beside


def insert(
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


def set_beside(parent: dict[str, Any], key: str, index: int, beside: Any) -> None:
    """What is beside one value of a list, or nothing (None)."""
    if beside is None and f"_{key}" not in parent:
        return
    other = parent.setdefault(f"_{key}", [])
    other += [None] * (index + 1 - len(other))
    other[index] = beside
    if not any(other):
        del parent[f"_{key}"]


def rename(parent: dict[str, Any], old: str, new: str, value: Any) -> None:
    """Put an element where another stands, with nothing beside it; None is no value."""
    held = list(parent.items())
    parent.clear()
    for key, child in held:
        if key not in (old, f"_{old}"):
            parent[key] = child
        elif value is not None:
            parent[new] = value


def remove(document: Resource, place: Place) -> None:
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
        remove(document, tuple(holder))
