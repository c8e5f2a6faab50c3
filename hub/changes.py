"""One change of one resource by one actor: stored, placed in its cases, audited.

The only writer of the store. Whoever is above decides that the change may happen;
here it happens, once, in the caller's transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.directory import index
from hub.disclosure import cases
from hub.disclosure.classes import DIRECTORY_TYPES, DataClass
from hub.fhir import dates
from hub.fhir.json import Resource
from hub.store import resources as store
from hub.store.resources import Stored
from hub.store.visibility import hub_sees_all
from hub.subscriptions import match

# How a new version came about, as it is audited.
Rewriting = Literal["update", "patch"]


@dataclass(frozen=True, slots=True)
class Belonging:
    """Which cases a new resource belongs to and as what; no case = not case data.

    `patient` (Patient id) is who the audit row is about.
    """

    cases: tuple[str, ...] = ()
    data_class: DataClass = DataClass.REFERRAL
    patient: str | None = None


NOWHERE = Belonging()


@dataclass(frozen=True, slots=True)
class By:
    """Who changes and when: `at` is one moment for a whole transaction."""

    actor: Actor
    at: datetime = field(default_factory=dates.now)


def create(
    session: Session,
    by: By,
    resource: Resource,
    belonging: Belonging = NOWHERE,
    id: str | None = None,
) -> Stored:
    """Store a new resource; `id` is the hub's own choice, never a client's."""
    stored = store.create(session, resource, id=id, at=by.at)
    for case_id in belonging.cases:
        cases.add(
            session,
            case_id,
            (stored.type, stored.id),
            belonging.data_class,
            by.actor.organisation,
        )
    _notice(session, by, stored)
    _reindex(session, resource, stored)
    _audit(session, by, "create", stored, belonging.patient)
    return stored


def update(
    session: Session,
    by: By,
    resource: Resource,
    *,
    expected: int | None = None,
    patient: str | None = None,
    interaction: Rewriting = "update",
) -> Stored:
    """Store a new version; `expected` is the version that was read (412 otherwise)."""
    stored = store.update(session, resource, expected=expected, at=by.at)
    _notice(session, by, stored)
    _reindex(session, resource, stored)
    _audit(session, by, interaction, stored, patient)
    return stored


def put(session: Session, by: By, resource: Resource) -> Stored:
    """Update, or create under the resource's own id: directory and terminology."""
    found = store.read(session, resource["resourceType"], resource["id"], hub_sees_all)
    if found is None:
        return create(session, by, resource, id=resource["id"])
    if not found.deleted and _same(found.resource(), resource):
        return found
    return update(session, by, resource, expected=found.version)


def delete(
    session: Session, by: By, resource_type: str, id: str, expected: int | None
) -> Stored:
    """Delete: the history stays."""
    stored = store.delete(session, resource_type, id, expected=expected, at=by.at)
    _audit(session, by, "delete", stored, None)
    return stored


def _same(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    return {k: v for k, v in before.items() if k != "meta"} == {
        k: v for k, v in after.items() if k != "meta"
    }


def _notice(session: Session, by: By, stored: Stored) -> None:
    if stored.type == "Task":
        match.notice(session, stored.id, stored.version, by.at)


def _reindex(session: Session, resource: Resource, stored: Stored) -> None:
    if stored.type in DIRECTORY_TYPES:
        index.index(session, {**resource, "id": stored.id})


def _audit(
    session: Session, by: By, interaction: str, stored: Stored, patient: str | None
) -> None:
    if patient is None and stored.type == "Patient":
        patient = stored.id
    audit.record(
        session,
        by.actor,
        interaction,
        targets=[f"{stored.reference}/_history/{stored.version}"],
        patients=[f"Patient/{patient}"] if patient else [],
        at=by.at,
    )
