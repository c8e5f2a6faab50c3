"""Composite parameters: rows that hold the values of two components side by side.

Both stand on one element, so that `code$value` means this value of this code. A row
is entered by its token (every composite of R4 has one); the other component uses
the columns that its own index has.
"""

from typing import Any

from sqlalchemy import FromClause, and_

from hub.fhir import search_values as values
from hub.fhir.search import Parameter
from hub.store.emitters import emitter
from hub.store.found import Emit, Found, Row
from hub.store.matching import Condition, matches
from hub.store.parameters import Definition, bounded, system_number
from hub.store.paths import Node, plant, walk

# What a composite row holds of each kind; the rest stays empty.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "token": ("code", "system"),
    "quantity": ("code", "system", "unit", "low", "high"),
    "number": ("code", "system", "unit", "low", "high"),
    "date": ("low", "high"),
    "string": ("value", "rest", "exact"),
    "uri": ("value",),
    "reference": ("target_id", "target_type", "version"),
}
_EMPTY: Row = dict.fromkeys(name for names in _COLUMNS.values() for name in names)


def entry_place(parameter: Parameter) -> int:
    """Which component is the token that a row is entered by: 0 or 1."""
    kinds = [component.type for component in parameter.components]
    return kinds.index("token")


def composite_emitter(definition: Definition, path: dict[str, Any]) -> Emit:
    """Index the element that holds both components (`build.build`)."""
    parameter, entry = definition.number, entry_place(definition.parameter)
    trees = [
        _tree(component, paths)
        for component, paths in zip(
            definition.parameter.components, path["parts"], strict=True
        )
    ]
    other_kind = definition.parameter.components[1 - entry].type

    def emit(value: Any, found: Found) -> None:
        if type(value) is not dict:
            return
        first, second = (Found(found.base_url) for _ in trees)
        walk(value, trees[entry], first)
        tokens = _rows(first, "token")
        if tokens:
            walk(value, trees[1 - entry], second)
        for one in tokens:
            for other in _rows(second, other_kind):
                found.composite.append(_row(parameter, one, other, other_kind))

    return emit


def _tree(component: Parameter, paths: list[dict[str, Any]]) -> Node:
    # The numbers of a part say nothing: its rows are taken apart again.
    definition = Definition(component, tuple(paths), 0, -1, -1, -1)
    root = Node()
    for path in paths:
        plant(root, path["at"], emitter(definition, path))
    return root


def _rows(found: Found, kind: str) -> list[Row]:
    name = "quantity" if kind == "number" else kind
    rows: list[Row] = getattr(found, name)
    return [row for row in rows if row["parameter"] == 0]


def _row(parameter: int, token: Row, other: Row, kind: str) -> Row:
    row = {"parameter": parameter, **_EMPTY}
    row["first_code"], row["first_system"] = token["code"], token["system"]
    for name in _COLUMNS[kind]:
        row[name] = other[name]
    if kind == "date":  # one pair of columns holds dates and numbers
        row["low"], row["high"] = float(row["low"]), float(row["high"])
    return row


def composite_matches(
    index: FromClause, parameter: Parameter, value: values.Composite
) -> Condition:
    """True for the rows that hold both components of `value`."""
    entry = entry_place(parameter)
    token, other = value.parts[entry], value.parts[1 - entry]
    conditions = []
    if isinstance(token, values.Token):
        if token.code is not None:
            conditions.append(index.c.first_code == bounded(token.code))
        if token.system is not None:
            system = system_number(token.system)
            conditions.append(index.c.first_system == system)
    kind = parameter.components[1 - entry].type
    return and_(*conditions, matches(index, kind, None, other))
