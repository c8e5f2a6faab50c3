"""The operations of the FHIR routes, made from their ways and the table of types.

A route added to `hub.restful.routes` and an interaction added to a type appear here
by themselves; what has no sentence in `words.toml` is named by its FHIR code.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub.openapi import examples, parameters
from hub.openapi.responses import answer, content, refusals
from hub.openapi.schemas import to
from hub.openapi.words import say
from hub.restful.routes import FhirRoute, Way
from hub.restful.served import DIRECTORY_TYPES, LETTERS, SERVED

_FORM = "application/x-www-form-urlencoded"
_SHEETS = (
    "text/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)
_PATH_NAME = re.compile(r"\{(\w+)\}")
_VERSIONED = ("ETag", "Last-Modified")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the operations are made from besides the routes.

    `media` and `patches` are the media types of resources and of patches;
    `searches` is {type: {parameter: kind}}; `compartments` are the types that have
    one.
    """

    base: str
    media: tuple[str, ...]
    patches: tuple[str, ...]
    searches: Mapping[str, Mapping[str, str]]
    compartments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One operation: a method of a path, for one type or (None) for none."""

    path: str
    method: str
    interaction: str
    type: str | None
    formats: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The interaction, told apart by shape: conditional, or by POST."""
        if self.interaction in ("update", "patch", "delete") and not self.is_single:
            return f"conditional-{self.interaction}"
        name = "search-compartment" if self.is_compartment else self.interaction
        is_posted = name.startswith("search") and self.method == "POST"
        return f"{name}-post" if is_posted else name

    @property
    def is_single(self) -> bool:
        return "{id}" in self.path

    @property
    def is_compartment(self) -> bool:
        return _is_compartment(self.path)

    @property
    def operation(self) -> str:
        """The name behind `$`; empty for an interaction."""
        return self.path.rpartition("/$")[2] if "/$" in self.path else ""

    @property
    def is_sheet(self) -> bool:
        return self.path.startswith("/intake/")


def paths(routes: list[FhirRoute], facts: Facts) -> dict[str, dict[str, Any]]:
    """The path items of all FHIR routes."""
    known = {route.path_format for route in routes}
    found: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.path_format.rstrip("/") in known - {route.path_format}:
            continue  # the same door with a slash behind it
        for asked in _asked(route, facts):
            item = found.setdefault(asked.path, {})
            item[asked.method.lower()] = _operation(asked, facts)
    return found


def _asked(route: FhirRoute, facts: Facts) -> Iterator[Asked]:
    for method, way in route.ways.items():
        for name in _types(route.path_format, way, facts):
            path = route.path_format.replace("{type}", name or "{type}")
            yield Asked(path, method, way.interaction, name, way.formats)


def _is_compartment(path: str) -> bool:
    """A search below a resource: `/{type}/{id}/{within}`."""
    return bool({*_PATH_NAME.findall(path)} - {"type", "id", "version", "mapping"})


def _types(path: str, way: Way, facts: Facts) -> list[str | None]:
    """The types that a path with `{type}` has this interaction for; else [None]."""
    if "{type}" not in path:
        named = next((part for part in path.split("/") if part in SERVED), None)
        return [named]
    if _is_compartment(path):
        return [*facts.compartments]
    needed = {way.interaction}
    if path.endswith("{type}") and way.interaction in ("update", "patch", "delete"):
        needed.add("search-type")  # by condition
    having = [name for name, has in SERVED.items() if needed <= {*has}]
    return [*sorted(having or SERVED)]


def _operation(asked: Asked, facts: Facts) -> dict[str, Any]:
    rows = facts.searches.get(asked.type or "", {})
    made: dict[str, Any] = {
        "operationId": _id(asked),
        "tags": [_tag(asked)],
        "summary": _summary(asked),
        **_scope(asked),
        "parameters": [
            *parameters.of_path(_PATH_NAME.findall(asked.path)),
            *_query(asked, rows),
            *parameters.of_interaction(asked.interaction),
        ],
        "responses": _responses(asked, facts),
    }
    body = _body(asked, facts)
    if body is not None:
        made["requestBody"] = {"required": asked.kind[:6] != "search", "content": body}
    return made


def _id(asked: Asked) -> str:
    if asked.is_sheet:
        return "intake"
    parts = [asked.operation or asked.kind, asked.type or ""]
    if asked.operation:
        parts += ["instance" if asked.is_single else ""]
        parts += ["get" if asked.method == "GET" else ""]
    return "-".join(part for part in parts if part)


def _tag(asked: Asked) -> str:
    return "intake" if asked.is_sheet else asked.type or "system"


def _summary(asked: Asked) -> str:
    if asked.is_sheet:
        return say("interaction", "intake")
    if asked.operation:
        return say("operation", asked.operation)
    return say("interaction", asked.kind)


def _scope(asked: Asked) -> dict[str, Any]:
    """The scope that a typed interaction needs, as a client asks for it."""
    letter = {str(name): letter for name, letter in LETTERS.items()}
    if asked.type is None or asked.interaction not in letter:
        return {}
    return {"description": f"`system/{asked.type}.{letter[asked.interaction]}`"}


def _query(asked: Asked, rows: Mapping[str, str]) -> list[dict[str, Any]]:
    if asked.operation in parameters.OF_OPERATION:
        return parameters.of_operation(asked.operation)
    if asked.is_compartment:
        return parameters.of_search("", {})
    if asked.interaction.startswith("search"):
        return parameters.of_search(asked.type or "", rows)
    if asked.kind.startswith("conditional"):
        return parameters.of_criteria(asked.type or "", rows)
    return []


def _body(asked: Asked, facts: Facts) -> dict[str, Any] | None:
    if asked.is_sheet:
        return {name: {"schema": {"type": "string"}} for name in _SHEETS}
    if asked.method not in ("POST", "PUT", "PATCH"):
        return None
    if asked.kind.startswith("search"):
        named = asked.type in facts.searches and not asked.is_compartment
        form = f"{asked.type}.search" if named else "Document"
        return {_FORM: {"schema": to(form)}}
    if asked.interaction == "patch":
        return _patch(facts)
    return _resource(asked, facts)


def _resource(asked: Asked, facts: Facts) -> dict[str, Any]:
    if asked.interaction == "transaction":
        shown = {n: {"value": examples.example(n)} for n in ("referral", "batch")}
        return _shown(content(facts.media, to("Bundle")), shown)
    if asked.operation:
        given = examples.example("route") if asked.operation == "route" else None
        return content(facts.media, to("Parameters"), given)
    name = asked.type or "Resource"
    find = examples.stored if asked.interaction == "update" else examples.of_type
    return content(facts.media, to(name), find(name))


def _patch(facts: Facts) -> dict[str, Any]:
    """JSON Patch by its schema; another kind of patch is a Parameters resource."""
    return {
        name: {"schema": to("JsonPatch"), "example": examples.example("task-patch")}
        if "json-patch" in name
        else content((name,), to("Parameters"))[name]
        for name in facts.patches
    }


def _shown(held: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {**one, "examples": shown} if "json" in name else one
        for name, one in held.items()
    }


def _responses(asked: Asked, facts: Facts) -> dict[str, Any]:
    found = refusals(asked.interaction, has_query=asked.kind.endswith("-post"))
    return {**_good(asked, facts), **found}


def _good(asked: Asked, facts: Facts) -> dict[str, Any]:
    name, media = asked.type or "", facts.media
    if asked.is_sheet:
        rows = {"type": "array", "items": to("SheetRow")}
        return {"200": answer(200, ("application/json",), rows)}
    if asked.interaction in ("read", "vread"):
        return _read(asked, facts)
    if asked.interaction in ("create", "update", "patch"):
        return _written(asked, facts)
    if asked.interaction == "delete":
        told = answer(200, media, to("OperationOutcome"))
        return {"200": told, "204": answer(204)}
    if asked.operation:
        either = {"anyOf": [to("Parameters"), to("Bundle"), to("Resource")]}
        printed = ("application/pdf",) if "pdf" in asked.formats else ()
        return {"200": answer(200, (*media, *printed), either)}
    shown = None
    if asked.interaction == "search-type" and not asked.is_compartment:
        shown = examples.searchset(facts.base, name)
    return {"200": answer(200, media, to("Bundle"), example=shown)}


def _read(asked: Asked, facts: Facts) -> dict[str, Any]:
    # `_summary` and `_elements` leave out what the schema requires.
    name, shown = asked.type or "Resource", examples.stored(asked.type or "")
    either = {"anyOf": [to(name), to("Resource")]}
    carries = ("ETag",) if name == "AuditEvent" else _VERSIONED
    good = answer(200, facts.media, either, example=shown, carries=carries)
    if asked.interaction == "vread" or name == "AuditEvent":
        return {"200": good}
    return {"200": good, "304": answer(304, carries=carries)}


def _written(asked: Asked, facts: Facts) -> dict[str, Any]:
    name = asked.type or "Resource"
    either = {"anyOf": [to(name), to("OperationOutcome")]}
    shown = examples.stored(name)
    made = {
        status: answer(
            status,
            facts.media,
            either,
            example=shown,
            carries=(*_VERSIONED, "Location"),
        )
        for status in (200, 201)
    }
    if asked.interaction == "create":
        made[201]["links"] = _links(name)
    creates = asked.interaction == "create" or asked.kind == "conditional-update"
    creates |= asked.interaction == "update" and name in DIRECTORY_TYPES
    return {str(status): made[status] for status in ((200, 201) if creates else (200,))}


def _links(name: str) -> dict[str, Any]:
    """What can be done next with the resource that was made."""
    told = {"id": "$response.body#/id"}
    has = {str(one) for one in SERVED[name]}
    return {
        code: {"operationId": f"{code}-{name}", "parameters": told}
        for code in ("read", "update", "patch", "delete", "history-instance")
        if code in has
    }
