"""Keep the side tables true to the directory resources as they are written."""

from datetime import date
from typing import Any

from sqlalchemy import delete, insert

from hub.database import Session
from hub.directory import resources, rules, tables
from hub.fhir.json import Resource
from hub.fhir.outcome import require_none
from hub.routing import Row


def index(session: Session, resource: Resource) -> None:
    """Replace the side rows of one directory resource; other types are ignored.

    `resource` carries its id. To be called in the transaction that stores it, on
    create and on update alike. Raises FhirError HUB-DIR-007, -008, -013 (422).
    """
    resource_type = resource["resourceType"]
    if resource_type not in rules.TYPES:
        return
    require_none(rules.check(resource))
    unindex(session, resource_type, resource["id"])
    for table, rows in _rows(resource):
        if rows:
            session.execute(insert(table), rows)


def unindex(session: Session, resource_type: str, id: str) -> None:
    """Forget a deleted directory resource."""
    if resource_type == "HealthcareService":
        owned = tables.jurisdictions
        session.execute(delete(owned).where(owned.c.desk == id))
    table = _TABLES.get(resource_type)
    if table is not None:
        session.execute(delete(table).where(table.c.id == id))


_TABLES = {
    "Organization": tables.organisations,
    "HealthcareService": tables.desks,
    "OrganizationAffiliation": tables.agreements,
    "Endpoint": tables.endpoints,
}


def _rows(resource: Resource) -> list[tuple[Any, list[dict[str, Any]]]]:
    match resource["resourceType"]:
        case "Organization":
            return [(tables.organisations, [_organisation(resource)])]
        case "HealthcareService":
            rows = resources.rows_of(resource)
            return [
                (tables.desks, [_desk(resource)]),
                (tables.jurisdictions, [_row(n, r) for n, r in enumerate(rows)]),
            ]
        case "Endpoint":
            return [(tables.endpoints, [_endpoint(resource)])]
        case _ if resources.is_agreement(resource):
            return [(tables.agreements, [_agreement(resource)])]
    return []


def _organisation(resource: Resource) -> dict[str, Any]:
    value = resources.organisation_of(resource)
    return {
        "id": value.code,
        "name": value.name,
        "kind": value.kind,
        "municipality": value.municipality,
        "programmes": " ".join(value.programmes),
        "wording_version": value.wording_version,
        "telephone": value.telephone,
        "active": int(value.active),
    }


def _desk(resource: Resource) -> dict[str, Any]:
    value = resources.desk_of(resource)
    return {
        "id": value.id,
        "organisation": value.organisation,
        "name": value.name,
        "active": int(resource.get("active", True)),
    }


def _row(number: int, row: Row) -> dict[str, Any]:
    return {
        "desk": row.desk.id,
        "number": number,
        "id": row.id,
        "municipality": row.municipality,
        "relation": row.relation,
        "confidence": row.confidence,
        "valid_from": _iso(row.valid_from),
        "valid_to": _iso(row.valid_to),
        "neighbourhoods": " ".join(row.neighbourhoods),
        "confirmed": int(row.confirmed),
        "version": row.version,
    }


def _agreement(resource: Resource) -> dict[str, Any]:
    terms = resources.agreement_of(resource)
    columns = [c.name for c in tables.agreements.columns]
    row = {name: getattr(terms, name) for name in columns}
    row["active"] = int(terms.active)
    row["valid_from"] = _iso(terms.valid_from)
    row["valid_to"] = _iso(terms.valid_to)
    return row


def _endpoint(resource: Resource) -> dict[str, Any]:
    value = resources.address_of(resource)
    return {
        "id": value.id,
        "organisation": value.organisation,
        "address": value.address,
        "connection_type": value.connection_type,
        "active": int(value.active),
        "payload_types": " ".join(value.payload_types),
    }


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
