"""Ask the directory: one protocol, from files alone or from the side tables."""

from collections import defaultdict
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol, cast

from sqlalchemy import Row as SqlRow
from sqlalchemy import Select, bindparam, select

from hub.database import Session, run
from hub.directory import resources, tables
from hub.directory.gazetteer import Gazetteer, read_gazetteer
from hub.directory.seeds import DEFAULT, Seed
from hub.directory.values import Address, AgreementTerms, Organisation
from hub.routing import Agreement, Desk, Row
from hub.routing.choose import is_valid

if TYPE_CHECKING:
    from hub.routing.facts import Confidence, Relation


class Directory(Protocol):
    """What routing, consent and delivery need to know about organisations."""

    @property
    def gazetteer(self) -> Gazetteer:
        """The place names of the country."""

    def organisation(self, code: str) -> Organisation | None:
        """The organisation with this code, active or not; None when unknown."""

    def organisations(self, kind: str | None = None) -> tuple[Organisation, ...]:
        """All of a kind, by code."""

    def desk(self, id: str) -> Desk | None:
        """The active desk with this id."""

    def desks_of(self, organisation: str) -> tuple[Desk, ...]:
        """The active desks of an organisation, by id."""

    def jurisdictions(
        self, municipality: str, on: date | None = None
    ) -> tuple[Row, ...]:
        """The rows of a municipality, of active desks; with `on` those valid then."""

    def agreements(
        self, municipality: str, provider: str | None = None
    ) -> tuple[Agreement, ...]:
        """Agreements over a municipality (5 digits) or its prefecture, any validity."""

    def endpoint_of(self, organisation: str) -> Address | None:
        """The active endpoint of an organisation, the first by id."""


class SeedDirectory:
    """The directory of a Seed, without a database."""

    def __init__(self, seed: Seed) -> None:
        self.gazetteer = seed.gazetteer
        by_type = defaultdict(list)
        for resource in seed.resources:
            by_type[resource["resourceType"]].append(resource)
        self._organisations = {
            o.code: o for o in map(resources.organisation_of, by_type["Organization"])
        }
        self._desks = {
            d.id: d for d in map(resources.desk_of, by_type["HealthcareService"])
        }
        self._rows: dict[str, list[Row]] = defaultdict(list)
        for row in seed.jurisdictions:
            self._rows[row.municipality].append(row)
        self._agreements = [
            resources.agreement_of(r) for r in by_type["OrganizationAffiliation"]
        ]
        self._endpoints = [resources.address_of(r) for r in by_type["Endpoint"]]

    def organisation(self, code: str) -> Organisation | None:
        return self._organisations.get(code)

    def organisations(self, kind: str | None = None) -> tuple[Organisation, ...]:
        found = (o for o in self._organisations.values() if kind in (None, o.kind))
        return tuple(sorted(found, key=lambda o: o.code))

    def desk(self, id: str) -> Desk | None:
        return self._desks.get(id)

    def desks_of(self, organisation: str) -> tuple[Desk, ...]:
        found = (d for d in self._desks.values() if d.organisation == organisation)
        return tuple(sorted(found, key=lambda d: d.id))

    def jurisdictions(
        self, municipality: str, on: date | None = None
    ) -> tuple[Row, ...]:
        return _ordered(self._rows.get(municipality, []), on)

    def agreements(
        self, municipality: str, provider: str | None = None
    ) -> tuple[Agreement, ...]:
        areas = (municipality, municipality[:2])
        found = (
            _agreement(terms, self._desks[terms.desk])
            for terms in self._agreements
            if terms.area in areas and provider in (None, terms.provider)
        )
        return tuple(sorted(found, key=lambda a: a.id))

    def endpoint_of(self, organisation: str) -> Address | None:
        found = (
            e for e in self._endpoints if e.organisation == organisation and e.active
        )
        return min(found, key=lambda e: e.id, default=None)


class StoredDirectory:
    """The directory of the side tables, in the caller's transaction."""

    def __init__(self, session: Session, gazetteer: Gazetteer | None = None) -> None:
        self._session = session
        self.gazetteer = gazetteer or read_gazetteer(DEFAULT)

    def organisation(self, code: str) -> Organisation | None:
        row = self._one(_ORGANISATION, code)
        return _organisation(row) if row else None

    def organisations(self, kind: str | None = None) -> tuple[Organisation, ...]:
        table = tables.organisations
        query = select(table)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        # Sorted here: a database's collation would order ids in its own way.
        found = (_organisation(row) for row in self._session.execute(query))
        return tuple(sorted(found, key=lambda o: o.code))

    def desk(self, id: str) -> Desk | None:
        row = self._one(_DESK, id)
        return Desk(row.id, row.name, row.organisation) if row else None

    def desks_of(self, organisation: str) -> tuple[Desk, ...]:
        table = tables.desks
        query = select(table).where(
            table.c.organisation == organisation, table.c.active == 1
        )
        rows = self._session.execute(query)
        found = (Desk(row.id, row.name, row.organisation) for row in rows)
        return tuple(sorted(found, key=lambda d: d.id))

    def jurisdictions(
        self, municipality: str, on: date | None = None
    ) -> tuple[Row, ...]:
        rows = run(self._session, _JURISDICTIONS, {"key": municipality})
        return _ordered([_row(row) for row in rows], on)

    def agreements(
        self, municipality: str, provider: str | None = None
    ) -> tuple[Agreement, ...]:
        table, desk = tables.agreements, tables.desks
        query = (
            select(table, desk.c.name, desk.c.organisation)
            .join(desk, desk.c.id == table.c.desk)
            .where(table.c.area.in_([municipality, municipality[:2]]))
            .where(desk.c.active == 1)
        )
        if provider is not None:
            query = query.where(table.c.provider == provider)
        found = (_stored_agreement(row) for row in self._session.execute(query))
        return tuple(sorted(found, key=lambda a: a.id))

    def endpoint_of(self, organisation: str) -> Address | None:
        row = self._one(_ENDPOINT, organisation)
        if row is None:
            return None
        return Address(
            id=row.id,
            organisation=row.organisation,
            address=row.address,
            connection_type=row.connection_type,
            payload_types=tuple(row.payload_types.split()),
        )

    def _one(self, query: Select[Any], key: str) -> SqlRow[Any] | None:
        return run(self._session, query, {"key": key}).first()


# Built once: making a statement costs more than running it.
_ORGANISATION = select(tables.organisations).where(
    tables.organisations.c.id == bindparam("key")
)
_DESK = select(tables.desks).where(
    tables.desks.c.id == bindparam("key"), tables.desks.c.active == 1
)
_JURISDICTIONS = (
    select(tables.jurisdictions, tables.desks.c.name, tables.desks.c.organisation)
    .join(tables.desks, tables.desks.c.id == tables.jurisdictions.c.desk)
    .where(
        tables.jurisdictions.c.municipality == bindparam("key"),
        tables.desks.c.active == 1,
    )
)
_ENDPOINT = (
    select(tables.endpoints)
    .where(
        tables.endpoints.c.organisation == bindparam("key"),
        tables.endpoints.c.active == 1,
    )
    .order_by(tables.endpoints.c.id)
    .limit(1)
)


def _ordered(rows: list[Row], on: date | None) -> tuple[Row, ...]:
    valid = (row for row in rows if on is None or is_valid(row, on))
    return tuple(sorted(valid, key=lambda row: row.id))


def _organisation(row: SqlRow[Any]) -> Organisation:
    return Organisation(
        code=row.id,
        name=row.name,
        kind=row.kind,
        municipality=row.municipality,
        programmes=tuple(row.programmes.split()),
        wording_version=row.wording_version,
        telephone=row.telephone,
        active=bool(row.active),
    )


def _row(row: SqlRow[Any]) -> Row:
    return Row(
        id=row.id,
        municipality=row.municipality,
        desk=Desk(row.desk, row.name, row.organisation),
        relation=cast("Relation", row.relation),
        confidence=cast("Confidence", row.confidence),
        valid_from=_day(row.valid_from),
        valid_to=_day(row.valid_to),
        neighbourhoods=tuple(row.neighbourhoods.split()),
        confirmed=bool(row.confirmed),
        version=row.version,
    )


def _agreement(terms: AgreementTerms, desk: Desk) -> Agreement:
    return Agreement(
        id=terms.id,
        provider=terms.provider,
        level=terms.level,
        area=terms.area,
        desk=desk,
        active=terms.active,
        valid_from=terms.valid_from,
        valid_to=terms.valid_to,
        version=terms.version,
    )


def _stored_agreement(row: SqlRow[Any]) -> Agreement:
    return Agreement(
        id=row.id,
        provider=row.provider,
        level="prefecture" if row.level == "prefecture" else "municipality",
        area=row.area,
        desk=Desk(row.desk, row.name, row.organisation),
        active=bool(row.active),
        valid_from=_day(row.valid_from),
        valid_to=_day(row.valid_to),
        version=row.version,
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
