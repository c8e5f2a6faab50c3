"""AuditEvent read and search for privacy officers.

Whose rows: the hub's own officer (a client of role `privacy` of the hub's own
organisation) sees the whole log; an organisation's officer sees what its own clients
did and what anybody did with the persons that it referred. Everything else is as if it
were not there: same totals, pages and bytes.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import orjson

from hub import audit
from hub.actor import Actor
from hub.audit.event import CLIENT_ID
from hub.audit.kinds import KINDS
from hub.audit.search import Seen
from hub.database import Session
from hub.disclosure import cases
from hub.fhir import dates
from hub.fhir.outcome import FhirError, issue
from hub.fhir.references import split
from hub.fhir.search import TRANSPORT
from hub.fhir.search_values import date_range
from hub.restful import answers, links
from hub.restful.answers import Answer
from hub.restful.hub import Hub

# Name and type, as declared.
PARAMETERS = {
    "patient": "reference",
    "agent": "reference",
    "entity": "reference",
    "action": "token",
    "outcome": "token",
    "type": "token",
    "subtype": "token",
    "date": "date",
}
# The OAuth client, by the identifier of its agent.
_CLIENT = "agent:identifier"
_COLUMN = {"agent": "organisation", _CLIENT: "client"}
_KINDS = {"patient": "Patient", "agent": "Organization"}
_CODES = {
    "action": ("C", "R", "U", "D", "E"),
    "outcome": ("0", "4", "8", "12"),
}
_SYSTEMS = {
    "action": "http://hl7.org/fhir/audit-event-action",
    "outcome": "http://hl7.org/fhir/audit-event-outcome",
    _CLIENT: CLIENT_ID,
}
_NOTHING = ""  # no column holds it
_LONGEST = 9  # digits of a count
_MOST = 20  # values of one parameter


def read_audit(hub: Hub, session: Session, actor: Actor, id: str) -> Answer:
    """One event; 404 but for the officer whose row it is, as for an unknown id."""
    is_officer = "privacy" in actor.roles
    body = audit.read(session, id, _seen(hub, actor)) if is_officer else None
    if body is None:
        raise FhirError(issue("HUB-REST-001"))
    target = f"AuditEvent/{id}"
    patients = _patients([body])
    audit.record(
        session, actor, "read", targets=[target], patients=patients, at=dates.now()
    )
    # The log is never changed: there is one version.
    return Answer(200, body, {"ETag": 'W/"1"'})


def search_audit(
    hub: Hub, session: Session, actor: Actor, asked: list[tuple[str, str]]
) -> dict[str, Any]:
    """The log, newest first; for the privacy role only, itself recorded."""
    if "privacy" not in actor.roles:
        raise FhirError(issue("HUB-AUTH-003", scope="system/AuditEvent.s"))
    link = links.follow(hub, actor, "AuditEvent", asked)
    given, position = link or (asked, None)
    understood = [(name, value) for name, value in given if name not in TRANSPORT]
    criteria, limit = _criteria(hub, understood)
    criteria = _with_attempts(hub, session, actor, criteria)
    before = tuple(position) if position else None
    query = f"AuditEvent?{urlencode(understood)}"
    seen = _seen(hub, actor)
    found = audit.find(session, criteria, seen=seen, before=before, limit=limit + 1)
    total = audit.count(session, criteria, seen=seen)
    shown = found[:limit]
    patients = _patients([one.body for one in shown])
    audit.record(
        session, actor, "search-type", query=query, patients=patients, at=dates.now()
    )
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": total,
        "link": [{"relation": "self", "url": f"{hub.base}/{query.rstrip('?')}"}],
    }
    if shown and len(found) > limit:
        place = (shown[-1].recorded, shown[-1].id)
        bundle["link"].append(
            links.next_link(hub, actor, "AuditEvent", understood, place)
        )
    if shown:
        bundle["entry"] = [_entry(hub, one) for one in shown]
    return bundle


def _seen(hub: Hub, actor: Actor) -> Seen:
    own = _own(hub, actor)
    if own is None:
        return None
    return audit.OwnRows(own, cases.patients_from(own), cases.resources_from(own))


def _own(hub: Hub, actor: Actor) -> str | None:
    """Whose rows alone an officer sees; None for the hub's own officer."""
    is_hubs = actor.organisation == hub.settings.organization
    return None if is_hubs else actor.organisation


def _with_attempts(
    hub: Hub, session: Session, actor: Actor, asked: audit.Criteria
) -> audit.Criteria:
    """Asked by person: refused attempts at that person's resources too.

    Only of one's own cases: else an officer would learn whose a hidden resource is
    that its own client was refused.
    """
    if not asked.patient:
        return asked
    ids = [reference.partition("/")[2] for reference in asked.patient]
    found = cases.resources_about(session, ids, _own(hub, actor))
    return replace(asked, attempts=tuple(found))


def _patients(bodies: list[bytes]) -> list[str]:
    """Whom the rows shown are about: a row alone says that somebody was in a crisis."""
    found = {
        entity["what"]["reference"]
        for body in bodies
        for entity in orjson.loads(body).get("entity", ())
        if entity.get("role", {}).get("code") == "1"
    }
    return sorted(found)


def _entry(hub: Hub, entry: audit.Entry) -> dict[str, Any]:
    return {
        "fullUrl": f"{hub.base}/AuditEvent/{entry.id}",
        "resource": answers.embedded(entry.body),
        "search": {"mode": "match"},
    }


def _criteria(hub: Hub, asked: list[tuple[str, str]]) -> tuple[audit.Criteria, int]:
    """What `audit.find` is asked, and the page size; a date may come twice."""
    criteria: dict[str, Any] = {}
    limit = hub.settings.page_size
    for position, (name, value) in enumerate(asked, 1):
        if name == "_count":
            limit = _count(value, hub.settings.max_page_size)
            continue
        if name not in PARAMETERS and name != _CLIENT:
            raise FhirError(issue("HUB-SEARCH-001", position=position))
        found = _date(value) if name == "date" else _values(name, value)
        if criteria.keys() & found.keys():
            # Both would have to hold; the log cannot be asked that.
            raise FhirError(issue("HUB-SEARCH-003", name=name))
        criteria |= found
    return audit.Criteria(**criteria), limit


def _values(name: str, text: str) -> dict[str, tuple[str, ...]]:
    """Values parted by commas, any of which may hold."""
    parts = text.split(",")
    read: Callable[[str], str | None] = (
        (lambda one: _reference(name, one))
        if PARAMETERS.get(name) == "reference"
        else (lambda one: _code(name, one))
    )
    values = [read(one) for one in parts] if len(parts) <= _MOST else [None]
    known = tuple(value for value in values if value is not None)
    if len(known) < len(values):
        raise FhirError(issue("HUB-SEARCH-002", parameter=name))
    return {_COLUMN.get(name, name): known}


def _reference(name: str, text: str) -> str | None:
    """As it stands in its column; None when it is not of the parameter's type."""
    kind = _KINDS.get(name)
    if kind and text and "/" not in text:
        text = f"{kind}/{text}"
    found = split(text)
    if found is None or (kind is not None and found[0] != kind):
        return None
    return found[1] if name == "agent" else f"{found[0]}/{found[1]}"


def _code(name: str, text: str) -> str | None:
    """The code of a token, nothing that is there for a code of another system."""
    system, bar, code = text.rpartition("|")
    if not code or code not in _CODES.get(name, (code,)):
        return None
    return code if not bar or _is_of(name, system, code) else _NOTHING


def _is_of(name: str, system: str, code: str) -> bool:
    if name in _SYSTEMS:
        return system == _SYSTEMS[name]
    written = (getattr(kind, name) for kind in KINDS.values())
    return {"system": system, "code": code} in written


def _count(value: str, most: int) -> int:
    if not (value.isascii() and value.isdecimal()) or len(value) > _LONGEST:
        raise FhirError(issue("HUB-SEARCH-008", parameter="_count"))
    return min(int(value), most)


def _date(value: str) -> dict[str, int]:
    prefix, rest = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    try:
        low, high = date_range(rest)
    except ValueError:
        raise FhirError(issue("HUB-SEARCH-002", parameter="date")) from None
    bounds = {
        "eq": {"since": low, "until": high},
        "ge": {"since": low},
        "gt": {"since": high},
        "lt": {"until": low},
        "le": {"until": high},
    }
    if prefix not in bounds:
        raise FhirError(issue("HUB-SEARCH-002", parameter="date"))
    return bounds[prefix]
