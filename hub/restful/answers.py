"""Answers on the wire: resources, outcomes, headers (rest.md F1, F15, F18)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from math import ceil
from typing import Any

import orjson
from starlette.responses import Response

from hub.fhir.json import encode
from hub.fhir.outcome import Issue, issue, operation_outcome
from hub.store.resources import Stored

FHIR_JSON = "application/fhir+json"
FHIR_XML = "application/fhir+xml"
JSON_PATCH = "application/json-patch+json"
_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_CHALLENGES = {
    "HUB-AUTH-002": 'Bearer error="invalid_token"',
    "HUB-AUTH-003": 'Bearer error="insufficient_scope"',
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler returns; frozen, so it may outlive the transaction."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = FHIR_JSON


def to_response(answer: Answer, request_id: str, correlation_id: str) -> Response:
    """The Starlette response of an answer."""
    headers = {**_NO_STORE, **answer.headers}
    if request_id:
        headers["X-Request-ID"] = request_id
    if correlation_id:
        headers["X-Correlation-ID"] = correlation_id
    if not answer.body:
        return Response(status_code=answer.status, headers=headers)
    return Response(
        answer.body, answer.status, headers=headers, media_type=answer.media_type
    )


def of_resource(stored: Stored, status: int = 200) -> Answer:
    """The stored bytes as they are, with version headers."""
    return Answer(status, stored.body, version_headers(stored))


def written(
    stored: Stored,
    status: int,
    base: str,
    prefers: str | None = None,
    told: Sequence[Issue] = (),
) -> Answer:
    """The answer to a write; `prefers` is what `Prefer: return=` asked for.

    `told` are findings that go with an OperationOutcome: who holds a copy of what
    was withdrawn.
    """
    location = f"{base}/{stored.reference}/_history/{stored.version}"
    headers = version_headers(stored, location)
    if prefers == "minimal":
        return Answer(status, headers=headers)
    if prefers == "OperationOutcome":
        stored_it = issue("HUB-REST-027", severity="information")
        done = operation_outcome([stored_it, *told])
        return Answer(status, encode(done), headers)
    return Answer(status, stored.body, headers)


def deleted(prefers: str | None = None) -> Answer:
    """204, or 200 with the outcome that `Prefer: return=OperationOutcome` asks for."""
    if prefers != "OperationOutcome":
        return Answer(204)
    return of_issues([issue("HUB-REST-049", severity="information")], 200)


def version_headers(stored: Stored, location: str | None = None) -> dict[str, str]:
    """ETag, Last-Modified and, for a new version, Location."""
    headers = {
        "ETag": stored.etag,
        "Last-Modified": format_datetime(
            stored.last_updated.replace(microsecond=0), usegmt=True
        ),
    }
    if location:
        headers["Location"] = location
    return headers


def of_json(resource: Mapping[str, Any], status: int = 200) -> Answer:
    """A resource the hub made for this answer."""
    return Answer(status, encode(resource))


def embedded(body: bytes) -> orjson.Fragment:
    """A stored resource as part of a Bundle: its bytes, not read again."""
    return orjson.Fragment(body)


def of_issues(issues: Sequence[Issue], status: int) -> Answer:
    """An OperationOutcome."""
    headers = {}
    if status == 401:  # noqa: PLR2004 - RFC 6750 §3
        headers["WWW-Authenticate"] = _CHALLENGES.get(issues[0].id, "Bearer")
    elif issues[0].id in _CHALLENGES:
        headers["WWW-Authenticate"] = _CHALLENGES[issues[0].id]
    if issues[0].id == "HUB-REST-028":  # RFC 5789 §2.2
        headers["Accept-Patch"] = f"{JSON_PATCH}, {FHIR_JSON}, {FHIR_XML}"
    if status in (429, 503):
        headers["Retry-After"] = "2"
    return Answer(status, encode(operation_outcome(issues)), headers)


def throttled(wait: float) -> Answer:
    """429 for a client that called too often; `wait` in seconds."""
    seconds = max(1, ceil(wait))
    answer = of_issues([issue("HUB-REST-081", seconds=seconds)], 429)
    return replace(answer, headers={**answer.headers, "Retry-After": str(seconds)})
