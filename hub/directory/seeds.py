"""Read a directory folder (profiles/directory) into FHIR resources.

Files: organizations.csv, health_centres.csv, jurisdictions.csv, desks.csv,
agreements.csv, endpoints.csv (all but the first optional), directory.toml
(version). A fault names file, row and column (HUB-DIR-001…009).
"""

import tomllib
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hub.directory import resources, rules
from hub.directory.fold import fold
from hub.directory.gazetteer import Gazetteer, read_gazetteer
from hub.directory.sheet import Line, read_sheet
from hub.directory.values import KINDS, Address, AgreementTerms, Organisation
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue, require_none
from hub.routing import Desk, Row

if TYPE_CHECKING:
    from hub.routing.facts import Confidence, Relation

DEFAULT = Path(__file__).resolve().parents[2] / "profiles" / "directory"


@dataclass(frozen=True, slots=True)
class Seed:
    """A directory as data: `resources` in an order whose references resolve."""

    version: str
    resources: tuple[Resource, ...]
    gazetteer: Gazetteer

    @property
    def jurisdictions(self) -> tuple[Row, ...]:
        services = (
            r for r in self.resources if r["resourceType"] == "HealthcareService"
        )
        return tuple(row for r in services for row in resources.rows_of(r))


def read(folder: Path) -> Seed:
    """Read and check the whole folder. Raises FhirError HUB-DIR-… (400, 422).

    A folder without place tables of its own uses those shipped with the hub.
    """
    places = folder if (folder / "municipalities.csv").exists() else DEFAULT
    gazetteer = read_gazetteer(places)
    version = _version(folder)
    organisations = _organisations(folder, gazetteer)
    desks = _desks(folder, organisations)
    rows = _rows(folder, gazetteer, desks, version)
    agreements = list(_agreements(folder, organisations, desks, version))
    endpoints = list(_endpoints(folder, organisations))
    made = (
        *(resources.organization(o) for o in organisations.values()),
        *(resources.healthcare_service(d, rows[d.id]) for d in desks.values()),
        *(resources.affiliation(a) for a in agreements),
        *(resources.endpoint(e) for e in endpoints),
    )
    return Seed(version=version, resources=made, gazetteer=gazetteer)


def _version(folder: Path) -> str:
    path = folder / "directory.toml"
    if not path.exists():
        return ""
    try:
        return str(tomllib.loads(path.read_text("utf-8")).get("version", ""))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise FhirError(issue("HUB-DIR-009", file=path.name)) from None


def _optional(folder: Path, name: str, required: Sequence[str]) -> Iterator[Line]:
    return read_sheet(folder / name, required) if (folder / name).exists() else iter(())


def _organisations(folder: Path, gazetteer: Gazetteer) -> dict[str, Organisation]:
    found: dict[str, Organisation] = {}
    for line in read_sheet(folder / "organizations.csv", ("id", "name", "kind")):
        _require_new(line, "id", found)
        found[line["id"]] = Organisation(
            code=line["id"],
            name=line["name"],
            kind=line.one_of("kind", KINDS),
            municipality=_municipality(line, gazetteer, optional=True),
            programmes=tuple(line.get("programmes", "").split()),
            wording_version=line.get("wording_version") or None,
            telephone=line.get("telephone") or None,
        )
    for line in _optional(folder, "health_centres.csv", ("id", "name")):
        _require_new(line, "id", found)
        found[line["id"]] = Organisation(
            code=line["id"],
            name=line["name"],
            kind="health-centre",
            municipality=_municipality(line, gazetteer, optional=True),
        )
    return found


def _desks(folder: Path, organisations: dict[str, Organisation]) -> dict[str, Desk]:
    """A health centre is its own desk; a branch is another; others are listed."""
    found = {
        o.code: Desk(o.code, o.name, o.code)
        for o in organisations.values()
        if o.kind == "health-centre"
    }
    for line in _optional(folder, "jurisdictions.csv", ("desk", "organization")):
        _require_known(line, "organization", organisations)
        if line["desk"] not in found:
            if not line.get("branch"):
                raise line.absent("desk")
            name = f"{organisations[line['organization']].name} {line['branch']}"
            found[line["desk"]] = Desk(line["desk"], name, line["organization"])
    for line in _optional(folder, "desks.csv", ("id", "organization", "name")):
        _require_new(line, "id", found)
        _require_known(line, "organization", organisations)
        found[line["id"]] = Desk(line["id"], line["name"], line["organization"])
    return found


def _rows(
    folder: Path, gazetteer: Gazetteer, desks: dict[str, Desk], version: str
) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    required = ("municipality", "desk", "relation", "confidence")
    for line in _optional(folder, "jurisdictions.csv", required):
        municipality = _municipality(line, gazetteer)
        found[line["desk"]].append(
            Row(
                id=line["desk"],
                municipality=municipality or "",
                desk=desks[line["desk"]],
                relation=cast(
                    "Relation", line.one_of("relation", ("statutory", "delegated"))
                ),
                confidence=cast(
                    "Confidence", line.one_of("confidence", ("A", "B", "C"))
                ),
                valid_from=line.date("valid_from"),
                valid_to=line.date("valid_to"),
                neighbourhoods=tuple(
                    fold(n) for n in line.get("neighbourhoods", "").split()
                ),
                confirmed=_is_confirmed(line),
                version=version,
            )
        )
    return found


def _is_confirmed(line: Line) -> bool:
    # D-21: a confirmation names who gave it, and when.
    confirmed_on = line.date("confirmed_on")
    if confirmed_on and not line.get("confirmed_by"):
        raise line.fault("HUB-DIR-003", "confirmed_by")
    return confirmed_on is not None


def _agreements(
    folder: Path,
    organisations: dict[str, Organisation],
    desks: dict[str, Desk],
    version: str,
) -> Iterator[AgreementTerms]:
    seen: dict[str, Line] = {}
    required = ("id", "provider", "partner", "level", "area", "desk", "active")
    for line in _optional(folder, "agreements.csv", required):
        _require_new(line, "id", seen)
        seen[line["id"]] = line
        _require_known(line, "provider", organisations)
        _require_known(line, "partner", organisations)
        _require_known(line, "desk", desks)
        line.one_of("level", ("municipality", "prefecture"))
        terms = AgreementTerms(
            id=line["id"],
            provider=line["provider"],
            partner=line["partner"],
            level="prefecture" if line["level"] == "prefecture" else "municipality",
            area=line["area"],
            desk=line["desk"],
            section=line.get("section") or None,
            contact=line.get("contact") or None,
            telephone=line.get("telephone") or None,
            signer_role=line.get("signer_role") or None,
            exception=line.get("exception") or None,
            active=line.one_of("active", ("yes", "no")) == "yes",
            valid_from=line.date("valid_from"),
            valid_to=line.date("valid_to"),
            version=version,
        )
        require_none(rules.check(resources.affiliation(terms)))
        yield terms


def _endpoints(
    folder: Path, organisations: dict[str, Organisation]
) -> Iterator[Address]:
    seen: dict[str, Line] = {}
    required = ("id", "organization", "address", "connection_type")
    for line in _optional(folder, "endpoints.csv", required):
        _require_new(line, "id", seen)
        seen[line["id"]] = line
        _require_known(line, "organization", organisations)
        if not line["address"].startswith(("https://", "http://")):
            raise line.bad("address", "https://…")
        yield Address(
            id=line["id"],
            organisation=line["organization"],
            address=line["address"],
            connection_type=line["connection_type"],
        )


def _municipality(
    line: Line, gazetteer: Gazetteer, *, optional: bool = False
) -> str | None:
    written = line.get("municipality", "")
    if optional and not written:
        return None
    code = gazetteer.municipality(written)
    if code is None:
        raise line.bad("municipality", "JIS X 0402, 5 digits")
    return code


def _require_new(line: Line, column: str, known: Container[str]) -> None:
    if line[column] in known:
        raise line.fault("HUB-DIR-005", column)


def _require_known(line: Line, column: str, known: Container[str]) -> None:
    if line[column] not in known:
        raise line.absent(column)
