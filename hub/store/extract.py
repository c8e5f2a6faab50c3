"""Take the index rows out of a resource, along the paths of its type's parameters."""

from functools import cache

from sqlalchemy import Table

from hub.fhir.json import Resource
from hub.store import tables
from hub.store.composites import composite_emitter
from hub.store.emitters import emitter
from hub.store.found import Found, Row
from hub.store.parameters import definitions
from hub.store.paths import Node, plant, walk

Rows = dict[Table, list[Row]]

# Columns of the resource itself answer these.
_COLUMNS = frozenset({"_id", "_lastUpdated"})


def rows(resource: Resource, base_url: str = "") -> Rows:
    """Index rows by table, without `key`; `n` numbers them within their table.

    A type without definitions has none. `base_url` is the hub's own FHIR base: an
    absolute reference below it counts as one to a resource here.
    """
    found = Found(base_url)
    walk(resource, _tree(resource["resourceType"]), found)
    result = {
        tables.token: found.token,
        tables.string: found.string,
        tables.reference: found.reference,
        tables.date: found.date,
        tables.quantity: found.quantity,
        tables.uri: found.uri,
        tables.composite: found.composite,
    }
    for some in result.values():
        for n, row in enumerate(some):
            row["n"] = n
    return result


@cache
def _tree(resource_type: str) -> Node:
    root = Node()
    planted: set[int] = set()
    for code, definition in definitions().get(resource_type, {}).items():
        # Two parameters with the same paths share one number and its rows.
        if code not in _COLUMNS and definition.number not in planted:
            planted.add(definition.number)
            make = composite_emitter if definition.parameter.components else emitter
            for path in definition.paths:
                plant(root, path["at"], make(definition, path))
    return root
