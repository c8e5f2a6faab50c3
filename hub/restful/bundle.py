"""Read a batch or transaction Bundle into entries (rest.md F11-F13)."""

import re
from dataclasses import dataclass
from typing import Any

from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.restful.call import pairs

METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET")
_URL = re.compile(r"/?([A-Z][A-Za-z]+)(?:/([A-Za-z0-9\-.]{1,64}))?(?:\?(.*))?")


@dataclass(slots=True)
class Entry:
    """One entry; `type`, `id` and `query` come from request.url."""

    index: int
    method: str
    type: str
    id: str | None
    query: str | None
    full_url: str | None
    resource: Resource | None
    if_match: str | None
    if_none_exist: str | None
    if_none_match: str | None

    @property
    def path(self) -> str:
        return f"Bundle.entry[{self.index}]"


def read_bundle(bundle: Resource, base_url: str, limit: int) -> list[Entry]:
    """The entries in the order sent; 400 and 413 with the exact expression."""
    if bundle.get("type") not in ("batch", "transaction"):
        raise FhirError(issue("HUB-REST-013", "Bundle.type"))
    raw = bundle.get("entry", [])
    if not isinstance(raw, list) or len(raw) > limit:
        raise FhirError(issue("HUB-REST-015", "Bundle.entry", limit=limit))
    return [_entry(index, one, base_url) for index, one in enumerate(raw)]


def require_distinct(entries: list[Entry]) -> None:
    """One resource twice in a transaction is refused, never one dropped (F13)."""
    seen: set[object] = set()
    for entry in entries:
        keys: list[object] = [("url", entry.full_url)] if entry.full_url else []
        if entry.method in ("PUT", "PATCH", "DELETE") and entry.id:
            keys.append((entry.type, entry.id))
        if any(key in seen for key in keys):
            raise FhirError(issue("HUB-REST-021", entry.path))
        seen.update(keys)


def _entry(index: int, raw: Any, base_url: str) -> Entry:
    path = f"Bundle.entry[{index}]"
    request = raw.get("request") if isinstance(raw, dict) else None
    if not isinstance(request, dict):
        raise FhirError(issue("HUB-REST-014", f"{path}.request"))
    method, url = request.get("method"), request.get("url")
    if method not in METHODS or not isinstance(url, str):
        raise FhirError(issue("HUB-REST-014", f"{path}.request"))
    match = _URL.fullmatch(url.removeprefix(base_url))
    if match is None:
        raise FhirError(issue("HUB-REST-014", f"{path}.request.url"))
    resource = raw.get("resource")
    _require_fitting(path, method, match, resource)
    return Entry(
        index=index,
        method=method,
        type=match[1],
        id=match[2],
        query=match[3],
        full_url=raw.get("fullUrl"),
        resource=resource,
        if_match=request.get("ifMatch"),
        if_none_exist=request.get("ifNoneExist"),
        if_none_match=request.get("ifNoneMatch"),
    )


def _require_fitting(
    path: str, method: str, match: re.Match[str], resource: Any
) -> None:
    """Method, url and resource must speak of the same thing."""
    if method in ("POST", "PUT", "PATCH") and not isinstance(resource, dict):
        raise FhirError(issue("HUB-REST-014", f"{path}.resource"))
    if method == "POST" and (match[2] or match[3]):
        raise FhirError(issue("HUB-REST-014", f"{path}.request.url"))
    if method in ("PUT", "DELETE", "PATCH") and not match[2]:
        # Conditional update and delete come with the full API; never ignored.
        raise FhirError(issue("HUB-REST-014", f"{path}.request.url"))
    if method in ("POST", "PUT") and resource.get("resourceType") != match[1]:
        raise FhirError(issue("HUB-REST-011", f"{path}.resource.resourceType"))
    if method == "PUT" and resource.get("id") != match[2]:
        raise FhirError(issue("HUB-REST-011", f"{path}.resource.id"))


def query_pairs(entry: Entry) -> tuple[tuple[str, str], ...]:
    """The criteria in an entry's url."""
    return pairs((entry.query or "").encode())
