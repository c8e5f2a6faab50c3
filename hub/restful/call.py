"""One call of the API: what the handlers are told about the request."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from hub.actor import Actor, Letter
from hub.fhir.outcome import FhirError, issue
from hub.fhir.search import TRANSPORT
from hub.restful.served import LETTERS, SERVED, Interaction
from hub.store.resources import Stored

Pairs = tuple[tuple[str, str], ...]

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_ETAG = re.compile(r'(?:W/)?"?([0-9]{1,9})"?')
_VERSION = re.compile(r"[0-9]{1,9}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,255}")
JSON_TYPES = (
    "application/fhir+json",
    "application/json",
    "application/json+fhir",
    "text/json",
)
FORM = ("application/x-www-form-urlencoded",)


@dataclass(frozen=True, slots=True)
class Call:
    """A request after its body was read. Header values are unverified."""

    method: str
    path: dict[str, str]
    raw_query: bytes
    body: bytes
    headers: dict[str, str]
    authorization: tuple[str, ...]
    request_id: str
    correlation_id: str

    def header(self, name: str) -> str | None:
        return self.headers.get(name)

    @property
    def query(self) -> Pairs:
        return pairs(self.raw_query)

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
    def version(self) -> int:
        """The version in the path; an ill-formed one cannot exist: 404."""
        if not _VERSION.fullmatch(self.path["version"]):
            raise FhirError(issue("HUB-REST-001"))
        return int(self.path["version"])

    @property
    def if_match(self) -> int | None:
        return version_of(self.header("if-match"), "If-Match")

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
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        # Several Accept headers say together what one would (RFC 9110 §5.3).
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Call(
        method=request.method,
        path={k: str(v) for k, v in request.path_params.items()},
        raw_query=request.scope["query_string"],
        body=body,
        headers=headers,
        authorization=tuple(request.headers.getlist("authorization")),
        request_id=_id_of(request, "x-request-id") or str(uuid.uuid4()),
        correlation_id=_id_of(request, "x-correlation-id") or "",
    )


def pairs(raw: bytes) -> Pairs:
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


def require_parameters(call: Call, *allowed: str) -> dict[str, str]:
    """The query parameters of a call that is no search; 400 for any other, or twice.

    What only shapes the transport is left out. Under `Prefer: handling=lenient` the
    others are left out too.
    """
    return parameters(call.query, *allowed, lenient=call.is_lenient)


def parameters(query: Pairs, *allowed: str, lenient: bool = False) -> dict[str, str]:
    """`require_parameters` for a query that did not come as a request of its own."""
    found: dict[str, str] = {}
    for position, (name, value) in enumerate(query, 1):
        if name in TRANSPORT:
            continue
        if name in allowed and name not in found:
            found[name] = value
        elif not lenient:
            raise FhirError(issue("HUB-SEARCH-001", position=position))
    return found


def require_form(call: Call) -> None:
    """415 unless a form, or nothing, was posted."""
    if call.body or call.header("content-type") is not None:
        require_media(call, FORM, "HUB-REST-026")


def require_media(call: Call, types: Sequence[str], id: str) -> None:
    """415 with the issue `id` for another media type or charset."""
    media, _, parameters = (call.header("content-type") or "").partition(";")
    charset = re.search(r'charset\s*=\s*"?([^";\s]+)', parameters, re.IGNORECASE)
    is_other = charset and charset[1].lower() not in ("utf-8", "utf8")
    if media.strip().lower() not in types or is_other:
        raise FhirError(issue(id))


def version_of(raw: str | None, name: str) -> int | None:
    """The version number of an ETag; None when not given, 400 when malformed."""
    if raw is None:
        return None
    match = _ETAG.fullmatch(raw.strip())
    if match is None:
        raise FhirError(issue("HUB-REST-018", name=name))
    return int(match[1])


def is_known(stored: Stored, if_none_match: str | None, since: str | None) -> bool:
    """True when the caller holds this version already: 304 (RFC 9110 §13.2.2).

    A tag that is not ours matches nothing; `since` (If-Modified-Since) counts only
    without If-None-Match, and an unreadable one not at all.
    """
    if if_none_match is not None:
        tags = [_ETAG.fullmatch(part.strip()) for part in if_none_match.split(",")]
        known = {int(match[1]) for match in tags if match}
        return if_none_match.strip() == "*" or stored.version in known
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except (ValueError, OverflowError):
        return False
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return stored.last_updated.replace(microsecond=0) <= moment


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
