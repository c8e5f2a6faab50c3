"""What a Bundle asks beyond its invariants: fullUrl, identity, and what resolves.

Source: R4 Bundle (fullUrl, resolving references) and Documents (what a document
has to include).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hub.validation.references import identity, is_full_url

Object = dict[str, Any]
Step = tuple[str, int | None]
Add = Callable[..., None]

# A urn: that is used in one of these must be the fullUrl of one of its entries.
_CLOSED = frozenset(("document", "message", "transaction"))
_WITHOUT_FULL_URL = frozenset(
    ("transaction", "transaction-response", "batch", "batch-response")
)
_WITHOUT_IDENTITY = (None, "OperationOutcome")
# R4 Documents: these references of the Composition are part of the document.
_DOCUMENT_PARTS = frozenset(
    ("subject", "encounter", "author", "party", "custodian", "detail", "focus", "entry")
)


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
            for entry in _listed(bundle)
            if type(entry) is dict and type(entry.get("fullUrl")) is str
        }
        return cls(
            is_closed=type(type_) is str and type_ in _CLOSED,
            takes_conditional=type_ in ("transaction", "batch"),
            types=types,
        )


def check_bundle(bundle: Object, add: Add) -> None:
    """Report by `add(id, (step, index), …)` what is wrong with the entries."""
    type_ = bundle.get("type")
    needs_url = type(type_) is str and type_ not in _WITHOUT_FULL_URL
    for index, entry in enumerate(_listed(bundle)):
        if type(entry) is not dict:
            continue
        url, resource = entry.get("fullUrl"), _resource(entry)
        here = ("entry", index)
        if url is None and "_fullUrl" not in entry:
            # An outcome among search results has no identity of its own.
            if needs_url and resource.get("resourceType") not in _WITHOUT_IDENTITY:
                add("HUB-VAL-070", here)
        elif type(url) is str and url:
            if not is_full_url(url):
                add("HUB-VAL-068", here, ("fullUrl", None))
            elif not _agrees(url, resource):
                add("HUB-VAL-065", here, ("fullUrl", None))
    if type_ == "document":
        _check_document(bundle, add)


def _agrees(url: str, resource: Object) -> bool:
    named = identity(url)
    if named is None or not resource:
        return True
    id_ = resource.get("id")
    return named[0] == resource.get("resourceType") and id_ in (None, named[1])


def _check_document(bundle: Object, add: Add) -> None:
    entries = [entry for entry in _listed(bundle) if type(entry) is dict]
    composition = _resource(entries[0]) if entries else {}
    if composition.get("resourceType") != "Composition":
        return
    known = _addresses(entries)
    for steps, reference in _references(composition, ()):
        if reference.startswith(("#", "urn:")):
            continue  # the walk resolves these
        plain, _, version = reference.partition("/_history/")
        matches = known.get(plain, [])
        if version:
            matches = [r for r in matches if _version(r) == version]
        if len(matches) != 1:
            id_ = "HUB-VAL-071" if matches else "HUB-VAL-063"
            add(id_, ("entry", 0), ("resource", None), *steps, ("reference", None))


def _references(
    value: Object, above: tuple[Step, ...]
) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Each reference of a Composition that belongs to the document, with its steps."""
    for key, child in value.items():
        if key in {"contained", "extension", "modifierExtension", "text"}:
            continue
        items = child if type(child) is list else [child]
        for index, item in enumerate(items):
            if type(item) is not dict:
                continue
            steps = (*above, (key, index if type(child) is list else None))
            reference = item.get("reference")
            if key in _DOCUMENT_PARTS and type(reference) is str:
                yield steps, reference
            yield from _references(item, steps)


def _addresses(entries: list[Object]) -> dict[str, list[Object]]:
    """Resources by fullUrl, and by `Type/id` of it or, under urn:, their own."""
    known: dict[str, list[Object]] = {}
    for entry in entries:
        url, resource = entry.get("fullUrl"), _resource(entry)
        if type(url) is not str:
            continue
        known.setdefault(url, []).append(resource)
        own = identity(url) or (resource.get("resourceType"), resource.get("id"))
        if identity(url) or url.startswith("urn:"):
            known.setdefault(f"{own[0]}/{own[1]}", []).append(resource)
    return known


def _version(resource: Object) -> Any:
    meta = resource.get("meta")
    return meta.get("versionId") if type(meta) is dict else None


def _listed(bundle: Object) -> list[Any]:
    entries = bundle.get("entry")
    return entries if type(entries) is list else []


def _resource(entry: Object) -> Object:
    resource = entry.get("resource")
    return resource if type(resource) is dict else {}
