"""search-type by GET and POST: the predicate before LIMIT, signed next links."""

from typing import Any
from urllib.parse import urlencode

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.grants import visible_to
from hub.fhir import dates, search
from hub.fhir.outcome import issue, operation_outcome
from hub.fhir.search import Query
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
from hub.store.resources import Stored
from hub.store.search import Result
from hub.store.search import search as search_store


def search_type(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T?… or POST /T/_search (parameters of both are merged)."""
    require_interaction(actor, "search-type", call.resource_type)
    asked = [*call.query]
    if call.method == "POST":
        require_form(call)
        asked += pairs(call.body)
    with hub.database.transaction(write=False) as session:
        found = searchset(
            hub, session, actor, call.resource_type, asked, lenient=call.is_lenient
        )
    return answers.of_json(found)


def searchset(
    hub: Hub,
    session: Session,
    actor: Actor,
    resource_type: str,
    asked: list[tuple[str, str]],
    *,
    lenient: bool = False,
) -> dict[str, Any]:
    """The answer to a search, recorded in the audit log."""
    if resource_type == "AuditEvent":
        return search_audit(hub, session, actor, asked)
    link = links.follow(hub, actor, resource_type, asked)
    criteria, position = link or (asked, None)
    query = search.parse(
        resource_type,
        [(name, value) for name, value in criteria],
        hub.declared,
        base_url=hub.base,
        lenient=lenient,
    )
    require_summary(query.summary, query.elements)
    for touched in search.types_touched(query) & SERVED.keys():
        require_scope(actor, "s", touched)
    result = search_store(
        session,
        resource_type,
        query,
        visible_to(actor),
        after=position,
        # A reference to anything brings along nothing out of scope (G2, G3).
        includable=[name for name in SERVED if actor.may("s", name)],
        default_count=hub.settings.page_size,
        max_count=hub.settings.max_page_size,
    )
    _record(session, actor, resource_type, query, result)
    return _bundle(hub, actor, resource_type, query, result)


def _record(
    session: Session, actor: Actor, resource_type: str, query: Query, result: Result
) -> None:
    """One event per patient disclosed, one event when there is none (BALP)."""
    shown = [(s.type, s.id) for s in (*result.matches, *result.included)]
    patients = cases.patients_of(session, shown)
    patients |= {id for type_, id in shown if type_ == "Patient"}
    asked = f"{resource_type}?{urlencode(query.understood)}"
    audit.record(
        session,
        actor,
        "search-type",
        query=asked,
        patients=[f"Patient/{p}" for p in sorted(patients)],
        at=dates.now(),
    )


def _bundle(
    hub: Hub, actor: Actor, resource_type: str, query: Query, result: Result
) -> dict[str, Any]:
    here = f"{hub.base}/{resource_type}"
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
            links.next_link(hub, actor, resource_type, query.understood, result.next)
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
