"""AuditEvent read and search for privacy officers: by person, organisation, time."""

from typing import Any
from urllib.parse import urlencode

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.fhir import dates
from hub.fhir.outcome import FhirError, issue
from hub.fhir.search import TRANSPORT
from hub.fhir.search_values import date_range
from hub.restful import answers, links
from hub.restful.answers import Answer
from hub.restful.hub import Hub

# Name and type, as declared.
PARAMETERS = {
    "patient": "reference",
    "agent": "reference",
    "action": "token",
    "date": "date",
}
_ACTIONS = ("C", "R", "U", "D", "E")
_LONGEST = 9  # digits of a count


def read_audit(session: Session, actor: Actor, id: str) -> Answer:
    """One event; 404 but for the privacy role, as for an unknown id."""
    body = audit.read(session, id)
    if body is None or "privacy" not in actor.roles:
        raise FhirError(issue("HUB-REST-001"))
    audit.record(session, actor, "read", targets=[f"AuditEvent/{id}"], at=dates.now())
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
    before = tuple(position) if position else None
    query = f"AuditEvent?{urlencode(understood)}"
    found = audit.find(session, **criteria, before=before, limit=limit + 1)
    total = audit.count(session, **criteria)
    audit.record(session, actor, "search-type", query=query, at=dates.now())
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": total,
        "link": [{"relation": "self", "url": f"{hub.base}/{query.rstrip('?')}"}],
    }
    shown = found[:limit]
    if shown and len(found) > limit:
        place = (shown[-1].recorded, shown[-1].id)
        bundle["link"].append(
            links.next_link(hub, actor, "AuditEvent", understood, place)
        )
    if shown:
        bundle["entry"] = [_entry(hub, one) for one in shown]
    return bundle


def _entry(hub: Hub, entry: audit.Entry) -> dict[str, Any]:
    return {
        "fullUrl": f"{hub.base}/AuditEvent/{entry.id}",
        "resource": answers.embedded(entry.body),
        "search": {"mode": "match"},
    }


def _criteria(hub: Hub, asked: list[tuple[str, str]]) -> tuple[dict[str, Any], int]:
    """What `audit.find` is asked, and the page size; a date may come twice."""
    criteria: dict[str, Any] = {}
    limit = hub.settings.page_size
    for position, (name, value) in enumerate(asked, 1):
        if name == "_count":
            limit = _count(value, hub.settings.max_page_size)
            continue
        if name not in PARAMETERS:
            raise FhirError(issue("HUB-SEARCH-001", position=position))
        found = _one(name, value)
        if criteria.keys() & found.keys():
            # Both would have to hold; the log cannot be asked that.
            raise FhirError(issue("HUB-SEARCH-003", name=name))
        criteria |= found
    return criteria, limit


def _one(name: str, value: str) -> dict[str, Any]:
    if name == "date":
        return _date(value)
    kind = {"patient": "Patient/", "agent": "Organization/"}.get(name)
    wrong = name == "action" and value not in _ACTIONS
    if kind and "/" in value:
        wrong = not value.startswith(kind)
    if wrong or not value or "," in value:
        raise FhirError(issue("HUB-SEARCH-002", parameter=name))
    return {"organisation" if name == "agent" else name: value}


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
