"""The one door: batch and transaction (rest.md F11-F13, architecture.md §3).

A transaction is judged whole before its first row is stored: structure, scopes, form
rules, references, and for a referral the consent gate and the routing. Whatever
fails afterwards rolls everything back.
"""

from copy import deepcopy
from functools import partial
from http import HTTPStatus
from typing import Any

from hub import audit
from hub.actor import Actor
from hub.changes import By
from hub.database import Session
from hub.disclosure import cases
from hub.faults import retried
from hub.fhir import dates
from hub.fhir.json import Resource, encode
from hub.fhir.outcome import FhirError, Issue, issue, operation_outcome, require_none
from hub.restful import answers, replay
from hub.restful.answers import Answer
from hub.restful.bundle import Entry, read_bundle, require_distinct
from hub.restful.call import (
    Call,
    require_interaction,
    require_parameters,
)
from hub.restful.checks import form_issues, require_valid
from hub.restful.formats import read_resource
from hub.restful.history import require_system
from hub.restful.hub import Hub
from hub.restful.refusals import of_entry, refused
from hub.restful.served import SERVED
from hub.restful.single import Done, place_of, run_alone
from hub.restful.whole import Whole


def batch_or_transaction(hub: Hub, actor: Actor, call: Call) -> Answer:
    """POST to the base."""
    require_parameters(call)
    bundle = read_resource(hub, call)
    if bundle["resourceType"] != "Bundle":
        raise FhirError(issue("HUB-REST-013", "resourceType"))
    limit = hub.settings.max_bundle_entries
    entries = read_bundle(bundle, f"{hub.base}/", limit)
    key = replay.key_of(call)
    if bundle["type"] == "batch":
        if key is not None:
            # Its entries are acts of their own: one key cannot stand for them.
            raise FhirError(issue("HUB-REST-018", name="Idempotency-Key"))
        return answers.of_json(_batch(hub, actor, call, entries))
    require_sound(hub, actor, bundle, entries)
    with hub.database.transaction() as session:
        response = process(hub, session, actor, entries, key, call.body, call.prefers)
    _committed(hub, entries)
    return Answer(200, response)


def require_sound(
    hub: Hub, actor: Actor, bundle: Resource, entries: list[Entry]
) -> None:
    """Refuse what no database is needed to refuse, before a writer waits for it."""
    require_distinct(entries)
    for entry in entries:
        _require_known(entry)
        _require_scope(hub, actor, entry)
    require_valid(hub.knowledge, bundle)
    require_none([i for e in entries for i in _form_issues(hub, e)])


def process(
    hub: Hub,
    session: Session,
    actor: Actor,
    entries: list[Entry],
    key: str | None = None,
    body: bytes = b"",
    prefers: str | None = None,
) -> bytes:
    """One sound transaction, in the caller's own; the response as bytes.

    `key` is the sender's Idempotency-Key and `body` what came with it; `prefers` as
    in `Prefer: return=`.
    """
    by = By(actor)
    said = replay.content_of(entries, body)
    known = replay.find(session, actor, key, entries, body, said)
    if known is None:
        whole = Whole(hub, session, by, entries)
        done = whole.run()
        known = whole.known
    if known is not None:
        _record_replay(session, by, known)
        return known
    made = [_response_entry(entry, done[entry.index], prefers) for entry in entries]
    response = encode(_response("transaction-response", made))
    replay.keep(session, actor, key, entries, body, response, by.at, said, whole.made)
    return response


def _record_replay(session: Session, by: By, known: bytes) -> None:
    """An answer given again: whom it shows is disclosed again."""
    patients = cases.patients_of(session, replay.shown(known))
    audit.record(
        session,
        by.actor,
        "transaction",
        patients=[f"Patient/{id}" for id in sorted(patients)],
        at=by.at,
    )


def _committed(hub: Hub, entries: list[Entry]) -> None:
    """What follows a commit before it is acknowledged."""
    hub.wake()
    types = {entry.type for entry in entries}
    if "Consent" in types and "ServiceRequest" not in types:
        # Not a new referral: it may be a withdrawal, anchored at once.
        hub.anchor()


def _batch(hub: Hub, actor: Actor, call: Call, entries: list[Entry]) -> dict[str, Any]:
    """Each entry its own transaction; one that fails leaves the others alone (F12)."""
    results = []
    for entry in entries:
        try:
            done = retried(partial(_do, hub, actor, entry))
            results.append(_response_entry(entry, done, call.prefers))
        except Exception as error:  # noqa: BLE001 - the others were stored already
            attempt = of_entry(entry, call.request_id)
            results.append(_failed(refused(hub, actor, attempt, error)))
    _committed(hub, entries)
    return _response("batch-response", results)


def _do(hub: Hub, actor: Actor, entry: Entry) -> Done:
    # A copy: what is stored is a changed resource, and the entry may be tried again.
    tried = deepcopy(entry)
    with hub.database.transaction() as session:
        _require_scope(hub, actor, tried)
        return run_alone(hub, session, By(actor), tried)


_OF_ALL_TYPES = ("history-system", "search-system")


def _require_known(entry: Entry) -> None:
    """A transaction with a route that does not exist is malformed (F13)."""
    if entry.type not in SERVED and entry.interaction not in _OF_ALL_TYPES:
        raise FhirError(issue("HUB-REST-014", f"{entry.path}.request.url"))


def _require_scope(hub: Hub, actor: Actor, entry: Entry) -> None:
    interaction = entry.interaction
    if interaction == "history-system":
        require_system(actor)
        return
    if interaction == "search-system":
        return  # its types stand in the query: asked where that is understood
    if entry.within:
        place_of(hub, actor, entry)
        return
    require_interaction(actor, interaction, entry.type)
    is_conditional = not entry.is_read and entry.query is not None
    if entry.if_none_exist is not None or is_conditional:
        require_interaction(actor, "search-type", entry.type)


def _form_issues(hub: Hub, entry: Entry) -> list[Issue]:
    if entry.resource is None:
        return []
    return form_issues(hub.knowledge, entry.resource, f"{entry.path}.resource")


def _response(kind: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    return {**bundle, "entry": entries} if entries else bundle


def _response_entry(entry: Entry, done: Done, prefers: str | None) -> dict[str, Any]:
    response: dict[str, Any] = {"status": done.status}
    if done.stored is not None:
        stored = done.stored
        response["location"] = f"{stored.reference}/_history/{stored.version}"
        response["etag"] = stored.etag
        response["lastModified"] = dates.instant(stored.last_updated)
    if done.note is not None:
        response["outcome"] = operation_outcome([done.note])
    elif prefers == "OperationOutcome" and not entry.is_read:
        id = "HUB-REST-049" if entry.method == "DELETE" else "HUB-REST-027"
        told = issue(id, severity="information")
        response["outcome"] = operation_outcome([told])
    answered: dict[str, Any] = {"response": response}
    if done.answer is not None and done.answer.body:
        answered["resource"] = answers.embedded(done.answer.body)
    elif (
        prefers == "representation"
        and not entry.is_read
        and done.stored
        and done.stored.body
    ):
        answered["resource"] = answers.embedded(done.stored.body)
    return answered


def _failed(issues: tuple[Issue, ...]) -> dict[str, Any]:
    status = FhirError(*issues).status
    return {
        "response": {
            "status": f"{status} {HTTPStatus(status).phrase}",
            "outcome": operation_outcome(issues),
        }
    }
