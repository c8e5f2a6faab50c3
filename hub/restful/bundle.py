"""Read a batch or transaction Bundle into entries (rest.md F11-F13)."""

import re
from dataclasses import dataclass
from typing import Any

from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.restful.call import Pairs, pairs

METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET")
_URL = re.compile(r"/?([A-Z][A-Za-z]+)(?:/([A-Za-z0-9\-.]{1,64}))?(?:\?(.*))?")
_WITH_BODY = ("POST", "PUT", "PATCH")


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

    @property
    def body(self) -> Resource:
        """The resource of a POST, PUT or PATCH, which was required."""
        if self.resource is None:
            raise FhirError(issue("HUB-REST-014", f"{self.path}.resource"))
        return self.resource


def read_bundle(bundle: Resource, base_url: str, limit: int) -> list[Entry]:
    """The entries in the order sent; 400 and 413 with the exact expression."""
    if bundle.get("type") not in ("batch", "transaction"):
        raise FhirError(issue("HUB-REST-013", "Bundle.type"))
    raw = bundle.get("entry", [])
    if not isinstance(raw, list):
        raise FhirError(issue("HUB-REST-014", "Bundle.entry"))
    if len(raw) > limit:
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


def query_pairs(entry: Entry) -> Pairs:
    """The criteria in an entry's url."""
    return pairs((entry.query or "").encode())


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
    if "ifModifiedSince" in request:
        # Never ignored: If-None-Match says the same, and exactly.
        raise FhirError(issue("HUB-REST-014", f"{path}.request.ifModifiedSince"))
    return Entry(
        index=index,
        method=method,
        type=match[1],
        id=match[2],
        query=match[3],
        full_url=_text(raw, "fullUrl", path),
        resource=resource,
        if_match=_text(request, "ifMatch", f"{path}.request"),
        if_none_exist=_text(request, "ifNoneExist", f"{path}.request"),
        if_none_match=_text(request, "ifNoneMatch", f"{path}.request"),
    )


def _text(held: dict[str, Any], key: str, path: str) -> str | None:
    value = held.get(key)
    if key in held and not isinstance(value, str):
        raise FhirError(issue("HUB-REST-014", f"{path}.{key}"))
    return value


def _require_fitting(
    path: str, method: str, match: re.Match[str], resource: Any
) -> None:
    """Method, url and resource must speak of the same thing."""
    if method in _WITH_BODY and not isinstance(resource, dict):
        raise FhirError(issue("HUB-REST-014", f"{path}.resource"))
    if method not in _WITH_BODY and resource is not None:
        raise FhirError(issue("HUB-REST-014", f"{path}.resource"))
    if not _is_address(method, has_id=bool(match[2]), query=match[3]):
        raise FhirError(issue("HUB-REST-014", f"{path}.request.url"))
    if method in ("POST", "PUT") and resource.get("resourceType") != match[1]:
        raise FhirError(issue("HUB-REST-011", f"{path}.resource.resourceType"))
    if method == "PUT" and match[2] and resource.get("id") != match[2]:
        raise FhirError(issue("HUB-REST-011", f"{path}.resource.id"))


def _is_address(method: str, *, has_id: bool, query: str | None) -> bool:
    """Whether a url suits its method; conditional patch and delete do not exist."""
    if method == "POST":
        return not has_id and query is None
    if method == "PUT":
        return has_id is (query is None)
    if method in ("DELETE", "PATCH"):
        return has_id and query is None
    return not has_id or query is None
