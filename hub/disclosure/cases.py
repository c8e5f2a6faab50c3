"""Cases: open one, say which resources belong to it, find the case of a resource."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    FromClause,
    RowMapping,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    literal,
    select,
    tuple_,
    update,
)

from hub.database import Session, collect, flush, run
from hub.disclosure.classes import WHOLE, DataClass
from hub.disclosure.tables import case, case_resource, draft
from hub.fhir import dates

_AT_ONCE = 400  # a statement takes so many pairs on every database


@dataclass(frozen=True, slots=True)
class Case:
    """One referral's case; ids without type, moments aware UTC."""

    id: str
    programme: str
    source: str
    correlation: str
    patient: str
    service_request: str
    parent_task: str
    consent: str
    provided_at: datetime
    closed_at: datetime | None


def open_case(session: Session, row: Case, at: datetime) -> None:
    """Store a new case. Its resources are added with `add`."""
    collect(
        session,
        case,
        [
            {
                "id": row.id,
                "programme": row.programme,
                "source": row.source,
                "correlation": row.correlation,
                "patient": row.patient,
                "service_request": row.service_request,
                "parent_task": row.parent_task,
                "consent": row.consent,
                "provided_at": dates.micros(row.provided_at),
                "opened_at": dates.micros(at),
                "closed_at": None,
            }
        ],
    )


def add(
    session: Session,
    case_id: str,
    resource: tuple[str, str],
    data_class: DataClass,
    author: str,
) -> None:
    """Say that a resource (type, id) belongs to a case."""
    collect(
        session,
        case_resource,
        [
            {
                "type": resource[0],
                "id": resource[1],
                "case_id": case_id,
                "data_class": int(data_class),
                "author": author,
            }
        ],
    )


# What is an organisation's own, and no draft, is kept until it deletes it.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)


def keep_draft(
    session: Session, resource: tuple[str, str], organisation: str, expires: datetime
) -> None:
    """Keep a resource private to the organisation that wrote it, until `expires`."""
    session.execute(
        draft.insert(),
        {
            "type": resource[0],
            "id": resource[1],
            "organisation": organisation,
            "expires": dates.micros(expires),
        },
    )


def keep_own(session: Session, resource: tuple[str, str], organisation: str) -> None:
    """Keep a resource that never belongs to a case private to an organisation."""
    keep_draft(session, resource, organisation, datetime.max.replace(tzinfo=UTC))


def adopt_drafts(session: Session, resources: Iterable[tuple[str, str]]) -> None:
    """Drafts that became part of a case are drafts no longer."""
    keys = list(resources)
    if keys:
        session.execute(
            draft.delete().where(tuple_(draft.c.type, draft.c.id).in_(keys))
        )


def own_draft(session: Session, resource: tuple[str, str], organisation: str) -> bool:
    """True when the resource is a draft of this organisation."""
    row = session.execute(
        select(draft.c.id).where(
            draft.c.type == resource[0],
            draft.c.id == resource[1],
            draft.c.organisation == organisation,
        )
    ).first()
    return row is not None


def find(session: Session, case_id: str) -> Case | None:
    """A case by id."""
    flush(session)
    row = session.execute(select(case).where(case.c.id == case_id)).mappings().first()
    return _case(row) if row else None


# Built once: asked on every read.
_OF_RESOURCE = (
    select(case)
    .join(case_resource, case_resource.c.case_id == case.c.id)
    .where(
        case_resource.c.type == bindparam("type"),
        case_resource.c.id == bindparam("id"),
    )
    .order_by(case.c.opened_at.desc())
)


def of_resource(session: Session, resource_type: str, id: str) -> list[Case]:
    """The cases a resource belongs to, newest first; usually one."""
    flush(session)
    asked = {"type": resource_type, "id": id}
    return [_case(row) for row in run(session, _OF_RESOURCE, asked).mappings()]


def patient_of(rows: FromClause) -> ScalarSelect[str]:
    """Whom the resource of a row is about (Patient id), by its newest case.

    A column to be read beside it: an audit row names the person.
    """
    return (
        select(case.c.patient)
        .join(case_resource, case_resource.c.case_id == case.c.id)
        .where(case_resource.c.type == rows.c.type, case_resource.c.id == rows.c.id)
        .order_by(case.c.opened_at.desc())
        .limit(literal(1, literal_execute=True))
        .scalar_subquery()
    )


def of_patient(session: Session, patient: str) -> list[Case]:
    """The cases about a person (Patient id), oldest first."""
    flush(session)
    rows = session.execute(
        select(case).where(case.c.patient == patient).order_by(case.c.opened_at)
    )
    return [_case(row) for row in rows.mappings()]


def classes_of(
    session: Session, resource_type: str, id: str
) -> list[tuple[str, DataClass]]:
    """(case id, data class) for each case that a resource belongs to."""
    flush(session)
    rows = session.execute(
        select(case_resource.c.case_id, case_resource.c.data_class)
        .where(case_resource.c.type == resource_type, case_resource.c.id == id)
        .order_by(case_resource.c.case_id)
    )
    return [(row.case_id, DataClass(row.data_class)) for row in rows]


def patients_from(source: str) -> Select[Any]:
    """`Patient/<id>` of every person that an organisation referred, open or closed."""
    return select("Patient/" + case.c.patient).where(case.c.source == source)


def resources_from(source: str) -> Select[Any]:
    """`<type>/<id>` of everything in the cases of an organisation's referrals."""
    name = case_resource.c.type + "/" + case_resource.c.id
    return (
        select(name)
        .join(case, case.c.id == case_resource.c.case_id)
        .where(case.c.source == source)
    )


def resources_about(
    session: Session, patients: Sequence[str], source: str | None
) -> list[str]:
    """`<type>/<id>` of everything in the cases of these persons (Patient ids).

    With `source` of the cases that this organisation referred alone.
    """
    flush(session)
    query = (
        select(case_resource.c.type, case_resource.c.id)
        .join(case, case.c.id == case_resource.c.case_id)
        .where(case.c.patient.in_(patients))
    )
    if source is not None:
        query = query.where(case.c.source == source)
    return [f"{row.type}/{row.id}" for row in session.execute(query)]


def patients_of(session: Session, resources: Iterable[tuple[str, str]]) -> set[str]:
    """Whom these resources (type, id) of cases are about (Patient ids)."""
    flush(session)
    by_type: dict[str, list[str]] = defaultdict(list)
    for type_, id in set(resources):
        by_type[type_].append(id)
    return {
        str(row.patient)
        for type_, ids in by_type.items()
        for start in range(0, len(ids), _AT_ONCE)
        for row in session.execute(
            _PATIENTS, {"type": type_, "ids": ids[start : start + _AT_ONCE]}
        )
    }


# One type at a time: SQLite enters no index by pairs and would read every case.
_PATIENTS = (
    select(case.c.patient)
    .distinct()
    .join(case_resource, case_resource.c.case_id == case.c.id)
    .where(
        case_resource.c.type == bindparam("type"),
        case_resource.c.id.in_(bindparam("ids", expanding=True)),
    )
)


def named(session: Session, source: str, correlation: str) -> Case | None:
    """The newest open case of a source with this referral number."""
    flush(session)
    row = (
        session.execute(
            select(case)
            .where(
                case.c.source == source,
                case.c.correlation == correlation,
                case.c.closed_at.is_(None),
            )
            .order_by(case.c.opened_at.desc())
        )
        .mappings()
        .first()
    )
    return _case(row) if row else None


def is_numbered(session: Session, source: str, correlation: str) -> bool:
    """True when a case of this source has this referral number already.

    Others' numbers play no part: a number that is taken would tell of them (G11).
    """
    flush(session)
    found = select(case.c.id).where(
        case.c.source == source, case.c.correlation == correlation
    )
    return session.execute(found.limit(1)).first() is not None


@dataclass(frozen=True, slots=True)
class Placed:
    """How a resource stands in a case."""

    data_class: DataClass
    author: str


def placed(session: Session, case_id: str, resource: tuple[str, str]) -> Placed | None:
    """How a resource (type, id) stands in a case; None when it is not in it."""
    flush(session)
    row = session.execute(
        select(case_resource.c.data_class, case_resource.c.author).where(
            case_resource.c.type == resource[0],
            case_resource.c.id == resource[1],
            case_resource.c.case_id == case_id,
        )
    ).first()
    return Placed(DataClass(row.data_class), row.author) if row else None


def author_of(session: Session, resource_type: str, id: str) -> str | None:
    """The organisation that wrote a case resource first."""
    flush(session)
    return session.execute(
        select(case_resource.c.author).where(
            case_resource.c.type == resource_type, case_resource.c.id == id
        )
    ).scalar()


def members(
    session: Session,
    case_id: str,
    types: Iterable[str],
    classes: DataClass = WHOLE,
) -> list[tuple[str, str]]:
    """(type, id) of the case's resources of these types and data classes."""
    flush(session)
    rows = session.execute(
        select(case_resource.c.type, case_resource.c.id)
        .where(
            case_resource.c.case_id == case_id,
            case_resource.c.type.in_(tuple(types)),
            case_resource.c.data_class.op("&")(int(classes)) != 0,
        )
        .order_by(case_resource.c.type, case_resource.c.id)
    )
    return [(row.type, row.id) for row in rows]


def close(session: Session, case_id: str, at: datetime) -> None:
    """Mark a case as ended; grants stay until they end or are closed."""
    flush(session)
    session.execute(
        update(case)
        .where(and_(case.c.id == case_id, case.c.closed_at.is_(None)))
        .values(closed_at=dates.micros(at))
    )


def provided_by(
    session: Session, source: str, since: datetime, until: datetime
) -> list[Case]:
    """Cases that a source provided with `since <= provided_at < until`, in order."""
    flush(session)
    rows = session.execute(
        select(case)
        .where(
            case.c.source == source,
            case.c.provided_at >= dates.micros(since),
            case.c.provided_at < dates.micros(until),
        )
        .order_by(case.c.provided_at, case.c.id)
    ).mappings()
    return [_case(row) for row in rows]


def _case(row: RowMapping) -> Case:
    return Case(
        id=row["id"],
        programme=row["programme"],
        source=row["source"],
        correlation=row["correlation"],
        patient=row["patient"],
        service_request=row["service_request"],
        parent_task=row["parent_task"],
        consent=row["consent"],
        provided_at=dates.from_micros(row["provided_at"]),
        closed_at=dates.from_micros(row["closed_at"]) if row["closed_at"] else None,
    )
