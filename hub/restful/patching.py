"""JSON Patch (RFC 6902) and FHIRPath Patch on the stored document, within bounds."""

import binascii
from base64 import b64decode
from typing import Any

import jsonpatch

from hub.fhir.json import Resource, decode, decode_value, encode
from hub.fhir.outcome import FhirError, issue
from hub.restful.answers import FHIR_JSON, JSON_PATCH
from hub.restful.call import Call, require_media
from hub.restful.checks import require_valid
from hub.restful.formats import XML_TYPES, read_resource
from hub.restful.hub import Hub
from hub.restful.path_operation import MOST, Operation, operations_of
from hub.restful.path_patch import apply

_WHOLE = 4  # bodies that the FHIRPath operations of one patch may read through
_FHIR_TYPES = (FHIR_JSON, "application/json+fhir", *XML_TYPES)
_ERRORS = (
    jsonpatch.JsonPatchException,
    jsonpatch.JsonPointerException,
    TypeError,
    KeyError,
    IndexError,
    ValueError,
    AttributeError,
)


def read_patch(hub: Hub, call: Call) -> Any:
    """The operations in the body of a PATCH: JSON Patch, or a Parameters resource.

    `application/json` is neither: what comes so is a merge object (rest.md §8).
    """
    require_media(call, (JSON_PATCH, *_FHIR_TYPES), "HUB-REST-028")
    media = (call.header("content-type") or "").partition(";")[0].strip().lower()
    if media == JSON_PATCH:
        return decode_value(call.body, hub.settings.max_depth)
    parameters = read_resource(hub, call)
    require_valid(hub.knowledge, parameters)
    return operations_of(parameters)


def from_entry(hub: Hub, resource: Resource, path: str) -> Any:
    """The operations in a Bundle entry: a Binary of JSON Patch, or a Parameters.

    R4 http.html#patch. What is wrong is told as in the Bundle, at `path`.
    """
    if resource.get("resourceType") == "Parameters":
        require_valid(hub.knowledge, resource)
        return operations_of(resource, f"{path}.resource")
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


def patched(hub: Hub, before: Resource, operations: Any) -> Resource:
    """The document after all operations; 422 HUB-REST-019 when one does not apply.

    `operations` are as `read_patch` returns them. `before` is changed in place. The
    result is read again as if it had been sent, so that a patch cannot store what the
    reader would refuse.
    """
    id, kind = before["id"], before["resourceType"]
    after = _after(hub, before, operations)
    if not isinstance(after, dict):
        raise FhirError(issue("HUB-REST-019"))
    if after.get("id") != id or after.get("resourceType") != kind:
        raise FhirError(issue("HUB-REST-019"))
    return decode(_encoded(after), hub.settings.max_depth)


def _after(hub: Hub, before: Resource, operations: Any) -> Any:
    if isinstance(operations, tuple):
        return _by_path(hub, before, operations)
    if not isinstance(operations, list) or not operations:
        raise FhirError(issue("HUB-REST-019"))
    if len(operations) > MOST:
        raise FhirError(issue("HUB-REST-034", limit=MOST))
    after: Any = before
    for operation in operations:
        after = _step(after, operation)
        # Copies of copies double: the size is asked after each.
        if isinstance(operation, dict) and operation.get("op") == "copy":
            _require_size(hub, after)
    return after


def _by_path(hub: Hub, before: Resource, operations: tuple[Operation, ...]) -> Resource:
    # Each operation walks the whole document: all of that is bounded (AB26).
    limit = _WHOLE * hub.settings.max_body_bytes
    if len(operations) * len(_encoded(before)) > limit:
        raise FhirError(issue("HUB-REST-034", limit=limit))
    for operation in operations:
        apply(before, operation)
    return before


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
