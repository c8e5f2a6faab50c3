"""What a stand-in keeps of a message, and what it answers."""

from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hub.fhir import dates
from hub.fhir.json import Resource


def message(key: str, correlation: str, bundle: Resource, raw: bytes) -> dict[str, Any]:
    """A message as it is listed: types, Task states, sizes of PDFs; and its bytes.

    `times` counts its arrivals, for the hub sends at least once.
    """
    resources = _resources(bundle)
    return {
        "id": key,
        "at": dates.instant(dates.now()),
        "correlation": correlation,
        "bundle_type": bundle.get("type"),
        "types": dict(Counter(r["resourceType"] for r in resources)),
        "tasks": [_task(r) for r in resources if r["resourceType"] == "Task"],
        "pdf_bytes": [size for r in resources for size in _pdf_sizes(r)],
        "times": 0,
        "raw": raw,
    }


def answer(bundle: Resource, base: str) -> Resource:
    """The transaction-response: each resource has a place of its own here.

    A document is stored whole, as one Bundle.
    """
    resources = _resources(bundle)
    if bundle.get("type") not in ("transaction", "batch"):
        resources = [bundle]
    entries = [
        {
            "response": {
                "status": "201",
                "location": f"{base}/{resource['resourceType']}/{number}/_history/1",
            }
        }
        for number, resource in enumerate(resources, start=1)
    ]
    kind = "batch-response" if bundle.get("type") == "batch" else "transaction-response"
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def _resources(bundle: Resource) -> list[Resource]:
    entries = (entry.get("resource") or {} for entry in bundle.get("entry", ()))
    return [resource for resource in entries if "resourceType" in resource]


def _task(task: Resource) -> dict[str, Any]:
    codings = (task.get("businessStatus") or {}).get("coding", ())
    codes = [coding.get("code") for coding in codings]
    return {"status": task.get("status"), "business_status": codes}


def _pdf_sizes(resource: Resource) -> Iterator[int]:
    attached = [resource]
    if resource["resourceType"] == "DocumentReference":
        attached = [c.get("attachment", {}) for c in resource.get("content", ())]
    for one in attached:
        if one.get("contentType") == "application/pdf":
            yield len(b64decode(one.get("data", "")))
