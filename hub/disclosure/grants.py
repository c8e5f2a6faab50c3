"""Grants: open, close, and the one SQL predicate that every query of case data uses.

A grant opens only from a Permit and is closed, never deleted (security.md G7).
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    and_,
    bindparam,
    exists,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)

from hub.actor import Actor
from hub.database import Session, collect, flush
from hub.disclosure.classes import PUBLIC_TYPES, DataClass, codes
from hub.disclosure.tables import case, case_resource, draft, grant
from hub.fhir import dates
from hub.store.visibility import Shaped, Visible, hub_sees_all


@dataclass(frozen=True, slots=True)
class Permit:
    """A decision to disclose: on what basis, to whom, which classes, until when.

    `consent` is `Consent/<id>/_history/<version>`; `clause` names the clause of the
    form's wording that covers this recipient; `basis` is a legal-basis code.
    """

    basis: str
    recipient: str
    classes: DataClass
    consent: str
    clause: str
    ends: datetime | None = None


def open_grant(
    session: Session, case_id: str, permit: Permit, role: str, at: datetime
) -> str:
    """Open a grant from a permit; the id of an equal open one when there is one."""
    ends = dates.micros(permit.ends) if permit.ends else None
    flush(session)
    row = session.execute(
        _EQUAL if ends is None else _EQUAL_UNTIL,
        {
            "case_id": case_id,
            "organisation": permit.recipient,
            "role": role,
            "classes": int(permit.classes),
            "ends": ends,
            "at": dates.micros(at),
        },
    ).first()
    if row is not None:
        return str(row.id)
    return open_first_grant(session, case_id, permit, role, at)


def open_first_grant(
    session: Session, case_id: str, permit: Permit, role: str, at: datetime
) -> str:
    """Open a grant on a new case, which has no equal one; its id."""
    id = str(uuid.uuid4())
    row = {
        "id": id,
        "case_id": case_id,
        "organisation": permit.recipient,
        "role": role,
        "basis": permit.basis,
        "consent": permit.consent,
        "clause": permit.clause,
        "classes": int(permit.classes),
        "starts": dates.micros(at),
        "ends": dates.micros(permit.ends) if permit.ends else None,
        "closed_at": None,
        "closed_because": None,
    }
    collect(session, grant, [row])
    return id


def close_grants(
    session: Session,
    case_id: str,
    because: str,
    at: datetime,
    organisation: str | None = None,
    role: str | None = None,
) -> int:
    """Close the open grants of a case (of one organisation, in one role); how many."""
    flush(session)
    statement = (
        update(grant)
        .where(grant.c.case_id == case_id, grant.c.closed_at.is_(None))
        .values(closed_at=dates.micros(at), closed_because=because)
    )
    if organisation is not None:
        statement = statement.where(grant.c.organisation == organisation)
    if role is not None:
        statement = statement.where(grant.c.role == role)
    return session.execute(statement).rowcount


def limit_grant(session: Session, grant_id: str, permit: Permit) -> None:
    """Let an open grant end when its permit, asked again, now ends."""
    flush(session)
    session.execute(
        update(grant)
        .where(grant.c.id == grant_id, grant.c.closed_at.is_(None))
        .values(ends=dates.micros(permit.ends) if permit.ends else None)
    )


# No organisation has this code.
_NOBODY = ""


def visible_to(actor: Actor, at: datetime | None = None) -> Visible:
    """The predicate of security.md G1 over a table with columns `type` and `id`.

    Services and vocabularies are open to every client; a case resource is visible
    through an open grant of the actor's organisation whose classes hold the
    resource's class; a draft only to its author.
    """
    if actor.is_hub:
        return hub_sees_all
    return Shaped(
        _predicate,
        {
            "seen_by": actor.organisation if actor.sees_cases else _NOBODY,
            "seen_at": dates.micros(at or dates.now()),
        },
        _set,
    )


def _predicate(row: FromClause, values: Mapping[str, Any]) -> ColumnElement[bool]:
    """G1 over `row`; `values` are those of `Shaped`, or parameters of these names."""
    organisation, moment = values["seen_by"], values["seen_at"]
    member, given, kept = _MEMBER, _GIVEN, _KEPT
    # From the resource to its case to the grant, never from all grants of a client:
    # SQLite would take the join the other way round, for each row anew.
    covering = select(1).where(
        given.c.case_id == member.c.case_id,
        gives(given, member, organisation, moment),
    )
    granted = select(1).where(
        member.c.type == row.c.type,
        member.c.id == row.c.id,
        exists(covering.correlate(member)),
    )
    own_draft = select(1).where(
        kept.c.type == row.c.type,
        kept.c.id == row.c.id,
        kept.c.organisation == organisation,
        kept.c.expires > moment,
    )
    return or_(row.c.type.in_(_PUBLIC), exists(granted), exists(own_draft))


def _set(
    row: FromClause, types: tuple[str, ...], values: Mapping[str, Any]
) -> ColumnElement[bool]:
    """G1 as `_predicate` has it, over rows of these types: in the set of what is seen.

    From the grants of a client to their cases to the resources in them.
    """
    closed = [name for name in types if name not in PUBLIC_TYPES]
    if not closed:
        return true()
    organisation, moment = values["seen_by"], values["seen_at"]
    member, given, kept = case_resource.alias(), grant.alias(), draft.alias()
    granted = (
        select(member.c.type, member.c.id)
        .join(given, given.c.case_id == member.c.case_id)
        .where(gives(given, member, organisation, moment))
    )
    own = select(kept.c.type, kept.c.id).where(
        kept.c.organisation == organisation, kept.c.expires > moment
    )
    if len(types) == 1:
        ids = union_all(
            granted.with_only_columns(member.c.id).where(member.c.type == types[0]),
            own.with_only_columns(kept.c.id).where(kept.c.type == types[0]),
        )
        return row.c.id.in_(ids)
    pairs = union_all(
        granted.where(member.c.type.in_(closed)), own.where(kept.c.type.in_(closed))
    )
    seen = tuple_(row.c.type, row.c.id).in_(pairs)
    if len(closed) == len(types):
        return seen
    return or_(row.c.type.in_(PUBLIC_TYPES), seen)


# Nothing else uses these names, so the same alias may stand in every subquery of a
# statement; making one anew costs more than the query.
_MEMBER, _GIVEN, _KEPT = (
    case_resource.alias("seen_member"),
    grant.alias("seen_grant"),
    draft.alias("seen_draft"),
)
_PUBLIC = [literal(name, literal_execute=True) for name in PUBLIC_TYPES]


def gives(
    given: FromClause, member: FromClause, organisation: Any, moment: Any
) -> ColumnElement[bool]:
    """The one rule: does this grant open this part of its case to this organisation?

    `given` has the columns of `grant`, `member` a `data_class`; that both are of one
    case is said where they are joined. Enforcement and explanation are both made of
    it (security.md G1, G9); `moment` is in microseconds UTC.
    """
    return and_(
        given.c.classes.op("&")(member.c.data_class) != 0,
        given.c.organisation == organisation,
        _open(given, moment),
    )


def is_open(session: Session, grant_id: str, at: datetime | None = None) -> bool:
    """True while a grant still lets a message leave; locks it until the commit.

    The worker asks inside the transaction that marks a message as being sent
    (security.md §3, withdrawal wins).
    """
    flush(session)
    statement = select(grant.c.id).where(
        grant.c.id == grant_id, _open(grant, dates.micros(at or dates.now()))
    )
    if session.dialect.name != "sqlite":
        statement = statement.with_for_update(read=True)
    return session.execute(statement).first() is not None


def are_open(session: Session, grant_ids: str) -> bool:
    """`is_open` for every id of a space-separated list: a report tells of several."""
    return all(is_open(session, one) for one in grant_ids.split())


def held(
    session: Session, case_id: str, organisation: str, at: datetime | None = None
) -> list[dict[str, Any]]:
    """Open grants of one organisation on a case: id, role, basis, classes."""
    flush(session)
    moment = dates.micros(at or dates.now())
    asked = {"case_id": case_id, "organisation": organisation, "at": moment}
    return [dict(row) for row in session.execute(_HELD, asked).mappings()]


def all_held(
    session: Session, case_id: str, at: datetime | None = None
) -> list[dict[str, Any]]:
    """Every open grant on a case, oldest first: id, organisation, role, classes …"""
    flush(session)
    asked = {"case_id": case_id, "at": dates.micros(at or dates.now())}
    return [dict(row) for row in session.execute(_ALL_HELD, asked).mappings()]


def recipients(session: Session, case_id: str) -> list[str]:
    """Organisations that are or were a recipient of a case, in order of arrival."""
    flush(session)
    rows = session.execute(
        select(grant.c.organisation)
        .where(grant.c.case_id == case_id, grant.c.role.in_(("recipient", "former")))
        .order_by(grant.c.starts)
    )
    return [row.organisation for row in rows]


def expired(session: Session, at: datetime) -> list[str]:
    """Cases not ended in which the sender's or a recipient's grant has run out."""
    flush(session)
    rows = session.execute(
        select(case.c.id)
        .join(grant, grant.c.case_id == case.c.id)
        .where(
            case.c.closed_at.is_(None),
            grant.c.role.in_(("recipient", "source")),
            grant.c.closed_at.is_(None),
            grant.c.ends <= dates.micros(at),
        )
        .order_by(case.c.id)
        .distinct()
    )
    return [row.id for row in rows]


def writable_cases(session: Session, organisation: str, patient: str) -> list[str]:
    """Cases about a person (Patient id) in which the organisation takes part.

    Open cases first, then the newest.
    """
    flush(session)
    rows = session.execute(
        select(case.c.id)
        .join(grant, grant.c.case_id == case.c.id)
        .where(
            case.c.patient == patient,
            grant.c.organisation == organisation,
            grant.c.role.in_(("recipient", "source")),
            _open(grant, dates.micros(dates.now())),
        )
        .order_by(case.c.closed_at.is_not(None), case.c.opened_at.desc())
    )
    return [row.id for row in rows]


def explain(session: Session, case_id: str) -> list[dict[str, Any]]:
    """Every grant of a case, closed ones too, in words a privacy officer reads."""
    flush(session)
    rows = session.execute(
        select(grant).where(grant.c.case_id == case_id).order_by(grant.c.starts)
    ).mappings()
    return [{**row, "classes": codes(row["classes"])} for row in rows]


def _open(given: FromClause, moment: Any) -> ColumnElement[bool]:
    return and_(
        given.c.closed_at.is_(None),
        given.c.starts <= moment,
        or_(given.c.ends.is_(None), given.c.ends > moment),
    )


# Built once: making a statement costs more than running it.
_SAME = [
    grant.c[name] == bindparam(name)
    for name in ("case_id", "organisation", "role", "classes")
]
_EQUAL = select(grant.c.id).where(
    *_SAME, grant.c.ends.is_(None), _open(grant, bindparam("at"))
)
_EQUAL_UNTIL = select(grant.c.id).where(
    *_SAME, grant.c.ends == bindparam("ends"), _open(grant, bindparam("at"))
)
_ALL_HELD = (
    select(grant)
    .where(grant.c.case_id == bindparam("case_id"), _open(grant, bindparam("at")))
    .order_by(grant.c.starts, grant.c.id)
)
_HELD = _ALL_HELD.where(grant.c.organisation == bindparam("organisation"))
