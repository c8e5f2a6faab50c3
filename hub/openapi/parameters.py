"""What a caller may send besides a body: path, query, headers."""

from collections.abc import Iterable, Mapping
from typing import Any

from hub.openapi.schemas import result_parameter, result_parameters, to
from hub.openapi.words import say
from hub.restful.served import SERVED

Parameter = dict[str, Any]

_PATH: dict[str, dict[str, Any]] = {
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
    "within": {"enum": ["*", *sorted(SERVED)]},
    "version": {"type": "string", "pattern": "^[0-9]{1,9}$"},
}
_HEADERS: dict[str, tuple[str, ...]] = {
    "read": ("If-None-Match", "If-Modified-Since"),
    "create": ("If-None-Exist", "Prefer", "Idempotency-Key", "X-Provenance"),
    "update": ("If-Match", "Prefer", "X-Provenance"),
    "patch": ("If-Match", "Prefer", "X-Provenance"),
    "delete": ("If-Match", "Prefer"),
    "search-type": ("Prefer",),
    "search-system": ("Prefer",),
    "transaction": ("Prefer", "Idempotency-Key"),
}
_QUERY: dict[str, tuple[str, ...]] = {
    "read": ("_summary", "_elements"),
    "vread": ("_summary", "_elements"),
    "history-instance": ("_count", "_since"),
    "history-type": ("_count", "_since"),
    "history-system": ("_count", "_since"),
    "search-system": ("_type",),
}
# The query of operations that take one: name → schema.
OF_OPERATION: dict[str, dict[str, dict[str, Any]]] = {
    "disclosures": {
        name: {"type": "string", "format": "date"} for name in ("start", "end")
    },
}
_TRACED = ("X-Request-ID", "X-Correlation-ID")
_VALUES: dict[str, dict[str, Any]] = {
    "If-Match": {"type": "string", "examples": ['W/"1"']},
    "If-None-Match": {"type": "string", "examples": ['W/"1"']},
    "Prefer": {"type": "string", "examples": ["return=representation"]},
}


def components(searches: Mapping[str, Mapping[str, str]]) -> dict[str, Parameter]:
    """Every parameter of the document, named as `of_*` refer to them."""
    headers = {name for names in _HEADERS.values() for name in names}
    found = {f"header.{name}": _header(name) for name in sorted({*headers, *_TRACED})}
    query = {name for names in _QUERY.values() for name in names}
    found |= {f"result.{name}": _single(name) for name in sorted({*query, *_results()})}
    for resource_type, rows in searches.items():
        found |= {
            f"{resource_type}.{name}": _criterion(name, kind)
            for name, kind in rows.items()
        }
    return found


def of_path(names: Iterable[str]) -> list[Parameter]:
    """The parameters in a path."""
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": say("parameter", name),
            "schema": _PATH.get(name, {"type": "string", "minLength": 1}),
        }
        for name in names
    ]


def of_interaction(interaction: str) -> list[Parameter]:
    """Query and headers that an interaction understands."""
    query = (*_QUERY.get(interaction, ()), "_format")
    headers = (*_HEADERS.get(interaction, ()), *_TRACED)
    return [
        *(_ref(f"result.{name}") for name in query),
        *(_ref(f"header.{name}") for name in headers),
    ]


def of_search(resource_type: str, rows: Mapping[str, str]) -> list[Parameter]:
    """Criteria of a type, and what shapes the answer."""
    return [
        *(_ref(f"{resource_type}.{name}") for name in rows),
        *(_ref(f"result.{name}") for name in _results() if name != "_format"),
    ]


def of_operation(name: str) -> list[Parameter]:
    """The query of an operation, each parameter once at most."""
    return [
        {"name": one, "in": "query", "description": say("parameter", one), "schema": s}
        for one, s in OF_OPERATION[name].items()
    ]


def of_criteria(resource_type: str, rows: Mapping[str, str]) -> list[Parameter]:
    """Criteria of a conditional interaction: nothing that shapes an answer."""
    return [_ref(f"{resource_type}.{name}") for name in rows]


def _results() -> list[str]:
    return result_parameters()


def _ref(name: str) -> Parameter:
    return {"$ref": f"#/components/parameters/{name}"}


def _single(name: str) -> Parameter:
    return {
        "name": name,
        "in": "query",
        "description": say("parameter", name),
        "schema": result_parameter(name),
    }


def _criterion(name: str, kind: str) -> Parameter:
    # The same name again means AND (R4 search §3.1.1.3).
    schema = {"type": "array", "items": to(f"search-{kind}")}
    return {"name": name, "in": "query", "explode": True, "schema": schema}


def _header(name: str) -> Parameter:
    return {
        "name": name,
        "in": "header",
        "description": say("header", name),
        "schema": _VALUES.get(name, {"type": "string"}),
    }
