"""Read a batch or transaction Bundle into entries (rest.md F11-F13)."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.restful.call import Pairs, pairs
from hub.restful.served import Interaction

METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
_URL = re.compile(
    r"/?(?:(?P<type>[A-Z][A-Za-z]+)(?:/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/(?P<within>\*|[A-Z][A-Za-z]+))?)?"
    r"(?P<history>/_history(?:/(?P<version>[0-9]{1,9}))?)?"
    r"|(?P<whole>_history)|(?=\?))(?:\?(?P<query>.*))?"
)
_ROOT = re.compile(r"(https?://.+)/[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")
_READS = ("GET", "HEAD")
# What may stand beside which method; anything else would be ignored, so is refused.
_CONDITIONS = {
    "ifNoneExist": ("POST",),
    "ifMatch": ("PUT", "PATCH", "DELETE"),
    "ifNoneMatch": _READS,
    "ifModifiedSince": _READS,
}
_WRITES: dict[str, Interaction] = {
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_HISTORIES: dict[str, Interaction | Literal["history-system"]] = {
    "instance": "history-instance",
    "type": "history-type",
    "system": "history-system",
}
_WITH_BODY = ("POST", "PUT", "PATCH")


@dataclass(slots=True)
class Entry:
    """One entry; `type`, `id`, `query` and the last three come from request.url.

    `version` is that of a vread; `is_history` with an `id`, a `type` or "" for all;
    `within` is what is searched in the compartment of `type` and `id`.
    """

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
    if_modified_since: str | None = None
    version: int | None = None
    is_history: bool = False
    within: str | None = None

    @property
    def is_read(self) -> bool:
        return self.method in _READS

    @property
    def interaction(self) -> Interaction | Literal["history-system", "search-system"]:
        """What is asked: by this it is allowed, and audited when it is refused."""
        if not self.is_read:
            return _WRITES[self.method]
        if self.is_history:
            level = "instance" if self.id else "type" if self.type else "system"
            return _HISTORIES[level]
        if not self.type:
            return "search-system"
        if self.version is not None:
            return "vread"
        return "read" if self.id and not self.within else "search-type"

    @property
    def path(self) -> str:
        return f"Bundle.entry[{self.index}]"

    @property
    def root(self) -> str | None:
        """Of a RESTful fullUrl what relative references in the resource are under."""
        match = _ROOT.fullmatch(self.full_url or "")
        return match[1] if match else None

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
    for condition, methods in _CONDITIONS.items():
        if condition in request and method not in methods:
            raise FhirError(issue("HUB-REST-014", f"{path}.request.{condition}"))
    return Entry(
        index=index,
        method=method,
        type=match["type"] or "",
        id=match["id"],
        query=match["query"],
        full_url=_text(raw, "fullUrl", path),
        resource=resource,
        if_match=_text(request, "ifMatch", f"{path}.request"),
        if_none_exist=_text(request, "ifNoneExist", f"{path}.request"),
        if_none_match=_text(request, "ifNoneMatch", f"{path}.request"),
        if_modified_since=_text(request, "ifModifiedSince", f"{path}.request"),
        version=int(match["version"]) if match["version"] else None,
        is_history=bool(match["whole"] or (match["history"] and not match["version"])),
        within=match["within"],
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
    if not _is_address(method, match):
        raise FhirError(issue("HUB-REST-014", f"{path}.request.url"))
    if method in ("POST", "PUT") and resource.get("resourceType") != match["type"]:
        raise FhirError(issue("HUB-REST-011", f"{path}.resource.resourceType"))
    if method == "PUT" and match["id"] and resource.get("id") != match["id"]:
        raise FhirError(issue("HUB-REST-011", f"{path}.resource.id"))


def _is_address(method: str, match: re.Match[str]) -> bool:
    """Whether a url suits its method: an id or a condition to change something."""
    has_id, query = bool(match["id"]), match["query"]
    if method in _READS:
        is_one = has_id or not match["version"]
        return is_one and not (match["within"] and match["history"])
    if not match["type"] or match["history"] or match["within"]:
        return False
    if method == "POST":
        return not has_id and query is None
    return has_id is (query is None)
