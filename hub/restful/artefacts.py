"""What every client may read: it holds no case data, and the hub's own stays its own.

A form or vocabulary is named by its canonical, `url|version`: two with the same would
make every reference to it ambiguous.
"""

import re

from hub.actor import Actor
from hub.database import Session
from hub.disclosure.classes import PUBLIC_TYPES, TERMINOLOGY_TYPES
from hub.disclosure.grants import visible_to
from hub.fhir import references, search
from hub.fhir.canonical import ROOT
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.restful.hub import Hub
from hub.restful.served import CASE_TYPES
from hub.store.search import match

_SPECIAL = re.compile(r"([\\,$|])")


def require_public(hub: Hub, resource: Resource) -> None:
    """422 HUB-REST-063 when a resource of a public type tells of a case.

    Its readers hold no grant: a name, or the id of a person, would reach all of them.
    """
    kind = resource["resourceType"]
    for index, inside in enumerate(resource.get("contained", ())):
        if inside.get("resourceType") in CASE_TYPES:
            raise FhirError(issue("HUB-REST-063", f"{kind}.contained[{index}]"))
    for path, element in references.walk(resource):
        target = references.split(element["reference"], hub.base)
        if target is not None and target[0] in CASE_TYPES:
            raise FhirError(issue("HUB-REST-063", f"{kind}.{path}.reference"))
    for path, element in references.walk_urls(resource):
        if (references.split(element["url"], hub.base) or ("",))[0] == "Binary":
            raise FhirError(issue("HUB-REST-063", f"{kind}.{path}.url"))


def require_publishable(
    hub: Hub,
    session: Session,
    actor: Actor,
    resource: Resource,
    id: str | None,
    before: Resource | None = None,
) -> None:
    """Raise unless the actor may publish this; `id` is None while it has none.

    HUB-REST-063 for case data in it, -061 for what is the hub's own, by id or by url
    and also as it was `before`, -062 when another has its url and version.
    """
    kind = resource["resourceType"]
    require_public(hub, resource)
    if kind not in TERMINOLOGY_TYPES:
        return
    for one in (resource, before):
        if one is not None and _is_ours(hub, {**one, "id": id}):
            raise FhirError(issue("HUB-REST-061", kind))
    for other in _named_alike(hub, session, actor, resource):
        if other != id:
            raise FhirError(issue("HUB-REST-062", f"{kind}.url"))


def require_not_ours(hub: Hub, before: Resource) -> None:
    """409 HUB-REST-061 for what the hub publishes."""
    if before["resourceType"] in PUBLIC_TYPES and _is_ours(hub, before):
        raise FhirError(issue("HUB-REST-061", before["resourceType"]))


def _is_ours(hub: Hub, resource: Resource) -> bool:
    kind, url = resource["resourceType"], str(resource.get("url", ""))
    if kind not in TERMINOLOGY_TYPES:
        return False
    if url.startswith(f"{ROOT}/"):
        return True
    return any(
        one["resourceType"] == kind
        and (one["url"] == url or one["id"] == resource["id"])
        for one in hub.knowledge.published()
    )


def _named_alike(
    hub: Hub, session: Session, actor: Actor, resource: Resource
) -> list[str]:
    """Ids of stored artefacts with the same type, url and version."""
    url, version = resource.get("url"), resource.get("version")
    if not isinstance(url, str):
        return []
    asked = [("url", _escaped(url))]
    asked += (
        [("version", _escaped(version))]
        if isinstance(version, str)
        else [("version:missing", "true")]
    )
    kind = resource["resourceType"]
    query = search.parse(kind, asked, hub.declared, base_url=hub.base)
    return [one.id for one in match(session, kind, query, visible_to(actor))]


def _escaped(value: str) -> str:
    return _SPECIAL.sub(r"\\\1", value)
