"""Directory values as FHIR R4 resources, and back (IHE mCSD).

Organization, HealthcareService (a desk, with its jurisdiction rows as extensions),
OrganizationAffiliation (an agreement) and Endpoint hold everything, so what is
written by FHIR and what is imported from files are the same thing.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

from hub.directory.values import KINDS, Address, AgreementTerms, Organisation
from hub.fhir import canonical
from hub.fhir.json import Resource
from hub.routing import Desk, Row

PROGRAMME = f"{canonical.ROOT}/StructureDefinition/programme"
JURISDICTION = f"{canonical.ROOT}/StructureDefinition/jurisdiction"
AGREEMENT = f"{canonical.ROOT}/StructureDefinition/agreement"
AFFILIATION = canonical.code_system("affiliation")
CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_INSTITUTION_DIGITS = 10


def organization(value: Organisation) -> Resource:
    identifiers = [{"system": canonical.ORGANIZATION_ID, "value": value.code}]
    if len(value.code) == _INSTITUTION_DIGITS and value.code.isdigit():
        identifiers.append({"system": canonical.INSTITUTION_NO, "value": value.code})
    kind = {
        "system": canonical.ORGANIZATION_KIND,
        "code": value.kind,
        "display": KINDS[value.kind],
    }
    resource: Resource = {
        "resourceType": "Organization",
        "id": value.code,
        "identifier": identifiers,
        "active": value.active,
        "type": [{"coding": [kind]}],
        "name": value.name,
    }
    extensions: list[Resource] = [
        {"url": PROGRAMME, "valueCanonical": canonical.plan_definition(p)}
        for p in value.programmes
    ]
    if value.wording_version:
        extensions.append(
            {"url": canonical.WORDING_VERSION, "valueString": value.wording_version}
        )
    _put(resource, "extension", extensions)
    _put(resource, "telecom", _telecom(value.telephone))
    if value.municipality:
        resource["address"] = [{"extension": [_municipality(value.municipality)]}]
    return resource


def organisation_of(resource: Resource) -> Organisation:
    extensions = resource.get("extension", [])
    addresses = resource.get("address", [])
    return Organisation(
        code=resource["id"],
        name=resource.get("name", ""),
        kind=_code_of(resource.get("type", []), canonical.ORGANIZATION_KIND) or "",
        municipality=next((c for a in addresses if (c := municipality_of(a))), None),
        programmes=tuple(
            e["valueCanonical"].split("|")[0].rsplit("/", 1)[-1]
            for e in extensions
            if e.get("url") == PROGRAMME and "valueCanonical" in e
        ),
        wording_version=_value(extensions, canonical.WORDING_VERSION),
        telephone=_phone_of(resource),
        active=resource.get("active", True),
    )


def healthcare_service(
    desk: Desk, rows: Iterable[Row] = (), telephone: str | None = None
) -> Resource:
    resource: Resource = {
        "resourceType": "HealthcareService",
        "id": desk.id,
        "active": True,
        "providedBy": {"reference": f"Organization/{desk.organisation}"},
        "name": desk.name,
    }
    _put(resource, "extension", [_jurisdiction(row) for row in rows])
    _put(resource, "telecom", _telecom(telephone))
    return resource


def desk_of(resource: Resource) -> Desk:
    return Desk(
        id=resource["id"],
        name=resource.get("name", ""),
        organisation=_id(resource.get("providedBy")),
    )


def rows_of(resource: Resource) -> tuple[Row, ...]:
    """The jurisdiction rows a HealthcareService carries, in order."""
    desk = desk_of(resource)
    version = resource.get("meta", {}).get("versionId", "")
    found = [e for e in resource.get("extension", []) if e.get("url") == JURISDICTION]
    return tuple(_row(desk, e.get("extension", []), version) for e in found)


def affiliation(value: AgreementTerms) -> Resource:
    """An OrganizationAffiliation: the provider's agreement with its partner."""
    terms = (
        ("level", "valueCode", value.level),
        ("area", "valueCode", value.area),
        ("section", "valueString", value.section),
        ("contact", "valueString", value.contact),
        ("signer-role", "valueCode", value.signer_role),
        ("exception", "valueString", value.exception),
        ("version", "valueString", value.version),
    )
    resource: Resource = {
        "resourceType": "OrganizationAffiliation",
        "id": value.id,
        "extension": [{"url": AGREEMENT, "extension": _parts(terms)}],
        "active": value.active,
        "organization": {"reference": f"Organization/{value.provider}"},
        "participatingOrganization": {"reference": f"Organization/{value.partner}"},
        "code": [{"coding": [{"system": AFFILIATION, "code": "agreement"}]}],
        "healthcareService": [{"reference": f"HealthcareService/{value.desk}"}],
    }
    _put(resource, "period", _period(value.valid_from, value.valid_to))
    _put(resource, "telecom", _telecom(value.telephone))
    return resource


def is_agreement(resource: Resource) -> bool:
    return any(e.get("url") == AGREEMENT for e in resource.get("extension", []))


def agreement_of(resource: Resource) -> AgreementTerms:
    parts = next(
        e.get("extension", [])
        for e in resource["extension"]
        if e.get("url") == AGREEMENT
    )
    start, end = _days(resource.get("period"))
    desks = resource.get("healthcareService") or [None]
    return AgreementTerms(
        id=resource["id"],
        provider=_id(resource.get("organization")),
        partner=_id(resource.get("participatingOrganization")),
        level="prefecture"
        if _value(parts, "level") == "prefecture"
        else "municipality",
        area=_value(parts, "area") or "",
        desk=_id(desks[0]),
        section=_value(parts, "section"),
        contact=_value(parts, "contact"),
        telephone=_phone_of(resource),
        signer_role=_value(parts, "signer-role"),
        exception=_value(parts, "exception"),
        active=resource.get("active", False),
        valid_from=start,
        valid_to=end,
        version=_value(parts, "version")
        or resource.get("meta", {}).get("versionId", ""),
    )


def endpoint(value: Address) -> Resource:
    return {
        "resourceType": "Endpoint",
        "id": value.id,
        "status": "active" if value.active else "off",
        "connectionType": {"system": CONNECTION, "code": value.connection_type},
        "managingOrganization": {"reference": f"Organization/{value.organisation}"},
        "payloadType": [
            {"coding": [{"code": code}]} for code in value.payload_types or ("any",)
        ],
        "address": value.address,
    }


def address_of(resource: Resource) -> Address:
    codings = [c for p in resource.get("payloadType", []) for c in p.get("coding", [])]
    return Address(
        id=resource["id"],
        organisation=_id(resource.get("managingOrganization")),
        address=resource.get("address", ""),
        connection_type=resource.get("connectionType", {}).get("code", ""),
        active=resource.get("status") == "active",
        payload_types=tuple(c["code"] for c in codings if "code" in c),
    )


def municipality_of(address: Resource) -> str | None:
    """The code of the municipality extension on an Address, as it was written."""
    for extension in address.get("extension", []):
        if extension.get("url") == canonical.MUNICIPALITY:
            coding = extension.get("valueCoding", {})
            # The project's system, or none stated: another system's code is not one.
            if coding.get("system") in (None, canonical.MUNICIPALITY_CODES):
                code = coding.get("code")
                return code if isinstance(code, str) else None
    return None


def _municipality(code: str) -> Resource:
    coding = {"system": canonical.MUNICIPALITY_CODES, "code": code}
    return {"url": canonical.MUNICIPALITY, "valueCoding": coding}


def _jurisdiction(row: Row) -> Resource:
    parts = _parts(
        (
            ("relation", "valueCode", row.relation),
            ("confidence", "valueCode", row.confidence),
            ("version", "valueString", row.version),
        )
    )
    parts.insert(0, {**_municipality(row.municipality), "url": "municipality"})
    if row.confirmed:
        parts.append({"url": "confirmed", "valueBoolean": True})
    period = _period(row.valid_from, row.valid_to)
    if period:
        parts.append({"url": "period", "valuePeriod": period})
    parts += [{"url": "neighbourhood", "valueString": n} for n in row.neighbourhoods]
    return {"url": JURISDICTION, "extension": parts}


def _row(desk: Desk, parts: list[Resource], version: str) -> Row:
    start, end = _days(_value(parts, "period"))
    coding = _value(parts, "municipality") or {}
    municipality = coding.get("code", "")
    delegated = _value(parts, "relation") == "delegated"
    confidence = _value(parts, "confidence")
    return Row(
        id=f"{municipality}/{desk.id}" + (f"/{start}" if start else ""),
        municipality=municipality,
        desk=desk,
        relation="delegated" if delegated else "statutory",
        # What is not stated is not known: C.
        confidence=confidence if confidence in ("A", "B") else "C",
        valid_from=start,
        valid_to=end,
        neighbourhoods=tuple(
            p["valueString"] for p in parts if p.get("url") == "neighbourhood"
        ),
        confirmed=_value(parts, "confirmed") is True,
        version=_value(parts, "version") or version,
    )


def _parts(terms: Iterable[tuple[str, str, str | None]]) -> list[Resource]:
    return [{"url": url, kind: value} for url, kind, value in terms if value]


def _value(extensions: list[Resource], url: str) -> Any:
    for extension in extensions:
        if extension.get("url") == url:
            return next(
                (v for k, v in extension.items() if k.startswith("value")), None
            )
    return None


def _code_of(concepts: list[Resource], system: str) -> str | None:
    codings = (c for concept in concepts for c in concept.get("coding", []))
    return next((c.get("code") for c in codings if c.get("system") == system), None)


def _id(reference: Resource | None) -> str:
    return str((reference or {}).get("reference", "")).rsplit("/", 1)[-1]


def _telecom(telephone: str | None) -> list[Resource]:
    return [{"system": "phone", "value": telephone}] if telephone else []


def _phone_of(resource: Resource) -> str | None:
    telecom = resource.get("telecom", [])
    return next((t.get("value") for t in telecom if t.get("system") == "phone"), None)


def _period(start: date | None, end: date | None) -> Resource:
    days = (("start", start), ("end", end))
    return {key: day.isoformat() for key, day in days if day}


def _days(period: Resource | None) -> tuple[date | None, date | None]:
    period = period or {}
    return _day(period.get("start")), _day(period.get("end"))


def _day(text: str | None) -> date | None:
    # A dateTime's day is enough: rows change at midnight in Japan.
    return date.fromisoformat(text[:10]) if text else None


def _put(resource: Resource, key: str, value: Any) -> None:
    # FHIR knows no empty arrays or objects.
    if value:
        resource[key] = value
