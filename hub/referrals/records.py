"""Provenance of each move and of each grant: who, when, why, under which clause."""

from typing import Any

from hub.changes import Belonging, By, create, update
from hub.database import Session
from hub.disclosure.cases import Case
from hub.disclosure.classes import DataClass
from hub.disclosure.grants import Permit
from hub.fhir import dates
from hub.fhir.canonical import LEGAL_BASIS, ROOT
from hub.fhir.json import Resource

_ACTIVITY = f"{ROOT}/CodeSystem/referral-move"


def move_by_hub(session: Session, hub: By, case: Case, task: Resource) -> Resource:
    """Store a Task that the hub itself moved, with its Provenance; as stored."""
    task["lastModified"] = dates.instant(hub.at)
    stored = update(session, hub, task, patient=case.patient).resource()
    move_provenance(session, hub, case, stored, hub.actor.organisation)
    return stored


def move_provenance(
    session: Session, by: By, case: Case, task: Resource, agent: str
) -> None:
    """Record one move of a Task; `agent` is the Organization that made it."""
    version = task.get("meta", {}).get("versionId", "1")
    _store(
        session,
        by,
        case,
        targets=[f"Task/{task['id']}/_history/{version}"],
        agent=agent,
        activity=str(task["status"]),
    )


def grant_provenance(
    session: Session, by: By, case: Case, permit: Permit, reason: str, task: str
) -> None:
    """Record a new request (moves 1, 8) and why its desk may see the case.

    `task` is the id of the new child Task; the reason names basis, clause, route.
    """
    _store(
        session,
        by,
        case,
        targets=[f"Task/{task}/_history/1", f"EpisodeOfCare/{case.id}"],
        agent=by.actor.organisation,
        activity="disclose",
        entity=permit.consent,
        policy=permit.basis,
        note=f"Organization/{permit.recipient}: {permit.clause}. {reason}",
    )


def _store(
    session: Session,
    by: By,
    case: Case,
    *,
    targets: list[str],
    agent: str,
    activity: str,
    entity: str | None = None,
    policy: str | None = None,
    note: str | None = None,
) -> None:
    provenance: Resource = {
        "resourceType": "Provenance",
        "target": [{"reference": target} for target in targets],
        "recorded": dates.instant(by.at),
        "activity": {"coding": [{"system": _ACTIVITY, "code": activity}]},
        "agent": [{"who": {"reference": f"Organization/{agent}"}}],
    }
    if note:
        provenance["activity"]["text"] = note
    if policy:
        provenance["reason"] = [{"coding": [{"system": LEGAL_BASIS, "code": policy}]}]
    if entity:
        provenance["entity"] = [_source(entity)]
    create(
        session,
        by,
        provenance,
        Belonging((case.id,), DataClass.STATUS, case.patient),
    )


def _source(reference: str) -> dict[str, Any]:
    return {"role": "source", "what": {"reference": reference}}
