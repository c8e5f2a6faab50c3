"""AuditEvent search for privacy officers: by person, organisation, time, action."""

from datetime import datetime
from typing import Any

from hub import audit
from hub.actor import Actor
from hub.consent.read import moment
from hub.fhir import dates
from hub.fhir.json import decode
from hub.fhir.outcome import FhirError, issue
from hub.restful import answers
from hub.restful.answers import Answer
from hub.restful.hub import Hub

PARAMETERS = ("patient", "agent", "action", "date", "_count")


def search_audit(hub: Hub, actor: Actor, asked: list[tuple[str, str]]) -> Answer:
    """The log, newest first; for the privacy role only, itself recorded."""
    if "privacy" not in actor.roles:
        raise FhirError(issue("HUB-AUTH-003", scope="system/AuditEvent.s"))
    criteria: dict[str, Any] = {}
    limit = hub.settings.page_size
    for position, (name, value) in enumerate(asked, 1):
        if name not in PARAMETERS:
            raise FhirError(issue("HUB-SEARCH-001", position=position))
        if name == "_count":
            limit = _count(value, position, hub.settings.max_page_size)
        elif name == "date":
            criteria.update(_date(value, position))
        else:
            criteria["organisation" if name == "agent" else name] = value
    with hub.database.transaction(write=False) as session:
        found = audit.find(session, **criteria, limit=limit)
        total = audit.count(session, **criteria)
        audit.record(session, actor, "search-type", query="AuditEvent", at=dates.now())
    entries = [
        {
            "fullUrl": f"{hub.base}/AuditEvent/{entry.id}",
            "resource": decode(entry.body),
            "search": {"mode": "match"},
        }
        for entry in found
    ]
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": total,
        "link": [{"relation": "self", "url": f"{hub.base}/AuditEvent"}],
    }
    if entries:
        bundle["entry"] = entries
    return answers.of_json(bundle)


def _count(value: str, position: int, most: int) -> int:
    if not value.isdecimal():
        raise FhirError(issue("HUB-SEARCH-002", position=position))
    return min(int(value), most)


def _date(value: str, position: int) -> dict[str, int]:
    prefix, rest = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    try:
        low, high = moment(rest, end=False), moment(rest, end=True)
    except ValueError:
        low = high = None
    if low is None or high is None:
        raise FhirError(issue("HUB-SEARCH-002", position=position))
    bounds: dict[str, dict[str, datetime]] = {
        "eq": {"since": low, "until": high},
        "ge": {"since": low},
        "gt": {"since": high},
        "lt": {"until": low},
        "le": {"until": high},
    }
    if prefix not in bounds:
        raise FhirError(issue("HUB-SEARCH-002", position=position))
    return {name: dates.micros(at) for name, at in bounds[prefix].items()}
