"""Shapes: the definition tables made ready for the walk, lazily per type.

A Shape says which JSON keys an object of one type (or one backbone element) may
hold. It is made once per process and type.
A profile is a Shape too: its own minima, codes and checks over those of its base.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from threading import RLock
from typing import Any

from hub.terminology import Codes, codes, resource_types
from hub.validation.primitives import PRIMITIVES
from hub.validation.rules import RULES
from hub.validation.rules.rule import Holds

Facts = dict[str, Any]
Check = tuple[Holds, str, str]  # predicate, type that defines it, key

ANY_TARGET = frozenset({"Resource"})


@dataclass(slots=True, eq=False, repr=False)
class Property:
    """One JSON key of an object.

    `step` is its FHIRPath step (`status`, `value.ofType(Quantity)`), `choice` the
    element's name when several types are possible. `ok` judges a primitive value;
    `shape` describes an object; neither is set for a resource (`contained`).
    `targets` are the resource types a Reference may point to (None: any).
    """

    step: str
    type: str
    many: bool
    limit: int | None = None
    choice: str | None = None
    ok: Callable[[Any], bool] | None = None
    shape: "Shape | None" = None
    targets: frozenset[str] | None = None
    allowed: frozenset[str] | None = None
    bound: Codes | None = None
    checks: list[Check] = field(default_factory=list)


@dataclass(slots=True, eq=False, repr=False)
class Shape:
    """What an object of one type may hold; `path` is where the definition has it."""

    name: str
    path: str
    is_resource: bool = False
    properties: dict[str, Property] = field(default_factory=dict)
    required: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    has_choice: bool = False
    checks: list[Check] = field(default_factory=list)
    rules: list[tuple[str, str]] = field(default_factory=list)  # (type, key), all
    elsewhere: list[tuple[str, str]] = field(default_factory=list)  # on properties
    not_held: list[tuple[str, str]] = field(default_factory=list)  # (path, value set)


_shapes: dict[str, Shape] = {}
_unfinished: dict[str, Shape] = {}  # types refer to each other and to themselves
_lock = RLock()


def resource_shape(name: object) -> Shape | None:
    """The shape of a resource type, or None when R4 has no such type."""
    if type(name) is not str:
        return None
    known = _shapes.get(name)
    if known is None and name in resource_types():
        known = shape(name)
    return known if known is not None and known.is_resource else None


def shape(name: str) -> Shape:
    """The shape of a datatype or resource type. KeyError when R4 has none."""
    return _shapes.get(name) or _make(name)


def _make(name: str) -> Shape:
    """Build a shape with all it refers to; other threads see only finished ones."""
    with _lock:
        known = _shapes.get(name) or _unfinished.get(name)
        if known is not None:
            return known
        is_outermost = not _unfinished
        try:
            known = _build(name)
            if is_outermost:
                _shapes.update(_unfinished)
        finally:
            if is_outermost:
                _unfinished.clear()
        return known


@cache
def facts(name: str) -> Facts:
    """The committed table of one type (see `hub.validation.build`)."""
    table = files("hub.validation").joinpath("definitions", f"{name}.json")
    if not table.is_file():
        raise KeyError(name)
    found: Facts = json.loads(table.read_bytes())
    return found


def rule(type_: str, key: str) -> dict[str, str]:
    """Severity, human sentence and expression of an invariant."""
    found: dict[str, str] = facts(type_)["invariants"][key]
    return found


def _build(name: str) -> Shape:
    table = facts(name)
    by_path: dict[str, Shape] = {}
    parents = {row["path"].rpartition(".")[0] for row in table["elements"]}
    for row in table["elements"]:
        path = row["path"]
        if path in parents or path == name:
            by_path[path] = Shape(name if path == name else path, path)
    root = by_path[name]
    root.is_resource = table["kind"] == "resource"
    _unfinished[name] = root
    for row in table["elements"]:
        _add(row, name, by_path)
    root.rules.extend(_inherited(table["base"]))
    for one in by_path.values():
        one.checks.extend(_checks(one.rules))
    if root.is_resource:
        root.properties["resourceType"] = Property("resourceType", "code", False)
        root.properties["resourceType"].ok = name.__eq__
    return root


def _add(row: Facts, type_: str, by_path: dict[str, Shape]) -> None:
    path = row["path"]
    own = by_path.get(path)
    if own:
        own.rules.extend((type_, key) for key in row.get("invariants", ()))
        if path != type_:
            _add_element_parts(own, "BackboneElement" in row["types"])
    parent_path, _, name = path.rpartition(".")
    if not parent_path:
        return
    parent = by_path[parent_path]
    keys = []
    for type_code, targets in _types(row, by_path):
        one = _property(row, name, type_code, targets, by_path, parent)
        if own is None and "invariants" in row:
            rules = [(type_, key) for key in row["invariants"]]
            one.checks.extend(_checks(rules))
            parent.elsewhere.extend(r for r in rules if r not in parent.elsewhere)
        key = name.removesuffix("[x]")
        if one.choice:
            parent.has_choice = True
            key += type_code[0].upper() + type_code[1:]
        parent.properties[key] = one
        keys += [key, "_" + key] if one.ok else [key]
    if row["min"]:
        parent.required.append((name.removesuffix("[x]"), tuple(keys)))


def _types(row: Facts, by_path: dict[str, Shape]) -> Iterator[tuple[str, list[str]]]:
    if "content" in row:
        yield by_path[row["content"]].path, []
    else:
        yield from row["types"].items()


def _property(
    row: Facts,
    name: str,
    type_: str,
    targets: list[str],
    by_path: dict[str, Shape],
    parent: Shape,
) -> Property:
    many = row["max"] == "*" or int(row["max"]) > 1
    one = Property(name, type_, many)
    if many and row["max"] != "*":
        one.limit = int(row["max"])
    if name.endswith("[x]"):
        one.choice = name.removesuffix("[x]")
        one.step = f"{one.choice}.ofType({type_})"
    if _is_resource_id(row):
        one.type = "id"  # R4 prints `string` here
    if one.type in PRIMITIVES:
        one.ok = PRIMITIVES[one.type]
    elif type_ != "Resource":
        one.shape = by_path.get(row["path"]) or by_path.get(type_) or shape(type_)
    if type_ == "Reference" and targets and frozenset(targets) != ANY_TARGET:
        one.targets = frozenset(targets)
    _bind(one, row, parent)
    return one


def _is_resource_id(row: Facts) -> bool:
    type_, _, name = row["path"].partition(".")
    return name == "id" and type_ in resource_types()


def _bind(one: Property, row: Facts, parent: Shape) -> None:
    binding = row.get("binding", {})
    if binding.get("strength") != "required":
        return
    held = codes(binding["valueSet"])
    if held is None:
        parent.not_held.append((row["path"], binding["valueSet"]))
    elif one.type in {"CodeableConcept", "Coding"}:
        one.bound = held
    elif one.type == "code":
        one.allowed = frozenset().union(*held.values())


def _add_element_parts(own: Shape, is_backbone: bool) -> None:  # noqa: FBT001
    base = shape("BackboneElement" if is_backbone else "Element")
    own.properties.update(base.properties)


def _checks(rules: list[tuple[str, str]]) -> Iterator[Check]:
    for type_, key in rules:
        if found := RULES.get(f"{type_}.{key}"):
            yield found.holds, type_, key


def _inherited(base: str) -> Iterator[tuple[str, str]]:
    while base:
        table = facts(base)
        for key in table["invariants"]:
            if any(key in r.get("invariants", ()) for r in table["elements"][:1]):
                yield base, key
        base = table["base"]
