"""What leaves the hub about a case: bodies of outbox messages.

A message is a transaction of conditional updates, so that the receiver can take the
same message twice and keep one copy: each resource carries the hub's identifier.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from hub.fhir import references
from hub.fhir.canonical import RESOURCE_ID, TASK_CODE
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

    made = [references.rewritten(one, outside) for one in given]
    for one in made:
        _point_contents_here(one, base)
    entries = [_entry(one) for one in made]
    return encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _point_contents_here(copy: Resource, base: str) -> None:
    """An Attachment whose content is a Binary of the hub is read at the hub."""
    for _path, element in references.walk_urls(copy):
        if (references.split(element["url"]) or ("",))[0] == "Binary":
            element["url"] = f"{base}/{element['url']}"


def _absolute(reference: str, base: str) -> str:
    return f"{base}/{reference}" if references.split(reference) else reference


def retraction(tasks: Iterable[Resource], base: str) -> bytes:
    """Tells a receiver that a Task ended and that its copy is to go.

    Nothing about the person: status, codes and the identifier the receiver already
    holds. Texts are left out, as the sender may have written a name into a reason.
    """
    return transaction((_bare(task) for task in tasks), base)


def _bare(task: Resource) -> Resource:
    kept = ("resourceType", "id", "status", "intent", *_kept_of_recall(task))
    bare = {key: task[key] for key in kept if key in task}
    for key in ("businessStatus", "statusReason"):
        codings = [
            {name: coding[name] for name in ("system", "code") if name in coding}
            for coding in (task.get(key) or {}).get("coding", ())
        ]
        if codings:
            bare[key] = {"coding": codings}
    return bare


def _kept_of_recall(task: Resource) -> tuple[str, ...]:
    """What a recall asks, of which copy and of whom: all of it the hub's own words."""
    codings = (task.get("code") or {}).get("coding", ())
    is_recall = any(one.get("system") == TASK_CODE for one in codings)
    return ("code", "focus", "owner", "description") if is_recall else ()


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
        system, number = (
            quote(str(own.get(key, "")), safe=":/") for key in ("system", "value")
        )
        url = f"{kind}?identifier={system}|{number}"
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
