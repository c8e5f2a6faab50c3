"""Conditional matches: in the caller's view only, at most one (rest.md §4)."""

import re

from hub.actor import Actor
from hub.database import Session
from hub.disclosure.grants import visible_to
from hub.fhir import search
from hub.fhir.outcome import FhirError, issue
from hub.fhir.search import TRANSPORT, Query
from hub.restful.call import Pairs, pairs, require_interaction, require_scope
from hub.restful.hub import Hub
from hub.restful.served import SERVED
from hub.restful.value_sets import find_codes
from hub.store.resources import Stored
from hub.store.search import match

_URL = re.compile(rb"(?:([A-Z][A-Za-z]{1,63}))?\?")


def criteria(hub: Hub, actor: Actor, resource_type: str, asked: Pairs) -> Query:
    """Criteria as a query: 400 without any, 403 for a type the caller may not search.

    405 for a type that has no search. What may be searched with a chain needs a scope
    of its own (G3).
    """
    require_interaction(actor, "search-type", resource_type)
    wanted = [(name, value) for name, value in asked if name not in TRANSPORT]
    query = search.conditional(
        resource_type,
        wanted,
        hub.declared,
        base_url=hub.base,
        value_sets=lambda url: find_codes(hub.knowledge.packages, url),
    )
    for touched in search.types_touched(query) & SERVED.keys():
        require_scope(actor, "s", touched)
    return query


def header_criteria(hub: Hub, actor: Actor, resource_type: str, raw: bytes) -> Query:
    """Criteria of If-None-Exist: `a=b`, `?a=b` or `Type?a=b`."""
    named = _URL.match(raw)
    if named and named[1] not in (None, resource_type.encode()):
        raise FhirError(issue("HUB-REST-018", name="If-None-Exist"))
    asked = pairs(raw[named.end() :] if named else raw)
    return criteria(hub, actor, resource_type, asked)


def find_one(
    session: Session, actor: Actor, resource_type: str, query: Query
) -> Stored | None:
    """The one visible match, None when there is none; 412 when there are more."""
    found = match(session, resource_type, query, visible_to(actor))
    if len(found) > 1:
        raise FhirError(issue("HUB-REST-012"))
    return found[0] if found else None
