"""FHIRPath Patch operations, in the form of R4's Parameters."""

from typing import Any


def part(name: str, **value: Any) -> dict[str, Any]:
    return {"name": name, **value}


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    parameters: dict[str, Any] = {"resourceType": "Parameters"}
    return {**parameters, "parameter": list(operations)} if operations else parameters


def _operation(type: str, path: str, *parts: dict[str, Any]) -> dict[str, Any]:
    first = [part("type", valueCode=type), part("path", valueString=path)]
    return {"name": "operation", "part": [*first, *parts]}


def add(path: str, name: str, **value: Any) -> dict[str, Any]:
    named = part("name", valueString=name)
    return _operation("add", path, named, part("value", **value))


def insert(path: str, index: Any, **value: Any) -> dict[str, Any]:
    placed = part("index", valueInteger=index)
    return _operation("insert", path, placed, part("value", **value))


def delete(path: str) -> dict[str, Any]:
    return _operation("delete", path)


def replace(path: str, **value: Any) -> dict[str, Any]:
    return _operation("replace", path, part("value", **value))


def move(path: str, source: int, destination: int) -> dict[str, Any]:
    return _operation(
        "move",
        path,
        part("source", valueInteger=source),
        part("destination", valueInteger=destination),
    )
