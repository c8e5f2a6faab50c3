"""The operations of the routes that are not FHIR: tokens, discovery, operation."""

from typing import Any

from hub.openapi.schemas import to
from hub.openapi.words import known, say

_JSON, _TEXT = "application/json", "text/plain"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CLIENT: dict[str, Any] = {
    "client_assertion_type": {"const": _ASSERTION},
    "client_assertion": {"type": "string"},
}
_FIELDS: dict[str, dict[str, Any]] = {
    "/oauth/token": {
        "grant_type": {"enum": ["client_credentials", "authorization_code"]},
        "scope": {"type": "string", "examples": ["system/Task.rs system/Patient.r"]},
        "code": {"type": "string"},
        "redirect_uri": {"type": "string"},
        "code_verifier": {"type": "string"},
    },
    "/oauth/introspect": {"token": {"type": "string"}},
    "/oauth/revoke": {"token": {"type": "string"}},
}
_OPTIONAL = {"scope", "code", "redirect_uri", "code_verifier"}
_VISITED: dict[str, tuple[str, ...]] = {
    "/oauth/authorize": (
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "aud",
        "code_challenge",
        "code_challenge_method",
    ),
    "/oauth/callback": ("state", "code", "iss", "error"),
}
_GOOD = {"/oauth/token": "Token"}
_PLAIN = {"/livez": (200,), "/readyz": (200, 503), "/metrics": (200,)}


def paths() -> dict[str, dict[str, Any]]:
    """The path items of all of them."""
    return {path: _item(path) for path in known("path")}


def _item(path: str) -> dict[str, Any]:
    if path in _FIELDS:
        return {"post": _made(path, "oauth", _form_answers(path), _form(path))}
    if path in _VISITED:
        made = _made(path, "oauth", _visit_answers())
        return {"get": {**made, "parameters": _query(_VISITED[path])}}
    if path in _PLAIN:
        return {"get": _made(path, "operation", _plain_answers(path))}
    absent = path.endswith("openid-configuration")
    status, schema = (404, "OAuthError") if absent else (200, "Document")
    answers = {str(status): _answer(status, schema)}
    return {"get": _made(path, "oauth", answers)}


def _made(
    path: str, tag: str, answers: dict[str, Any], body: dict[str, Any] | None = None
) -> dict[str, Any]:
    name = path.strip("/").replace("/.well-known", "").replace(".well-known/", "")
    made = {
        "operationId": name.replace("/", "-").replace(".", "-"),
        "tags": [tag],
        "summary": say("path", path),
        "security": [],
        "responses": answers,
    }
    return made if body is None else {**made, "requestBody": body}


def _form(path: str) -> dict[str, Any]:
    properties = {**_CLIENT, **_FIELDS[path]}
    schema = {
        "type": "object",
        "required": [name for name in properties if name not in _OPTIONAL],
        "properties": properties,
    }
    media = "application/x-www-form-urlencoded"
    return {"required": True, "content": {media: {"schema": schema}}}


def _form_answers(path: str) -> dict[str, Any]:
    good = _answer(200, _GOOD.get(path, "Document"))
    bad = {str(status): _answer(status, "OAuthError") for status in (400, 401)}
    return {"200": good, **bad}


def _visit_answers() -> dict[str, Any]:
    """303 by its header alone; 404 where nobody can log in."""
    away = {
        "description": say("status", "303"),
        "headers": {"Location": {"schema": {"type": "string", "format": "uri"}}},
    }
    return {
        "303": away,
        **{str(status): _answer(status, "OAuthError") for status in (400, 404)},
    }


def _query(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in names
    ]


def _answer(status: int, schema: str) -> dict[str, Any]:
    return {
        "description": say("status", str(status)),
        "content": {_JSON: {"schema": to(schema)}},
    }


def _plain_answers(path: str) -> dict[str, Any]:
    return {
        str(status): {
            "description": say("status", str(status)),
            "content": {_TEXT: {"schema": {"type": "string"}}},
        }
        for status in _PLAIN[path]
    }
