"""Answers: which statuses an interaction can give, and what each looks like."""

from typing import Any

from hub.fhir.outcome import Kind, catalogue, issue, operation_outcome
from hub.openapi.schemas import to
from hub.openapi.words import say

Response = dict[str, Any]

_BODY = ("create", "update", "patch", "transaction", "operation", "intake")
_WRITES = ("create", "update", "patch", "delete", "transaction", "intake")
_CHANGES = ("update", "patch", "delete", "transaction")
_HEADERS = {
    "ETag": {"type": "string", "pattern": '^W/"[0-9]+"$'},
    "Last-Modified": {"type": "string"},
    "Location": {"type": "string"},
    "Retry-After": {"type": "string", "pattern": "^[0-9]+$"},
    "WWW-Authenticate": {"type": "string", "pattern": "^Bearer"},
    "Allow": {"type": "string"},
    "X-Request-ID": {"type": "string", "maxLength": 255},
    "X-Correlation-ID": {"type": "string", "maxLength": 255},
}
_REQUIRED = {"Retry-After", "WWW-Authenticate", "Allow", "X-Request-ID"}
_OF_STATUS = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_TRACED = ("X-Request-ID", "X-Correlation-ID")
_SHOWN = 12  # ids named in the description of a status


def headers() -> dict[str, Any]:
    """The headers of answers, as components."""
    return {
        name: {
            "description": say("header", name),
            "schema": schema,
            **({"required": True} if name in _REQUIRED else {}),
        }
        for name, schema in _HEADERS.items()
    }


def errors(media: tuple[str, ...]) -> dict[str, Response]:
    """One response a status that the catalogue of issues has, as components."""
    by_status: dict[int, list[Kind]] = {}
    for kind in catalogue().values():
        by_status.setdefault(kind.status, []).append(kind)
    return {
        f"E{status}": _error(status, kinds, media)
        for status, kinds in sorted(by_status.items())
        if status >= 400  # noqa: PLR2004 - RFC 9110 §15.5: errors begin here
    }


def refusals(interaction: str, *, has_query: bool) -> dict[str, Response]:
    """References to the errors that an interaction documents."""
    has_body = interaction in _BODY
    chosen = {400, 401, 403, 404, 406, 429, 500, 503}
    chosen |= {408, 413, 415} if has_body or has_query else set()
    chosen |= {422} if has_body else set()
    chosen |= {409, 507} if interaction in _WRITES else set()
    chosen |= {405, 410, 412, 428} if interaction in _CHANGES else set()
    chosen |= {412} if interaction == "create" else set()
    chosen |= {410} if interaction in ("read", "vread") else set()
    there = {kind.status for kind in catalogue().values()}
    return {
        str(status): {"$ref": f"#/components/responses/E{status}"}
        for status in sorted(chosen & there)
    }


def answer(
    status: int,
    media: tuple[str, ...] = (),
    schema: dict[str, Any] | None = None,
    *,
    example: Any = None,
    carries: tuple[str, ...] = (),
    demands: bool = True,
) -> Response:
    """One good answer; `carries` are its headers, always there when `demands`."""
    made: Response = {
        "description": say("status", str(status)),
        "headers": {name: _header(name, demands=demands) for name in carries}
        | _headers(_TRACED),
    }
    if schema is not None:
        made["content"] = content(media, schema, example)
    return made


def content(
    media: tuple[str, ...], schema: dict[str, Any], example: Any = None
) -> dict[str, Any]:
    """The same content in each media type; JSON examples and schemas for JSON only."""
    shown = {} if example is None else {"example": example}
    return {
        name: {"schema": schema, **shown} if "json" in name else {"schema": {}}
        for name in media
    }


def _error(status: int, kinds: list[Kind], media: tuple[str, ...]) -> Response:
    named = ", ".join(kind.id for kind in kinds[:_SHOWN])
    more = " …" if len(kinds) > _SHOWN else ""
    plain = next((kind for kind in kinds if "{" not in kind.ja), None)
    example = operation_outcome([issue(plain.id)]) if plain else None
    return {
        "description": f"{say('status', str(status))} ({named}{more})",
        "headers": _headers((*_OF_STATUS.get(status, ()), *_TRACED)),
        "content": content(media, to("OperationOutcome"), example),
    }


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(name: str, *, demands: bool) -> dict[str, Any]:
    if not demands:
        return {"$ref": f"#/components/headers/{name}"}
    return {
        "description": say("header", name),
        "schema": _HEADERS[name],
        "required": True,
    }
