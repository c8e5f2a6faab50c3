"""Binary: content in its own media type, under its owner's access (R4 binary.html).

Who sees a Binary is decided like for any case resource; its securityContext says to
which case it belongs (AB25). Content never runs or shows in a browser: it is always an
attachment, of the type that was stated, in an empty sandbox (AB23).
"""

import re
from base64 import b64decode, b64encode

from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.cases import Case
from hub.disclosure.classes import DataClass
from hub.fhir import references
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.restful.answers import Answer, version_headers
from hub.restful.call import JSON_TYPES, Call
from hub.store.resources import Stored

# In these a Binary is sent as a resource; everything else is the content itself.
_FHIR_TYPES = (*JSON_TYPES, "application/fhir+xml", "application/xml+fhir")
_FORMATS = (*_FHIR_TYPES, "json", "xml")
_WORD = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
_MEDIA = re.compile(
    rf'{_WORD}/{_WORD}(\s*;\s*{_WORD}=({_WORD}|"[\x20\x21\x23-\x5b\x5d-\x7e]*"))*'
)
_AROUND = 1000  # bytes of a Binary besides its data
_NEVER_SHOWN = {
    "Content-Disposition": "attachment",
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
# A Binary is as open as the resource of its author that it goes with, no wider than
# that author's own writings: the person's own class would open it to everybody.
_SHARED = DataClass.REFERRAL | DataClass.RECORD | DataClass.FEEDBACK


def is_native(call: Call) -> bool:
    """True when content itself was sent to /Binary, not the resource around it."""
    media = _media(call.header("content-type") or JSON_TYPES[0])
    return call.path.get("type") == "Binary" and media not in _FHIR_TYPES


def received(call: Call, limit: int) -> Resource:
    """The Binary of content that was sent as it is; its id is that of the path.

    Raises HUB-REST-067 (415) for a Content-Type that is none, -066 (400) for an
    unreadable X-Security-Context, -007 (413) when the resource would exceed `limit`
    bytes: what is stored can also be sent back as a resource.
    """
    content_type = (call.header("content-type") or "").strip()
    if not _MEDIA.fullmatch(content_type):
        raise FhirError(issue("HUB-REST-067"))
    most = max(0, limit - _AROUND) // 4 * 3
    if len(call.body) > most:
        raise FhirError(issue("HUB-REST-007", limit=most))
    made: Resource = {"resourceType": "Binary"}
    if "id" in call.path:
        made["id"] = call.id
    made["contentType"] = content_type
    if context := _context(call):
        made["securityContext"] = {"reference": context}
    if call.body:
        made["data"] = b64encode(call.body).decode()
    return made


def wants_native(call: Call) -> bool:
    """True when a Binary is read and nothing asks for a FHIR format."""
    if call.path.get("type") != "Binary" or "id" not in call.path:
        return False
    if call.method not in ("GET", "HEAD"):
        return False
    named = [value for name, value in call.query if name == "_format"]
    asked = ",".join(named) if named else call.header("accept") or ""
    return not any(_media(part) in _FORMATS for part in asked.split(","))


def native(stored: Stored) -> Answer:
    """The content, to be kept as a file and never shown."""
    binary = stored.resource()
    content_type = str(binary.get("contentType", ""))
    if not _MEDIA.fullmatch(content_type):
        content_type = "application/octet-stream"
    headers = {**version_headers(stored), **_NEVER_SHOWN, "Content-Type": content_type}
    context = (binary.get("securityContext") or {}).get("reference")
    if context is not None and references.split(context):
        headers["X-Security-Context"] = context
    content = b64decode("".join(str(binary.get("data", "")).split()))
    return Answer(200, content, headers)


def class_in(
    session: Session, case: Case, binary: Resource, author: str, otherwise: DataClass
) -> DataClass:
    """The data class of a new Binary: that of its context when its author wrote it."""
    context = str((binary.get("securityContext") or {}).get("reference", ""))
    target = references.split(context)
    placed = target and cases.placed(session, case.id, target)
    if placed and placed.author == author and placed.data_class & _SHARED:
        return placed.data_class
    return otherwise


def require_same_context(before: Resource, after: Resource) -> None:
    """422 HUB-REST-065: what is already disclosed is not moved elsewhere."""
    if before.get("securityContext") != after.get("securityContext"):
        raise FhirError(issue("HUB-REST-065", "Binary.securityContext"))


def _context(call: Call) -> str | None:
    given = call.header("x-security-context")
    if given is not None and references.split(given) is None:
        raise FhirError(issue("HUB-REST-066"))
    return given


def _media(text: str) -> str:
    return text.partition(";")[0].strip().lower().replace(" ", "+")
