"""What a Bundle asks beyond its invariants: fullUrl, identity, and what resolves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hub.validation.references import identity, is_full_url

Object = dict[str, Any]
Add = Callable[..., None]

# A urn: that is used in one of these must be the fullUrl of one of its entries.
_CLOSED = frozenset(("document", "message", "transaction"))


@dataclass(frozen=True, slots=True)
class BundleScope:
    """What references inside a Bundle can point to: fullUrl -> resource type."""

    is_closed: bool
    takes_conditional: bool
    types: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, bundle: Object) -> "BundleScope":
        type_ = bundle.get("type")
        types = {
            entry["fullUrl"]: _resource(entry).get("resourceType")
            for entry in _entries(bundle)
            if type(entry.get("fullUrl")) is str
        }
        return cls(
            is_closed=type(type_) is str and type_ in _CLOSED,
            takes_conditional=type_ in ("transaction", "batch"),
            types=types,
        )


def check_bundle(bundle: Object, add: Add) -> None:
    """Report by `add(id, (step, index), …)` what is wrong with the fullUrls."""
    for index, entry in enumerate(_listed(bundle)):
        if type(entry) is not dict:
            continue
        url = entry.get("fullUrl")
        if type(url) is not str or not url:
            continue
        here = ("entry", index)
        if not is_full_url(url):
            add("HUB-VAL-068", here, ("fullUrl", None))
            continue
        resource = _resource(entry)
        named = identity(url)
        if named is None or not resource:
            continue
        type_, id_ = resource.get("resourceType"), resource.get("id")
        if named[0] != type_ or (id_ is not None and named[1] != id_):
            add("HUB-VAL-065", here, ("fullUrl", None))


def _listed(bundle: Object) -> list[Any]:
    entries = bundle.get("entry")
    return entries if type(entries) is list else []


def _entries(bundle: Object) -> list[Object]:
    return [entry for entry in _listed(bundle) if type(entry) is dict]


def _resource(entry: Object) -> Object:
    resource = entry.get("resource")
    return resource if type(resource) is dict else {}
