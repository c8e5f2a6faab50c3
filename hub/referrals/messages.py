"""What leaves the hub about a case: bodies of outbox messages.

A message is a transaction of conditional updates, so that the receiver can take the
same message twice and keep one copy: each resource carries the hub's identifier.
"""

from collections.abc import Iterable
from typing import Any

from hub.fhir import references
from hub.fhir.canonical import RESOURCE_ID
from hub.fhir.json import Resource, encode

# Types with a list of identifiers; the others carry at most one.
_ONE_IDENTIFIER = ("QuestionnaireResponse", "Bundle", "Composition")
_NO_IDENTIFIER = ("Provenance",)
# A receiver need not know the hub's versions and stamps.
_LEFT_OUT = ("versionId", "lastUpdated")


def transaction(resources: Iterable[Resource], base: str) -> bytes:
    """A transaction Bundle that brings these resources to a receiver, as bytes.

    References among them become `urn:uuid`, so that the receiver may give its own
    ids; all others become absolute under `base`, the hub's FHIR base URL.
    """
    given = list(resources)
    inside = {f"{r['resourceType']}/{r['id']}": f"urn:uuid:{r['id']}" for r in given}

    def outside(reference: str) -> str:
        return inside.get(reference) or _absolute(reference, base)

    entries = [_entry(references.rewritten(one, outside)) for one in given]
    return encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _absolute(reference: str, base: str) -> str:
    return f"{base}/{reference}" if references.split(reference) else reference


def retraction(tasks: Iterable[Resource], base: str) -> bytes:
    """Tells a receiver that a Task ended because consent was withdrawn.

    Nothing about the person: status, business status and the identifiers the
    receiver already holds.
    """
    kept = ("resourceType", "id", "status", "businessStatus", "statusReason", "intent")
    return transaction(({k: t[k] for k in kept if k in t} for t in tasks), base)


def _entry(resource: Resource) -> dict[str, Any]:
    kind, id = resource["resourceType"], resource["id"]
    sent = {k: v for k, v in resource.items() if k != "meta"}
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in _LEFT_OUT}
    if meta:
        sent["meta"] = meta
    # Each resource goes under the hub's id as an identifier of the receiver's copy.
    value = f"{kind}/{id}"
    url = f"{kind}?identifier={RESOURCE_ID}|{value}"
    if kind in _NO_IDENTIFIER:
        url = f"{kind}/{id}"
    elif kind in _ONE_IDENTIFIER:
        sent.setdefault("identifier", {"system": RESOURCE_ID, "value": value})
        own = sent["identifier"]
        url = f"{kind}?identifier={own.get('system', '')}|{own.get('value', '')}"
    else:
        sent["identifier"] = [
            *sent.get("identifier", ()),
            {"system": RESOURCE_ID, "value": value},
        ]
    del sent["id"]
    return {
        "fullUrl": f"urn:uuid:{id}",
        "resource": sent,
        "request": {"method": "PUT", "url": url},
    }
