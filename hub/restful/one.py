"""The pipelines of one resource outside a submission: each a list that reads aloud.

Shared by the single interactions, batch and transaction; the caller has the session.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from hub import changes, subscribing
from hub.changes import Belonging, By
from hub.database import Session
from hub.disclosure import cases, grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import PUBLIC_TYPES, class_of
from hub.disclosure.grants import visible_to
from hub.fhir import dates, references
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.referrals.advance import after_new_task, after_task
from hub.referrals.amend import require_no_refusal
from hub.referrals.gates import require_dated
from hub.referrals.rules import (
    require_author,
    require_consent_change,
    require_new_task,
    require_task_change,
)
from hub.referrals.withdraw import after_consent
from hub.restful import contents, documents
from hub.restful.artefacts import require_not_ours, require_publishable
from hub.restful.call import require_interaction, require_scope
from hub.restful.checks import require_rules, require_valid
from hub.restful.hub import Hub
from hub.restful.linking import Linker
from hub.restful.members import MEMBERSHIPS, require_members
from hub.restful.patching import patched
from hub.restful.people import require_about
from hub.restful.reports import is_own, require_nameless, require_report_change
from hub.restful.served import CASE_TYPES
from hub.restful.visible import patient_of
from hub.store import resources as store
from hub.store.resources import Stored

DRAFT_DAYS = 7


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
    if kind in PUBLIC_TYPES:
        require_publishable(hub, session, by.actor, resource, id)
        return changes.create(session, by, resource, id=id)
    if kind == "Subscription":
        require_scope(by.actor, "r", "Task")  # else it would be accepted and mute
        return subscribing.create(session, hub.subscribable, by, resource, id)
    belonging = require_permit(hub, session, by, resource)
    stored = changes.create(session, by, resource, belonging, id=id)
    if not belonging.cases:
        draft = by.at + timedelta(days=DRAFT_DAYS)
        expires = cases.NEVER if is_own(resource) else draft
        key = (stored.type, stored.id)
        cases.keep_draft(session, key, by.actor.organisation, expires)
    elif kind in MEMBERSHIPS and not is_linked:
        require_members(session, by.actor, {**resource, "id": stored.id})
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
    linker: Linker | None = None,
) -> tuple[Stored, bool]:
    """The pipeline of one update; the second value says that it created.

    `linker` is that of the transaction it is part of, unless it was linked already.
    """
    kind, id = resource["resourceType"], resource["id"]
    require_interaction(by.actor, interaction, kind)
    before = store.read(session, kind, id, visible_to(by.actor))
    if before is None or before.deleted:
        return _update_as_create(hub, session, by, resource, before), True
    require_unchanged(before, expected)
    require_valid(hub.knowledge, resource)
    require_rules(hub.knowledge, resource)
    if not is_linked:
        linker = linker or Linker(hub, session, by.actor, {})
        linker.link(resource, kind, is_new=False)
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
    *,
    linker: Linker | None = None,
) -> Stored:
    """The pipeline of one patch of a resource that was read: an update's."""
    if before.deleted:
        raise FhirError(issue("HUB-REST-010"))
    require_unchanged(before, expected)
    after = patched(hub, before.resource(), operations)
    stored, _ = update_one(
        hub, session, by, after, expected, interaction="patch", linker=linker
    )
    return stored


def delete_one(hub: Hub, session: Session, by: By, before: Stored) -> Stored:
    """Delete what was read, once; nothing that belongs to a case (HUB-REF-016)."""
    if before.deleted:
        return before
    require_not_ours(hub, before.resource())
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
    if is_own(resource):
        require_nameless(resource)
        return Belonging()
    part = resource
    if kind == "Bundle":
        part = documents.as_part(session, by.actor, resource, hub.base)
    case = _case_of(session, by, part)
    if case is not None:
        if case.closed_at is not None:
            raise FhirError(issue("HUB-REF-023", kind))
        if kind == "Task":
            require_new_task(session, by.actor, resource, case)
        if kind == "Bundle":
            documents.require_one_person(resource, case.patient, hub.base, kind)
        if kind == "Consent":
            require_dated(session, case, resource, by.at)
        require_about(resource, case.patient)
        require_no_refusal(hub.knowledge, case, resource, kind)
        return _belonging(session, by, case, resource)
    if (
        hub.settings.keeps_drafts
        and kind != "Task"
        and not _is_of_a_case(session, part)
    ):
        return Belonging()
    raise FhirError(issue("HUB-CON-012", kind))


def _belonging(session: Session, by: By, case: Case, resource: Resource) -> Belonging:
    author = by.actor.organisation
    data_class = class_of(resource, by_recipient=author != case.source)
    if resource["resourceType"] == "Binary":
        data_class = contents.class_in(session, case, resource, author, data_class)
    return Belonging((case.id,), data_class, case.patient)


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
    else:
        _require_kind_change(hub, session, by, old, resource)
    found = cases.of_resource(session, kind, resource["id"])
    if found and not any(
        _takes_part(session, case.id, by.actor.organisation) for case in found
    ):
        raise FhirError(issue("HUB-CON-012", kind))
    if found:
        own = {case.id for case in found}
        _require_own_references(session, by, old, resource, own)
    for case in found:
        if kind == "Consent":
            require_dated(session, case, resource, by.at)
        require_about(resource, case.patient)
        require_no_refusal(hub.knowledge, case, resource, kind)
    return resource


def _require_kind_change(
    hub: Hub, session: Session, by: By, old: Resource, resource: Resource
) -> None:
    """Who may change a resource of its type, and what of it may change."""
    kind = resource["resourceType"]
    if kind in PUBLIC_TYPES:
        require_publishable(hub, session, by.actor, resource, resource["id"], old)
    elif kind == "Consent":
        require_consent_change(session, by.actor, old, resource)
    else:
        require_author(session, by.actor, old)
    if kind == "Binary":
        contents.require_same_context(old, resource)
    elif kind == "MeasureReport":
        require_report_change(old, resource)
    elif kind in MEMBERSHIPS:
        require_members(session, by.actor, resource, old)


def _require_own_references(
    session: Session, by: By, old: Resource, resource: Resource, own: set[str]
) -> None:
    """A change newly refers to nothing that the caller sees in other cases alone.

    What it does not see, or what is not there, makes no update fail (rest.md §1).
    """
    before = {reference for _, reference in _mentions(old)}
    visible = visible_to(by.actor)
    for path, reference in _mentions(resource):
        target = references.split(reference)
        if reference in before or target is None:
            continue
        if target[0] not in CASE_TYPES or store.read(session, *target, visible) is None:
            continue
        if not own & {case.id for case in cases.of_resource(session, *target)}:
            kind = resource["resourceType"]
            raise FhirError(issue("HUB-REF-017", f"{kind}.{path}"))


def _mentions(resource: Resource) -> Iterator[tuple[str, str]]:
    """(FHIRPath, reference) of all that is referred to, Binaries of Attachments too."""
    for path, element in references.walk(resource):
        yield f"{path}.reference", element["reference"]
    for path, element in references.walk_urls(resource):
        if (references.split(element["url"]) or ("",))[0] == "Binary":
            yield f"{path}.url", element["url"]


def _update_as_create(
    hub: Hub, session: Session, by: By, resource: Resource, before: Stored | None
) -> Stored:
    """Only for what is public; an unknown and a hidden case id look alike (405).

    `before` is a version that was deleted: the resource comes back under its id.
    """
    kind, id = resource["resourceType"], resource["id"]
    if kind not in PUBLIC_TYPES:
        raise FhirError(issue("HUB-REST-004"))
    # SMART 2.2: the letter u includes the update that creates (security.md §2.2).
    require_valid(hub.knowledge, resource)
    Linker(hub, session, by.actor, {}).link(resource, kind, is_new=True)
    require_publishable(hub, session, by.actor, resource, id)
    if before is not None:
        return changes.update(session, by, resource, expected=before.version)
    return changes.create(session, by, resource, id=id)


def _case_of(session: Session, by: By, resource: Resource) -> Case | None:
    """The case a new resource is about: all that it refers to must be in it.

    Of several the newest open one in which the actor takes part; 422 HUB-REF-017 when
    the references lead into different cases.
    """
    common: dict[str, Case] | None = None
    for _path, reference in _mentions(resource):
        target = references.split(reference)
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
    targets = (references.split(reference) for _, reference in _mentions(resource))
    return any(cases.of_resource(session, *target) for target in targets if target)


def _takes_part(session: Session, case_id: str, organisation: str) -> bool:
    held = grants.held(session, case_id, organisation)
    return any(grant["role"] in ("recipient", "source") for grant in held)
