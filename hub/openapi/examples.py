"""Examples in the document: invented people, and requests that the hub takes as is."""

from functools import cache
from importlib.resources import files
from typing import Any

import orjson

_STORED = {"versionId": "1", "lastUpdated": "2026-11-01T01:00:00Z"}


@cache
def example(name: str) -> Any:
    """One of `examples/<name>.json`."""
    source = files("hub.openapi").joinpath("examples", f"{name}.json")
    return orjson.loads(source.read_bytes())


def of_type(resource_type: str) -> dict[str, Any] | None:
    """A resource of a type as it stands in the example of a referral."""
    found = (entry["resource"] for entry in example("referral")["entry"])
    return next((r for r in found if r["resourceType"] == resource_type), None)


def stored(resource_type: str) -> dict[str, Any] | None:
    """The same as the hub answers it."""
    found = of_type(resource_type)
    if found is None:
        return None
    text = orjson.dumps(found)
    # Links inside the Bundle became links to what was stored.
    for kind in ("Patient", "ServiceRequest"):
        text = text.replace(_url(kind).encode(), f"{kind}/example".encode())
    return {**orjson.loads(text), "id": "example", "meta": _STORED}


def searchset(base: str, resource_type: str) -> dict[str, Any]:
    """The answer to a search."""
    url, one = f"{base}/{resource_type}", stored(resource_type)
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 1 if one else 0,
        "link": [{"relation": "self", "url": url}],
    }
    if one:
        search = {"mode": "match"}
        entry = {"fullUrl": f"{url}/example", "resource": one, "search": search}
        bundle["entry"] = [entry]
    return bundle


def _url(resource_type: str) -> str:
    return str(
        next(
            entry["fullUrl"]
            for entry in example("referral")["entry"]
            if entry["resource"]["resourceType"] == resource_type
        )
    )
