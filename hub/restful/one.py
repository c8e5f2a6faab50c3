"""The pipelines of one resource outside a submission: each a list that reads aloud.

Shared by the single interactions, batch and transaction; the caller has the session.
"""

from datetime import timedelta
from typing import Any

from hub import changes, subscribing
from hub.changes import Belonging, By
from hub.database import Session
from hub.disclosure import cases, grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import DIRECTORY_TYPES, class_of
from hub.disclosure.grants import visible_to
from hub.fhir import dates, references
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.referrals.advance import after_new_task, after_task
from hub.referrals.amend import require_no_refusal
from hub.referrals.rules import (
    require_author,
    require_consent_change,
    require_new_task,
    require_task_change,
)
from hub.referrals.withdraw import after_consent
from hub.restful.call import require_interaction, require_scope
from hub.restful.checks import require_rules, require_valid
from hub.restful.hub import Hub
from hub.restful.linking import Linker
from hub.restful.patching import patched
from hub.restful.people import require_about
from hub.restful.served import CASE_TYPES
from hub.restful.visible import patient_of
from hub.store import resources as store
from hub.store.resources import Stored

_DRAFT_DAYS = 7


def create_one(
    hub: Hub,
    session: Session,
    by: By,
    resource: Resource,
    id: str | None = None,
    *,
    is_linked: bool = False,
) -> Stored:
    """The pipeline of one new resource; `is_linked` when its references were judged."""
    kind = resource["resourceType"]
    require_interaction(by.actor, "create", kind)
    require_valid(hub.knowledge, resource)
    require_rules(hub.knowledge, resource)
    if not is_linked:
        Linker(hub, session, by.actor, {}).link(resource, kind, is_new=True)
    if kind in DIRECTORY_TYPES:
        return changes.create(session, by, resource, id=id)
    if kind == "Subscription":
        require_scope(by.actor, "r", "Task")  # else it would be accepted and mute
        return subscribing.create(session, hub.subscribable, by, resource, id)
    belonging = require_permit(hub, session, by, resource)
    stored = changes.create(session, by, resource, belonging, id=id)
    if not belonging.cases:
        expires = by.at + timedelta(days=_DRAFT_DAYS)
        key = (stored.type, stored.id)
        cases.keep_draft(session, key, by.actor.organisation, expires)
    elif kind == "Consent":
        after_consent(session, hub.knowledge, by, stored.resource())
    elif kind == "Task":
        after_new_task(session, hub.knowledge, by, stored.resource())
    return stored


def update_one(
    hub: Hub,
    session: Session,
    by: By,
    resource: Resource,
    expected: int | None,
    *,
    interaction: changes.Rewriting = "update",
    is_linked: bool = False,
) -> tuple[Stored, bool]:
    """The pipeline of one update; the second value says that it created."""
    kind, id = resource["resourceType"], resource["id"]
    require_interaction(by.actor, interaction, kind)
    before = store.read(session, kind, id, visible_to(by.actor))
    if before is None or before.deleted:
        return _update_as_create(hub, session, by, resource), True
    require_unchanged(before, expected)
    require_valid(hub.knowledge, resource)
    require_rules(hub.knowledge, resource)
    if not is_linked:
        Linker(hub, session, by.actor, {}).link(resource, kind, is_new=False)
    if kind == "Subscription":
        require_scope(by.actor, "r", "Task")
        rules = hub.subscribable
        return (
            subscribing.update(session, rules, by, before, resource, interaction),
            False,
        )
    old = before.resource()
    resource = _require_change(hub, session, by, old, resource)
    patient = patient_of(session, kind, id)
    stored = changes.update(
        session,
        by,
        resource,
        expected=before.version,
        patient=patient,
        interaction=interaction,
    )
    if kind == "Task":
        after_task(session, hub.knowledge, by, old, stored.resource())
    elif kind == "Consent":
        after_consent(session, hub.knowledge, by, stored.resource())
    return stored, False


def patch_one(
    hub: Hub,
    session: Session,
    by: By,
    before: Stored,
    operations: Any,
    expected: int | None,
) -> Stored:
    """The pipeline of one patch of a resource that was read: an update's."""
    if before.deleted:
        raise FhirError(issue("HUB-REST-010"))
    require_unchanged(before, expected)
    after = patched(hub, before.resource(), operations)
    stored, _ = update_one(hub, session, by, after, expected, interaction="patch")
    return stored


def delete_one(session: Session, by: By, before: Stored) -> Stored:
    """Delete what was read, once; nothing that belongs to a case (HUB-REF-016)."""
    if before.deleted:
        return before
    if cases.of_resource(session, before.type, before.id):
        raise FhirError(issue("HUB-REF-016", before.type))
    if before.type == "Subscription":
        subscribing.delete(session, before.id, by.at)
    return changes.delete(session, by, before.type, before.id, before.version)


def require_unchanged(before: Stored, expected: int | None) -> None:
    """412 for another version than the writer read, 428 when a Task's is not said."""
    if before.type == "Task" and expected is None:
        raise FhirError(issue("HUB-REST-009"))
    if expected is not None and expected != before.version:
        raise FhirError(issue("HUB-REST-008"))


def require_permit(hub: Hub, session: Session, by: By, resource: Resource) -> Belonging:
    """Which case a new resource enters: one the actor may write, else refuse.

    With `TSUNAGI_DRAFTS=on` a resource of no case is kept as its author's draft.
    """
    kind = resource["resourceType"]
    case = _case_of(session, by, resource)
    if case is not None:
        if case.closed_at is not None:
            raise FhirError(issue("HUB-REF-023", kind))
        if kind == "Task":
            require_new_task(session, by.actor, resource, case)
        require_about(resource, case.patient)
        require_no_refusal(hub.knowledge, case, resource, kind)
        by_recipient = by.actor.organisation != case.source
        data_class = class_of(resource, by_recipient=by_recipient)
        return Belonging((case.id,), data_class, case.patient)
    if (
        hub.settings.keeps_drafts
        and kind != "Task"
        and not _is_of_a_case(session, resource)
    ):
        return Belonging()
    raise FhirError(issue("HUB-CON-012", kind))


def _require_change(
    hub: Hub, session: Session, by: By, old: Resource, resource: Resource
) -> Resource:
    """Who may change what: a Task's moves, a case resource its author's.

    Returns the resource as it is to be stored.
    """
    kind = resource["resourceType"]
    if kind == "Task":
        if not (resource.get("owner") or {}).get("reference"):
            raise FhirError(issue("HUB-REF-004", "Task.owner", element="owner"))
        resource = require_task_change(session, hub.knowledge, by, old, resource)
        resource["lastModified"] = dates.instant(by.at)
    elif kind == "Consent":
        require_consent_change(session, by.actor, old, resource)
    elif kind not in DIRECTORY_TYPES:
        require_author(session, by.actor, old)
    found = cases.of_resource(session, kind, resource["id"])
    if found and not any(
        _takes_part(session, case.id, by.actor.organisation) for case in found
    ):
        raise FhirError(issue("HUB-CON-012", kind))
    if found:
        own = {case.id for case in found}
        _require_own_references(session, by, old, resource, own)
    for case in found:
        require_about(resource, case.patient)
        require_no_refusal(hub.knowledge, case, resource, kind)
    return resource


def _require_own_references(
    session: Session, by: By, old: Resource, resource: Resource, own: set[str]
) -> None:
    """A change newly refers to nothing that the caller sees in other cases alone.

    What it does not see, or what is not there, makes no update fail (rest.md §1).
    """
    before = {element["reference"] for _, element in references.walk(old)}
    visible = visible_to(by.actor)
    for path, element in references.walk(resource):
        target = references.split(element["reference"])
        if element["reference"] in before or target is None:
            continue
        if target[0] not in CASE_TYPES or store.read(session, *target, visible) is None:
            continue
        if not own & {case.id for case in cases.of_resource(session, *target)}:
            kind = resource["resourceType"]
            raise FhirError(issue("HUB-REF-017", f"{kind}.{path}.reference"))


def _update_as_create(hub: Hub, session: Session, by: By, resource: Resource) -> Stored:
    """Only for the directory; an unknown and a hidden case id look alike (405)."""
    kind = resource["resourceType"]
    if kind not in DIRECTORY_TYPES:
        raise FhirError(issue("HUB-REST-004"))
    require_interaction(by.actor, "create", kind)
    require_valid(hub.knowledge, resource)
    return changes.create(session, by, resource, id=resource["id"])


def _case_of(session: Session, by: By, resource: Resource) -> Case | None:
    """The case a new resource is about: all that it refers to must be in it.

    Of several the newest open one in which the actor takes part; 422 HUB-REF-017 when
    the references lead into different cases.
    """
    common: dict[str, Case] | None = None
    for _path, element in references.walk(resource):
        target = references.split(element["reference"])
        if target is None or target[0] not in CASE_TYPES:
            continue
        found = {case.id: case for case in cases.of_resource(session, *target)}
        if not found:
            continue
        kept = found if common is None else {k: found[k] for k in common if k in found}
        if not kept:
            raise FhirError(issue("HUB-REF-017", resource["resourceType"]))
        common = kept
    own = [
        case
        for case in (common or {}).values()
        if _takes_part(session, case.id, by.actor.organisation)
    ]
    return min(own, key=lambda case: case.closed_at is not None, default=None)


def _is_of_a_case(session: Session, resource: Resource) -> bool:
    """True when it speaks of something in a case: then it is nobody's draft."""
    targets = (references.split(e["reference"]) for _, e in references.walk(resource))
    return any(cases.of_resource(session, *target) for target in targets if target)


def _takes_part(session: Session, case_id: str, organisation: str) -> bool:
    held = grants.held(session, case_id, organisation)
    return any(grant["role"] in ("recipient", "source") for grant in held)
