"""Take the index rows out of a resource.

The paths of all parameters of a type form one tree, so a resource is walked once
and only where it has content: tens of microseconds, against milliseconds for
FHIRPath (dependencies.md §2).
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Table

from hub.fhir.json import Resource
from hub.store import tables
from hub.store.emitters import Emit, Found, Row, emitter
from hub.store.parameters import Definition, definitions

Rows = dict[Table, list[Row]]

# Columns of the resource itself answer these.
_COLUMNS = frozenset({"_id", "_lastUpdated"})


@dataclass(slots=True)
class _Node:
    """One element of the tree: what to emit here, and what lies below.

    `filtered` is name -> [(key, value, node)] for elements with element[key] == value.
    """

    emits: list[Emit] = field(default_factory=list)
    children: dict[str, "_Node"] = field(default_factory=dict)
    filtered: dict[str, list[tuple[str, str, "_Node"]]] = field(default_factory=dict)


def rows(resource: Resource, base_url: str = "") -> Rows:
    """Index rows by table, without `key`; `n` numbers them within their table.

    A type without definitions has none. `base_url` is the hub's own FHIR base: an
    absolute reference below it counts as one to a resource here.
    """
    found = Found(base_url)
    _walk(resource, _tree(resource["resourceType"]), found)
    result = {
        tables.token: found.token,
        tables.string: found.string,
        tables.reference: found.reference,
        tables.date: found.date,
        tables.quantity: found.quantity,
        tables.uri: found.uri,
    }
    for some in result.values():
        for n, row in enumerate(some):
            row["n"] = n
    return result


def _walk(value: Any, node: _Node, found: Found) -> None:
    if type(value) is list:
        for item in value:
            _walk(item, node, found)
        return
    for emit in node.emits:
        emit(value, found)
    if type(value) is not dict:
        return
    for name, below in node.children.items():
        if name in value:
            _walk(value[name], below, found)
    for name in node.filtered:
        if name in value:
            _walk_filtered(value[name], node.filtered[name], found)


def _walk_filtered(
    items: Any, branches: list[tuple[str, str, _Node]], found: Found
) -> None:
    for item in items if type(items) is list else ():
        for key, wanted, below in branches:
            if type(item) is dict and item.get(key) == wanted:
                _walk(item, below, found)


@cache
def _tree(resource_type: str) -> _Node:
    root = _Node()
    planted: set[int] = set()
    for code, definition in definitions().get(resource_type, {}).items():
        # Two parameters with the same paths share one number and its rows.
        if code not in _COLUMNS and definition.number not in planted:
            planted.add(definition.number)
            _plant(root, definition)
    return root


def _plant(root: _Node, definition: Definition) -> None:
    for path in definition.paths:
        node = root
        for step in path["at"]:
            node = _below(node, step)
        node.emits.append(emitter(definition, path))


def _below(node: _Node, step: str) -> _Node:
    name, _, condition = step.partition("?")
    if not condition:
        return node.children.setdefault(name, _Node())
    key, _, wanted = condition.partition("=")
    branches = node.filtered.setdefault(name, [])
    for known_key, known, below in branches:
        if (known_key, known) == (key, wanted):
            return below
    branches.append((key, wanted, _Node()))
    return branches[-1][2]
