"""The operations of /admin: from the table that serves them, so none is forgotten."""

from typing import Any

from hub.openapi.schemas import to
from hub.openapi.words import say
from hub.restful.admin import ENROLLED, MADE, WAYS, Members

_JSON = "application/json"
_REFUSED = (400, 401, 403, 404, 409, 415, 422, 429, 500, 503)
_ARRAY = {"type": "array", "items": {"type": "string"}}
_TYPES: dict[type, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    dict: {"type": "object"},
    list: _ARRAY,
}


def paths() -> dict[str, dict[str, Any]]:
    """The path items, one operation for each method."""
    return {
        path.replace(":str}", "}"): {
            method.lower(): _operation(path, method) for method in ways
        }
        for path, ways in WAYS.items()
    }


def schemas() -> dict[str, dict[str, Any]]:
    """A client and a person, as they are sent and shown."""
    more = {"enabled": bool, "created_at": str}
    return {
        "SmartClient": _schema({**_types(MADE), **more}),
        "SmartPerson": _schema({**_types(ENROLLED), **more, "id": str}),
    }


def _operation(path: str, method: str) -> dict[str, Any]:
    handler, _ = WAYS[path][method]
    schema = to("SmartClient" if "clients" in path else "SmartPerson")
    status = "201" if method == "POST" else "200"
    is_list = method == "GET" and "{" not in path
    made: dict[str, Any] = {
        "operationId": handler.__name__.replace("_", "-"),
        "tags": ["admin"],
        "summary": say("admin", handler.__name__),
        "responses": {
            status: {
                "description": say("status", status),
                "content": {_JSON: {"schema": to("Document") if is_list else schema}},
            },
            **{
                str(one): {"$ref": f"#/components/responses/E{one}"} for one in _REFUSED
            },
        },
    }
    if "{" in path:
        name = path.partition("{")[2].partition(":")[0]
        text = {"type": "string"}
        made["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": text}
        ]
    if method in ("POST", "PATCH"):
        made["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    return made


def _types(members: Members) -> dict[str, type]:
    return {name: type_ for name, (type_, _) in members.items()}


def _schema(types: dict[str, type]) -> dict[str, Any]:
    properties = {name: _TYPES[type_] for name, type_ in types.items()}
    if "default_scope" in properties:
        properties["default_scope"] = {"type": ["string", "null"]}
    return {"type": "object", "properties": properties}
