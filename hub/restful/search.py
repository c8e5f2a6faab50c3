"""search-type by GET and POST: the predicate before LIMIT, signed next links."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.grants import visible_to
from hub.fhir import dates, search
from hub.fhir.json import decode
from hub.fhir.outcome import FhirError, issue, operation_outcome
from hub.fhir.search import Query
from hub.restful import answers
from hub.restful.answers import Answer
from hub.restful.call import Call, pairs, require_interaction, require_scope
from hub.restful.hub import Hub
from hub.restful.privacy import search_audit
from hub.store.resources import Stored
from hub.store.search import Result
from hub.store.search import search as search_store

_LINK_SECONDS = 3600
_CURSOR = "_page"
_SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}


def search_type(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T?… or POST /T/_search (parameters of both are merged)."""
    require_interaction(actor, "search-type", call.resource_type)
    asked = [*call.query]
    if call.method == "POST":
        asked += pairs(call.body)
    if call.resource_type == "AuditEvent":
        return search_audit(hub, actor, asked)
    cursor, asked = _cursor(hub, actor, call, asked)
    query = search.parse(
        call.resource_type,
        asked,
        hub.declared,
        base_url=hub.base,
        lenient=call.is_lenient,
    )
    with hub.database.transaction(write=False) as session:
        bundle = run_search(hub, session, actor, call.resource_type, query, cursor)
    return answers.of_json(bundle)


def run_search(
    hub: Hub,
    session: Session,
    actor: Actor,
    resource_type: str,
    query: Query,
    after: Any = None,
) -> dict[str, Any]:
    """Search in the caller's transaction, audit it, and make the searchset."""
    for touched in search.types_touched(query):
        require_scope(actor, "s", touched)
    result = search_store(
        session,
        resource_type,
        query,
        visible_to(actor),
        after=after,
        default_count=hub.settings.page_size,
        max_count=hub.settings.max_page_size,
    )
    _record(session, actor, resource_type, query, result)
    return _bundle(hub, actor, resource_type, query, result)


def _record(
    session: Session, actor: Actor, resource_type: str, query: Query, result: Result
) -> None:
    """One event per patient disclosed, one event when there is none (BALP)."""
    shown = [*result.matches, *result.included]
    patients = sorted({p for s in shown for p in _patients(session, s)})
    asked = f"{resource_type}?{urlencode(query.understood)}"
    audit.record(
        session,
        actor,
        "search-type",
        query=asked,
        patients=[f"Patient/{p}" for p in patients],
        at=dates.now(),
    )


def _patients(session: Session, stored: Stored) -> list[str]:
    return [c.patient for c in cases.of_resource(session, stored.type, stored.id)]


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
        token = _sign(hub, actor, resource_type, query, result.next)
        bundle["link"].append(
            {"relation": "next", "url": f"{here}?{urlencode({_CURSOR: token})}"}
        )
    entries = [_entry(hub, s, "match", query) for s in result.matches]
    entries += [_entry(hub, s, "include", query) for s in result.included]
    if query.ignored:
        entries.append(_ignored(query))
    if entries:
        bundle["entry"] = entries
    return bundle


def subset(resource: dict[str, Any], query: Query) -> dict[str, Any]:
    """The elements asked for by `_elements`, marked SUBSETTED; whole otherwise."""
    if not query.elements:
        return resource
    kept = {"resourceType", "id", "meta", *query.elements}
    short = {k: v for k, v in resource.items() if k in kept or k.lstrip("_") in kept}
    tags = [*short["meta"].get("tag", ()), _SUBSETTED]
    return {**short, "meta": {**short["meta"], "tag": tags}}


def _entry(hub: Hub, stored: Stored, mode: str, query: Query) -> dict[str, Any]:
    return {
        "fullUrl": f"{hub.base}/{stored.reference}",
        "resource": subset(decode(stored.body), query),
        "search": {"mode": mode},
    }


def _ignored(query: Query) -> dict[str, Any]:
    names = ", ".join(str(position) for position in query.ignored)
    found = issue("HUB-REST-023", severity="warning", positions=names)
    return {
        "resource": operation_outcome([found]),
        "search": {"mode": "outcome"},
    }


def _sign(
    hub: Hub, actor: Actor, resource_type: str, query: Query, position: Any
) -> str:
    """Sort position, criteria and actor, signed: foreign and stale links are 404."""
    body = json.dumps(
        {
            "t": resource_type,
            "q": query.understood,
            "p": position,
            "o": actor.client_id,
            "e": int(time.time()) + _LINK_SECONDS,
        }
    ).encode()
    mac = hmac.new(hub.link_key, body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac + body).decode().rstrip("=")


def _cursor(
    hub: Hub, actor: Actor, call: Call, asked: list[tuple[str, str]]
) -> tuple[Any, list[tuple[str, str]]]:
    token = next((value for name, value in asked if name == _CURSOR), None)
    if token is None:
        return None, asked
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        mac, body = raw[:32], raw[32:]
        good = hmac.compare_digest(
            mac, hmac.new(hub.link_key, body, hashlib.sha256).digest()
        )
        link = json.loads(body) if good else {}
    except ValueError:
        link = {}
    if (
        link.get("t") != call.resource_type
        or link.get("o") != actor.client_id
        or link.get("e", 0) < time.time()
    ):
        raise FhirError(issue("HUB-REST-001"))
    return link["p"], [(name, value) for name, value in link["q"]]
