"""References of what is written: resolved, or refused (rest.md F11, §5).

A reference to a case resource must lead to something the writer may see; dangling and
hidden ones give the same error. Directory and foreign references are kept as sent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hub.actor import Actor
from hub.database import Session
from hub.disclosure.grants import visible_to
from hub.fhir import references
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.restful.call import pairs, require_interaction
from hub.restful.conditional import criteria, find_one
from hub.restful.hub import Hub
from hub.restful.served import CASE_TYPES
from hub.store import resources as store

_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Linker:
    """`urls` are the fullUrls of a transaction with the reference each becomes."""

    hub: Hub
    session: Session
    actor: Actor
    urls: Mapping[str, str]
    is_transaction: bool = False

    def link(
        self, resource: Resource, path: str, *, is_new: bool, root: str | None = None
    ) -> None:
        """Rewrite the references of a resource in place; 422 HUB-REST-016.

        Only a new resource must point to what exists: an update never fails because
        of a reference that was there before. `root` is what its own fullUrl is under,
        on the server it comes from (R4 bundle.html#references). A Bundle is a document
        of its own, perhaps signed: it is kept as it came.
        """
        if resource["resourceType"] == "Bundle":
            return
        own = frozenset(self.urls.values())
        for where, element in references.walk(resource):
            here = f"{path}.{where}" if where else path
            found = self._resolved(element["reference"], f"{here}.reference", root)
            element["reference"] = found
            if is_new:
                self._require_seen(found, own, f"{here}.reference")
        for element, key in references.links(resource) if self.urls else ():
            element[key] = self.urls.get(element[key], element[key])
        for where, element in references.walk_urls(resource):
            self._link_content(element, own, f"{path}.{where}.url", is_new=is_new)

    def _link_content(
        self, element: Resource, own: frozenset[str], path: str, *, is_new: bool
    ) -> None:
        """An Attachment whose content is a Binary here points to it like a reference.

        Its Binary is read under its own access, and is nobody else's (AB25).
        """
        target = references.split(element["url"], self.hub.base)
        if target is None or target[0] != "Binary":
            return
        element["url"] = "/".join(target)
        if is_new:
            self._require_seen(element["url"], own, path)

    def _resolved(self, reference: str, path: str, root: str | None) -> str:
        if reference in self.urls:
            return self.urls[reference]
        if root and f"{root}/{reference}" in self.urls:
            return self.urls[f"{root}/{reference}"]
        if reference.startswith("urn:"):
            raise FhirError(issue("HUB-REST-016", path))
        conditional = _CONDITIONAL.fullmatch(reference)
        if conditional:
            return self._match(conditional[1], conditional[2], path)
        base = f"{self.hub.base}/"
        if references.split(reference, self.hub.base):
            return reference.removeprefix(base)
        return reference

    def _match(self, resource_type: str, asked: str, path: str) -> str:
        """A conditional reference; they exist in transactions only."""
        if not self.is_transaction:
            raise FhirError(issue("HUB-REST-016", path))
        require_interaction(self.actor, "search-type", resource_type)
        query = criteria(self.hub, self.actor, resource_type, pairs(asked.encode()))
        found = find_one(self.session, self.actor, resource_type, query)
        if found is None:
            raise FhirError(issue("HUB-REST-016", path))
        return found.reference

    def _require_seen(self, reference: str, own: frozenset[str], path: str) -> None:
        target = references.split(reference)
        if target is None or target[0] not in CASE_TYPES:
            return
        if f"{target[0]}/{target[1]}" in own:
            return
        found = store.read(self.session, *target, visible_to(self.actor))
        if found is None or found.deleted:
            raise FhirError(issue("HUB-REST-016", path))
