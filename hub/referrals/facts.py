"""Gather what routing needs to know from a submission and the directory."""

from collections.abc import Iterator
from datetime import date

from hub.directory.address import Resolved, resolve
from hub.directory.ask import Directory
from hub.directory.resources import municipality_of
from hub.directory.values import Organisation
from hub.fhir import canonical
from hub.fhir.json import Resource
from hub.routing import Agreement, Desk, Facts, Row, Rule, Source

# An old or temporary address says less about where the person lives now.
_USES = ("home", None, "temp", "billing", "work")


def gather(
    directory: Directory,
    rule: Rule,
    source: Organisation,
    patient: Resource,
    service_request: Resource | None,
    on: date,
    *,
    held_by: str | None = None,
    left: frozenset[str] = frozenset(),
) -> tuple[Facts, Resolved]:
    """The facts of a referral, and how its address was read.

    `patient` is a Patient, `service_request` its ServiceRequest (None: nothing is
    wished for); `held_by` and `left` are the desk that holds the case and those
    that passed it on. The Resolved carries the warnings about the address.
    """
    residence = residence_of(directory, source, patient)
    request = service_request or {}
    return (
        Facts(
            on=on,
            source=Source(source.code, source.name, source.kind, source.municipality),
            municipality=residence.municipality,
            prefecture=residence.prefecture,
            candidates=residence.candidates,
            locality=residence.locality,
            wishes_nearest=wishes_nearest(request),
            rows=_rows(directory, rule, source.municipality, residence.municipality),
            agreements=_agreements(directory, rule, source, residence),
            desks=_desks(directory, rule),
            topics=frozenset(code for _, code in codings(request)),
            held_by=held_by,
            left=left,
        ),
        residence,
    )


def residence_of(
    directory: Directory, source: Organisation, patient: Resource
) -> Resolved:
    """The municipality of the Patient's present home address.

    A municipality extension wins over the text, the text over the postal code.
    """
    address = _home(patient)
    home = source.municipality[:2] if source.municipality else None
    return resolve(
        directory.gazetteer,
        _text(address),
        address.get("postalCode"),
        home=home,
        code=municipality_of(address),
    )


def wishes_nearest(service_request: Resource) -> bool:
    """KG-12, D-09: True only for an explicit true; doubt is no wish."""
    return any(
        e.get("url") == canonical.NEAREST_CENTRE and e.get("valueBoolean") is True
        for e in service_request.get("extension", [])
    )


def codings(service_request: Resource) -> Iterator[tuple[str, str]]:
    """(system, code) of every reason and category of a ServiceRequest."""
    for concept in (
        *service_request.get("reasonCode", []),
        *service_request.get("category", []),
    ):
        for coding in concept.get("coding", []):
            yield coding.get("system", ""), coding.get("code", "")


def _rows(
    directory: Directory, rule: Rule, *municipalities: str | None
) -> tuple[Row, ...]:
    # Only what the rule reads: each question is a query of the write path.
    if rule.kind != "source-jurisdiction":
        return ()
    areas = sorted({m for m in municipalities if m})
    return tuple(row for area in areas for row in directory.jurisdictions(area))


def _agreements(
    directory: Directory, rule: Rule, source: Organisation, residence: Resolved
) -> tuple[Agreement, ...]:
    area = residence.municipality or residence.prefecture
    if rule.kind != "residence-with-agreement" or area is None:
        return ()
    return directory.agreements(area, source.code)


def _desks(directory: Directory, rule: Rule) -> dict[str, Desk]:
    named = {*(s.desk for s in rule.sections), *rule.districts.values(), *rule.layers}
    found = {id_: directory.desk(id_) for id_ in sorted(named)}
    return {id_: desk for id_, desk in found.items() if desk is not None}


def _home(patient: Resource) -> Resource:
    addresses: list[Resource] = [
        a for a in patient.get("address", []) if a.get("use") != "old"
    ]
    ranked = sorted(addresses, key=lambda a: _rank(a.get("use")))
    return ranked[0] if ranked else {}


def _rank(use: str | None) -> int:
    return _USES.index(use) if use in _USES else len(_USES)


def _text(address: Resource) -> str:
    """The whole text; else state, city and line joined (JP Core address rules)."""
    text = address.get("text")
    if isinstance(text, str) and text.strip():
        return text
    parts = (address.get("state"), address.get("city"), *address.get("line", []))
    return "".join(p for p in parts if isinstance(p, str))
