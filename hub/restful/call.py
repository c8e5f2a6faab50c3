"""One call of the API: what the handlers are told about the request."""

import re
import uuid
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from hub.actor import Actor, Letter
from hub.fhir.outcome import FhirError, issue
from hub.restful.served import LETTERS, SERVED, Interaction

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_ETAG = re.compile(r'(?:W/)?"?([0-9]{1,9})"?')
_TOKEN = re.compile(r"[\x21-\x7e]{1,255}")
_JSON_TYPES = (
    "application/fhir+json",
    "application/json",
    "application/json+fhir",
    "text/json",
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request after its body was read. Header values are unverified."""

    method: str
    path: dict[str, str]
    query: tuple[tuple[str, str], ...]
    body: bytes
    headers: dict[str, str]
    authorization: tuple[str, ...]
    request_id: str
    correlation_id: str

    def header(self, name: str) -> str | None:
        return self.headers.get(name)

    @property
    def resource_type(self) -> str:
        return self.path["type"]

    @property
    def id(self) -> str:
        """The id in the path; an ill-formed one cannot exist: 404."""
        if not _ID.fullmatch(self.path["id"]):
            raise FhirError(issue("HUB-REST-001"))
        return self.path["id"]

    @property
    def if_match(self) -> int | None:
        return version_of(self.header("if-match"), "If-Match")

    @property
    def if_none_match(self) -> int | None:
        raw = self.header("if-none-match")
        return None if raw in (None, "*") else version_of(raw, "If-None-Match")

    @property
    def is_lenient(self) -> bool:
        return "handling=lenient" in (self.header("prefer") or "")

    @property
    def prefers(self) -> str | None:
        match = re.search(
            r"return=(minimal|representation|OperationOutcome)",
            self.header("prefer") or "",
        )
        return match[1] if match else None


def read_call(request: Request, body: bytes) -> Call:
    """Take what is needed from a Starlette request."""
    return Call(
        method=request.method,
        path={k: str(v) for k, v in request.path_params.items()},
        query=pairs(request.scope["query_string"]),
        body=body,
        headers={k.lower(): v for k, v in request.headers.items()},
        authorization=tuple(request.headers.getlist("authorization")),
        request_id=_id_of(request, "x-request-id") or str(uuid.uuid4()),
        correlation_id=_id_of(request, "x-correlation-id") or "",
    )


def pairs(raw: bytes) -> tuple[tuple[str, str], ...]:
    """Query or form pairs, strictly UTF-8 (security.md J8; `+` is a space)."""
    found = []
    for part in raw.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            found.append((_text(name), _text(value)))
    return tuple(found)


def require_interaction(actor: Actor, interaction: Interaction, type: str) -> None:
    """404 for a type not served, 405 for an interaction it lacks, 403 by scope."""
    if type not in SERVED:
        raise FhirError(issue("HUB-REST-003"))
    if interaction not in SERVED[type]:
        raise FhirError(issue("HUB-REST-004"))
    require_scope(actor, LETTERS[interaction], type)


def require_scope(actor: Actor, letter: Letter, resource_type: str) -> None:
    """403 unless a scope of the token allows this letter on this type."""
    if not actor.may(letter, resource_type):
        wanted = f"system/{resource_type}.{letter}"
        raise FhirError(issue("HUB-AUTH-003", scope=wanted))


def require_json(call: Call, types: tuple[str, ...] = _JSON_TYPES) -> None:
    """415 for another media type or charset; none given counts as FHIR JSON."""
    raw = call.header("content-type")
    if raw is None:
        return
    media, _, parameters = raw.partition(";")
    charset = re.search(r'charset\s*=\s*"?([^";\s]+)', parameters, re.IGNORECASE)
    if media.strip().lower() not in types or (
        charset and charset[1].lower() not in ("utf-8", "utf8")
    ):
        raise FhirError(issue("HUB-REST-005"))


def require_acceptable(call: Call) -> None:
    """406 when neither `_format` nor Accept allows FHIR JSON (rest.md §8)."""
    format_ = next((v for k, v in call.query if k == "_format"), None)
    wanted = format_ or call.header("accept") or "*/*"
    for part in wanted.split(","):
        media = part.partition(";")[0].strip().lower().replace(" ", "+")
        if media in (*_JSON_TYPES, "*/*", "application/*", "json"):
            return
    raise FhirError(issue("HUB-REST-006"))


def version_of(raw: str | None, name: str) -> int | None:
    """The version number of an ETag; None when not given, 400 when malformed."""
    if raw is None:
        return None
    match = _ETAG.fullmatch(raw.strip())
    if match is None:
        raise FhirError(issue("HUB-REST-018", name=name))
    return int(match[1])


def _text(raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise FhirError(issue("HUB-JSON-002")) from None
    if "\x00" in text:
        raise FhirError(issue("HUB-JSON-008"))
    return text


def _id_of(request: Request, name: str) -> str | None:
    raw = request.headers.get(name)
    return raw if raw and _TOKEN.fullmatch(raw) else None
