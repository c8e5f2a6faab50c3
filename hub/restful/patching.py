"""JSON Patch (RFC 6902) on the stored document, within bounds."""

import binascii
from base64 import b64decode
from typing import Any

import jsonpatch

from hub.fhir.json import Resource, decode, decode_value, encode
from hub.fhir.outcome import FhirError, issue
from hub.restful.answers import JSON_PATCH
from hub.restful.hub import Hub

_MOST = 200  # operations of one patch
_ERRORS = (
    jsonpatch.JsonPatchException,
    jsonpatch.JsonPointerException,
    TypeError,
    KeyError,
    IndexError,
    ValueError,
    AttributeError,
)


def patched(hub: Hub, before: Resource, operations: Any) -> Resource:
    """The document after all operations; 422 HUB-REST-019 when one does not apply.

    `before` is changed in place. The result is read again as if it had been sent, so
    that a patch cannot store what the reader would refuse.
    """
    if not isinstance(operations, list) or not operations:
        raise FhirError(issue("HUB-REST-019"))
    if len(operations) > _MOST:
        raise FhirError(issue("HUB-REST-034", limit=_MOST))
    id, kind = before["id"], before["resourceType"]
    after: Any = before
    for operation in operations:
        after = _step(after, operation)
        # Copies of copies double: the size is asked after each.
        if isinstance(operation, dict) and operation.get("op") == "copy":
            _require_size(hub, after)
    if not isinstance(after, dict):
        raise FhirError(issue("HUB-REST-019"))
    if after.get("id") != id or after.get("resourceType") != kind:
        raise FhirError(issue("HUB-REST-019"))
    return decode(_encoded(after), hub.settings.max_depth)


def from_binary(hub: Hub, resource: Resource, path: str) -> Any:
    """The operations in a Bundle entry: a Binary of JSON Patch (R4 http.html#patch)."""
    if (
        resource.get("resourceType") != "Binary"
        or resource.get("contentType") != JSON_PATCH
    ):
        raise FhirError(issue("HUB-REST-028", f"{path}.resource"))
    try:
        raw = b64decode(resource.get("data", ""), validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise FhirError(issue("HUB-REST-019", f"{path}.resource.data")) from None
    return decode_value(raw, hub.settings.max_depth)


def _step(document: Any, operation: Any) -> Any:
    try:
        return jsonpatch.JsonPatch([operation]).apply(document, in_place=True)
    except _ERRORS:
        raise FhirError(issue("HUB-REST-019")) from None


def _require_size(hub: Hub, document: Any) -> None:
    limit = hub.settings.max_body_bytes
    if len(_encoded(document)) > limit:
        raise FhirError(issue("HUB-REST-034", limit=limit))


def _encoded(document: Any) -> bytes:
    try:
        return encode(document)
    except (TypeError, ValueError):  # deeper than the writer goes
        raise FhirError(issue("HUB-REST-019")) from None
