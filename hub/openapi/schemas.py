"""Schemas of the R4 types that are served, and of the few bodies that are not FHIR."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from hub.fhir.search import RESULT, TRANSPORT
from hub.openapi.words import say
from hub.validation.schema import Schema, json_schema

_OPEN = 40  # value[x] of so many data types may hold any
_ALWAYS = ("Bundle", "Parameters", "OperationOutcome", "CapabilityStatement")
# Flat: an extension may hold every data type, each of which may have extensions, and
# who resolves references (Swagger UI) would do so for every element of every type.
_FLAT: dict[str, Schema] = {
    "Extension": {
        "type": "object",
        "required": ["url"],
        "properties": {
            "id": {"type": "string"},
            "url": {"type": "string", "minLength": 1},
            "extension": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        },
        "patternProperties": {"^_?(value[A-Z][A-Za-z0-9]+|url)$": True},
        "additionalProperties": False,
    },
    "Element": {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "id": {"type": "string"},
            "extension": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        },
        "additionalProperties": False,
    },
}
_OURS: dict[str, Schema] = {
    "JsonPatch": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["op", "path"],
            "properties": {
                "op": {"enum": ["add", "copy", "move", "remove", "replace", "test"]},
                "path": {"type": "string"},
                "from": {"type": "string"},
                "value": True,
            },
        },
    },
    "SheetRow": {
        "type": "object",
        "required": ["row", "outcome", "code", "message", "english"],
        "properties": {
            "row": {"type": ["integer", "null"]},
            "outcome": {"enum": ["accepted", "refused"]},
            "code": {"type": "string"},
            "column": {"type": ["string", "null"]},
            "message": {"type": "string"},
            "english": {"type": "string"},
            "issues": {"type": "array"},
            "warnings": {"type": "array"},
            "route": {"type": "object"},
            "task": {"type": "string"},
            "leaflet": {"type": "object"},
        },
    },
    "OAuthError": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {"type": "string"},
            "error_description": {"type": "string"},
        },
    },
    "Token": {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in", "scope"],
        "properties": {
            "access_token": {"type": "string"},
            "token_type": {"const": "bearer"},
            "expires_in": {"type": "integer", "minimum": 1},
            "scope": {"type": "string"},
        },
    },
    "Document": {"type": "object"},
}


def to(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas(
    types: Iterable[str], searches: Mapping[str, Mapping[str, str]]
) -> dict[str, Schema]:
    """Every schema of the document; `searches` is {type: {parameter: kind}}."""
    found: dict[str, Schema] = {}
    for name in (*types, *_ALWAYS):
        found |= json_schema(name)["$defs"]
    moved = orjson.dumps(found).replace(b'"#/$defs/', b'"#/components/schemas/')
    small = {name: _opened(schema) for name, schema in orjson.loads(moved).items()}
    kinds = {kind for rows in searches.values() for kind in rows.values()}
    return {
        **small,
        **_FLAT,
        **_OURS,
        **{f"search-{kind}": _kind(kind) for kind in sorted(kinds)},
        **{f"{name}.search": _form(rows) for name, rows in searches.items()},
    }


def result_parameter(name: str) -> Schema:
    """The schema of a parameter that shapes the answer and selects nothing."""
    limited: dict[str, Schema] = {
        "_count": {"type": "integer", "minimum": 0},
        "_total": {"enum": ["none", "estimate", "accurate"]},
        "_totalMethod": {"const": "count"},
        "_summary": {"enum": ["true", "text", "data", "count", "false"]},
        "_pretty": {"enum": ["true", "false"]},
        "_format": {"type": "string", "examples": ["json"]},
        "_since": {"type": "string"},
    }
    return limited.get(name, {"type": "string"})


def result_parameters() -> list[str]:
    """Their names, as the search reads them."""
    return sorted(RESULT | TRANSPORT)


def _opened(schema: Schema) -> Schema:
    """An element of any data type without the fifty schemas it could have."""
    properties = schema.get("properties", {})
    values = {name for name in properties if name.lstrip("_")[:5] == "value"}
    if len(values) < _OPEN:
        return schema
    kept = {k: v for k, v in properties.items() if k not in values}
    made = {k: v for k, v in schema.items() if k not in ("allOf", "properties")}
    pattern = {"^_?value[A-Z][A-Za-z0-9]+$": True}
    return {**made, "properties": kept, "patternProperties": pattern}


def _kind(kind: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": say("kind", kind)}


def _form(rows: Mapping[str, str]) -> Schema:
    """A posted search: a name again means AND, a comma OR."""
    properties: dict[str, Any] = {
        name: {"type": "array", "items": to(f"search-{kind}")}
        for name, kind in rows.items()
    }
    properties |= {name: result_parameter(name) for name in result_parameters()}
    return {"type": "object", "properties": properties}
