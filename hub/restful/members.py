"""Group, List, CareTeam: each member was seen by the adder (security.md G6).

Such a resource belongs to one case, and so do all its members. A reader without a
grant for a member's data class meets its reference, an id that tells nothing and opens
nothing (G5). It meets no more references than it should, for what a centre writes is
its own record, closed to the sender, as its members may be; a sender cannot add what
it does not see.
"""

from hub.actor import Actor
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.grants import visible_to
from hub.fhir import references
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.restful.served import CASE_TYPES
from hub.store import resources as store

MEMBERSHIPS = ("Group", "List", "CareTeam")


def require_members(
    session: Session, actor: Actor, resource: Resource, before: Resource | None = None
) -> None:
    """Raise for a member that the actor does not see or that is of another case.

    What was there `before` was judged then. HUB-REST-016 for what is hidden, as for
    what is not there; HUB-REF-017 for another case. To be asked once everything that
    a transaction stores is stored: only then are its own entries of their cases.
    """
    kind = resource["resourceType"]
    known = {e["reference"] for _, e in references.walk(before)} if before else set()
    own = {case.id for case in cases.of_resource(session, kind, resource["id"])}
    visible = visible_to(actor)
    for path, element in references.walk(resource):
        target = references.split(element["reference"])
        if element["reference"] in known or target is None:
            continue
        if target[0] not in CASE_TYPES:
            continue
        here = f"{kind}.{path}.reference"
        found = store.read(session, *target, visible)
        if found is None or found.deleted:
            raise FhirError(issue("HUB-REST-016", here))
        member_of = {case.id for case in cases.of_resource(session, *target)}
        if own != member_of and not own & member_of:
            raise FhirError(issue("HUB-REF-017", here))
