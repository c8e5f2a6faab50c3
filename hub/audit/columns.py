"""What the search columns of a row say, taken from its sealed body alone.

The writer knows the same without parsing; the migration that added columns and
`verify` read it from here.
"""

from typing import Any

from hub.audit.event import CLIENT_ID
from hub.audit.kinds import DESTINATION, EXPORT, IMPORT, ORGANISATION_ROLE, SOURCE

SEARCHED = (
    "patient",
    "organisation",
    "client",
    "entity",
    "action",
    "type",
    "subtype",
    "outcome",
)


def columns(event: dict[str, Any]) -> dict[str, str | None]:
    """Column by column, `id` too, of an AuditEvent that this hub has written.

    Raises LookupError, TypeError or AttributeError for anything else.
    """
    return {
        "id": event["id"],
        "patient": _patient(event),
        "organisation": _organisation(event),
        "client": _client(event),
        "entity": _entity(event),
        "action": event["action"],
        "type": event["type"]["code"],
        "subtype": event["subtype"][0]["code"],
        "outcome": event["outcome"],
    }


def unversioned(target: str) -> str:
    """`Task/1` of `Task/1/_history/2`."""
    return target.partition("/_history/")[0]


def _patient(event: dict[str, Any]) -> str | None:
    references = (e["what"]["reference"] for e in _entities(event) if _is_patient(e))
    return next(references, None)


def _entity(event: dict[str, Any]) -> str | None:
    named = (
        unversioned(e["what"]["reference"])
        for e in _entities(event)
        if not _is_patient(e) and "reference" in e.get("what", {})
    )
    return next(named, None)


def _entities(event: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = event.get("entity", [])
    return found


def _is_patient(entity: dict[str, Any]) -> bool:
    return bool(entity.get("role", {}).get("code") == "1")


def _client(event: dict[str, Any]) -> str | None:
    identifiers = (agent["who"].get("identifier", {}) for agent in event["agent"])
    return next((i["value"] for i in identifiers if i.get("system") == CLIENT_ID), None)


def _organisation(event: dict[str, Any]) -> str | None:
    peer = {EXPORT: DESTINATION, IMPORT: SOURCE}.get(
        event["type"]["code"], ORGANISATION_ROLE
    )
    references = (
        agent["who"]["reference"]
        for agent in event["agent"]
        if agent["type"]["coding"][0]["code"] == peer
    )
    return next((r.rpartition("/")[2] for r in references), None)
