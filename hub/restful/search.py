"""Searches of a type, the system or a compartment, by GET and POST.

The predicate stands before LIMIT; next links are signed.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.grants import visible_to
from hub.fhir import dates, search
from hub.fhir.outcome import FhirError, issue, operation_outcome
from hub.fhir.search import Member, Query
from hub.restful import answers, links
from hub.restful.answers import Answer
from hub.restful.call import (
    Call,
    pairs,
    require_form,
    require_interaction,
    require_scope,
)
from hub.restful.hub import Hub
from hub.restful.privacy import search_audit
from hub.restful.served import SERVED
from hub.restful.summary import is_part, require_summary, subset
from hub.restful.value_sets import find_codes
from hub.store.parameters import compartments
from hub.store.resources import Stored
from hub.store.search import Result
from hub.store.search import search as search_store


@dataclass(frozen=True, slots=True)
class Place:
    """Where is searched: the path below the base, and the types that are meant.

    `type` is "" when several types are; `every` are those meant without `_type`.
    """

    path: str
    type: str = ""
    within: Member | None = None
    every: tuple[str, ...] = ()

    @property
    def interaction(self) -> str:
        return "search-type" if self.path else "search-system"


def search_type(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T?… or POST /T/_search (parameters of both are merged)."""
    require_interaction(actor, "search-type", call.resource_type)
    return _search(hub, actor, call, Place(call.resource_type, call.resource_type))


def search_system(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /?_type=… or POST /_search: what the named types have in common."""
    return _search(hub, actor, call, Place(""))


def search_compartment(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /Patient/id/T?…, or every type of the compartment with `*`."""
    within = Member(call.path["type"], call.id)
    return _search(
        hub, actor, call, place_within(hub, actor, within, call.path["within"])
    )


def place_within(hub: Hub, actor: Actor, within: Member, wanted: str) -> Place:
    """One type, or with `*` every type, of a compartment; 404, 405, 403 as a search."""
    compartment = within.type
    path = f"{compartment}/{within.id}/{wanted}"
    types = compartments().get(compartment, {})
    if wanted == "*" and types:
        known = sorted(types.keys() & hub.declared.keys())
        every = tuple(name for name in known if actor.may("s", name))
        if not every:
            require_scope(actor, "s", "*")
        return Place(path, within=within, every=every)
    if wanted not in types or wanted not in hub.declared:
        raise FhirError(issue("HUB-REST-003"))
    require_interaction(actor, "search-type", wanted)
    return Place(path, wanted, within)


def _search(hub: Hub, actor: Actor, call: Call, place: Place) -> Answer:
    asked = [*call.query]
    if call.method == "POST":
        require_form(call)
        asked += pairs(call.body)
    with hub.database.transaction(write=False) as session:
        found = found_at(hub, session, actor, place, asked, lenient=call.is_lenient)
    return answers.of_json(found)


def found_at(
    hub: Hub,
    session: Session,
    actor: Actor,
    place: Place,
    asked: list[tuple[str, str]],
    *,
    lenient: bool = False,
) -> dict[str, Any]:
    """The answer to a search at a place, recorded in the audit log."""
    if place.type == "AuditEvent":
        return search_audit(hub, session, actor, asked)
    link = links.follow(hub, actor, place.path, asked)
    criteria, position = link or (asked, None)
    raw = [(name, value) for name, value in criteria]
    query = search.parse(
        place.type,
        raw,
        hub.declared,
        base_url=hub.base,
        lenient=lenient,
        value_sets=lambda url: find_codes(hub.knowledge.packages, url),
        within=place.within,
        every=place.every,
    )
    require_summary(query.summary, query.elements)
    for touched in search.types_touched(query) & SERVED.keys():
        require_scope(actor, "s", touched)
    result = search_store(
        session,
        place.type,
        query,
        visible_to(actor),
        after=position,
        # A reference to anything brings along nothing out of scope (G2, G3).
        includable=[name for name in hub.declared if actor.may("s", name)],
        default_count=hub.settings.page_size,
        max_count=hub.settings.max_page_size,
    )
    _record(session, actor, place, raw, result)
    return _bundle(hub, actor, place, query, result)


def _record(
    session: Session,
    actor: Actor,
    place: Place,
    asked: list[tuple[str, str]],
    result: Result,
) -> None:
    """One event per patient disclosed, one event when there is none (BALP).

    All that was asked is kept, what was not understood too; of a later page the
    question that its link stands for.
    """
    shown = [(s.type, s.id) for s in (*result.matches, *result.included)]
    patients = cases.patients_of(session, shown)
    patients |= {id for type_, id in shown if type_ == "Patient"}
    audit.record(
        session,
        actor,
        place.interaction,
        query=f"{place.path}?{urlencode(asked)}",
        patients=[f"Patient/{p}" for p in sorted(patients)],
        at=dates.now(),
    )


def _bundle(
    hub: Hub, actor: Actor, place: Place, query: Query, result: Result
) -> dict[str, Any]:
    here = f"{hub.base}/{place.path}"
    self_url = f"{here}?{urlencode(query.understood)}" if query.understood else here
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "self", "url": self_url}],
    }
    if result.total is not None:
        bundle["total"] = result.total
    if result.next is not None:
        bundle["link"].append(
            links.next_link(hub, actor, place.path, query.understood, result.next)
        )
    entries = [_entry(hub, s, "match", query) for s in result.matches]
    entries += [_entry(hub, s, "include", query) for s in result.included]
    if query.ignored:
        entries.append(_ignored(query))
    if entries:
        bundle["entry"] = entries
    return bundle


def _entry(hub: Hub, stored: Stored, mode: str, query: Query) -> dict[str, Any]:
    resource: Any = answers.embedded(stored.body)
    if is_part(query):
        resource = subset(stored.resource(), query.summary, query.elements)
    return {
        "fullUrl": f"{hub.base}/{stored.reference}",
        "resource": resource,
        "search": {"mode": mode},
    }


def _ignored(query: Query) -> dict[str, Any]:
    names = ", ".join(str(position) for position in query.ignored)
    found = issue("HUB-REST-023", severity="warning", positions=names)
    return {
        "resource": operation_outcome([found]),
        "search": {"mode": "outcome"},
    }
