"""The one door: batch and transaction (rest.md F11-F13, architecture.md §3).

A transaction is judged whole before its first row is stored: structure, scopes, form
rules, references, and for a referral the consent gate and the routing. Whatever
fails afterwards rolls everything back.
"""

import uuid
from typing import Any

from hub import changes
from hub.actor import Actor
from hub.changes import Belonging, By
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.classes import class_of
from hub.disclosure.grants import visible_to
from hub.fhir import dates, references
from hub.fhir.json import Resource, decode, encode
from hub.fhir.outcome import FhirError, issue, operation_outcome, require_none
from hub.referrals import submit
from hub.referrals.submission import Parts, Submission, check, is_submission
from hub.restful import answers, replay
from hub.restful.answers import Answer
from hub.restful.bundle import Entry, read_bundle, require_distinct
from hub.restful.call import Call, require_interaction, require_json
from hub.restful.checks import form_issues, require_valid
from hub.restful.hub import Hub
from hub.restful.served import CASE_TYPES, Interaction
from hub.restful.single import run_alone
from hub.restful.write import conditional
from hub.store import resources as store
from hub.store.resources import Stored

_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3}
_INTERACTIONS: dict[str, Interaction] = {
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


def batch_or_transaction(hub: Hub, actor: Actor, call: Call) -> Answer:
    """POST to the base."""
    require_json(call)
    bundle = decode(call.body, hub.settings.max_depth)
    if bundle["resourceType"] != "Bundle":
        raise FhirError(issue("HUB-REST-013", "resourceType"))
    limit = hub.settings.max_bundle_entries
    entries = read_bundle(bundle, f"{hub.base}/", limit)
    if bundle["type"] == "batch":
        return answers.of_json(_batch(hub, actor, call, entries))
    key = call.header("idempotency-key")
    with hub.database.transaction() as session:
        response = process(hub, session, actor, bundle, entries, key, call.body)
    hub.wake()
    return Answer(200, response)


def process(
    hub: Hub,
    session: Session,
    actor: Actor,
    bundle: Resource,
    entries: list[Entry],
    key: str | None = None,
    body: bytes = b"",
) -> bytes:
    """One transaction, in the caller's database transaction; the response as bytes."""
    by = By(actor)
    require_distinct(entries)
    for entry in entries:
        _require_scope(actor, entry)
    require_valid(hub.knowledge, bundle)
    require_none(
        [i for e in entries for i in _form_issues(hub, e)],
    )
    known = replay.find(session, actor, key, entries, body)
    if known is not None:
        return known
    stored = _Transaction(hub, session, by, entries).run()
    response = encode(_response(hub, entries, stored, "transaction-response"))
    replay.keep(session, actor, key, entries, body, response, by.at)
    return response


class _Transaction:
    """The steps of one transaction over shared state: ids, parts, results."""

    def __init__(
        self, hub: Hub, session: Session, by: By, entries: list[Entry]
    ) -> None:
        self.hub, self.session, self.by, self.entries = hub, session, by, entries
        self.ids: dict[int, str] = {}
        self.found: dict[int, Stored] = {}

    def run(self) -> dict[int, Stored | Answer]:
        self._assign_ids()
        self._rewrite_references()
        submission = self._submission()
        if submission is not None:
            return self._submit(submission)
        return self._write_all()

    def _assign_ids(self) -> None:
        for entry in self.entries:
            if entry.method != "POST":
                continue
            if entry.if_none_exist is not None:
                match = conditional(
                    self.hub,
                    self.session,
                    self.by.actor,
                    entry.type,
                    entry.if_none_exist,
                )
                if match is not None:
                    self.found[entry.index] = match
                    continue
            self.ids[entry.index] = str(uuid.uuid4())

    def _rewrite_references(self) -> None:
        """`urn:uuid`, own absolute and conditional references become Type/id."""
        urls = {
            entry.full_url: self._reference(entry)
            for entry in self.entries
            if entry.full_url and entry.method in ("POST", "PUT")
        }
        for entry in self.entries:
            if entry.resource is not None and entry.method in ("POST", "PUT"):
                for path, element in references.walk(entry.resource):
                    element["reference"] = self._resolved(
                        urls, element["reference"], f"{entry.path}.resource.{path}"
                    )

    def _reference(self, entry: Entry) -> str:
        if entry.index in self.found:
            return self.found[entry.index].reference
        return f"{entry.type}/{entry.id or self.ids[entry.index]}"

    def _resolved(self, urls: dict[str, str], reference: str, path: str) -> str:
        if reference in urls:
            return urls[reference]
        if reference.startswith("#"):
            return reference
        if reference.startswith("urn:"):
            raise FhirError(issue("HUB-REST-016", path))
        if "?" in reference:
            kind, _, criteria = reference.partition("?")
            match = conditional(self.hub, self.session, self.by.actor, kind, criteria)
            if match is None:
                raise FhirError(issue("HUB-REST-016", path))
            return match.reference
        target = references.split(reference, self.hub.base)
        if target is None:
            return reference
        own = f"{target[0]}/{target[1]}"
        if own in urls.values() or not self._is_checked(target[0]):
            return own
        # Dangling and hidden give the same error (rest.md §5).
        found = store.read(self.session, *target, visible_to(self.by.actor))
        if found is None or found.deleted:
            raise FhirError(issue("HUB-REST-016", path))
        return own

    def _is_checked(self, kind: str) -> bool:
        return kind in CASE_TYPES

    def _submission(self) -> Submission | None:
        posted = [e for e in self.entries if e.method == "POST" and e.resource]
        parts = Parts(
            {self._reference(e): e.resource for e in posted if e.resource},
            {self._reference(e): e.index for e in posted},
        )
        if not is_submission(parts):
            return None
        return check(self.session, self.hub.knowledge, self.by.actor, parts, self.by.at)

    def _submit(self, submission: Submission) -> dict[int, Stored | Answer]:
        knowledge, actor = self.hub.knowledge, self.by.actor
        correlation = submit.complete(submission, knowledge, self.by)
        case = submit.new_case(submission, actor.organisation, correlation, self.by)
        cases.open_case(self.session, case, self.by.at)
        stored: dict[int, Stored | Answer] = {}
        for entry in self.entries:
            if entry.index in self.found:
                stored[entry.index] = self.found[entry.index]
            elif entry.method == "POST" and entry.resource is not None:
                place = Belonging(
                    (case.id,),
                    class_of(entry.resource, by_recipient=False),
                    case.patient,
                )
                stored[entry.index] = changes.create(
                    self.session,
                    self.by,
                    entry.resource,
                    place,
                    id=self.ids[entry.index],
                )
            else:
                raise FhirError(issue("HUB-REST-014", f"{entry.path}.request.method"))
        submit.open_case(self.session, knowledge, self.by, case, submission)
        return stored

    def _write_all(self) -> dict[int, Stored | Answer]:
        done: dict[int, Stored | Answer] = dict(self.found)
        for entry in sorted(self.entries, key=lambda e: _ORDER[e.method]):
            if entry.index not in done:
                done[entry.index] = run_alone(
                    self.hub, self.session, self.by, entry, self.ids.get(entry.index)
                )
        return done


def _batch(hub: Hub, actor: Actor, call: Call, entries: list[Entry]) -> dict[str, Any]:
    """Each entry its own transaction; one that fails leaves the others alone (F12)."""
    from hub.restful.refusals import audit_refusal

    del call
    results = []
    for entry in entries:
        try:
            with hub.database.transaction() as session:
                _require_scope(actor, entry)
                done = run_alone(hub, session, By(actor), entry, None)
            results.append(_response_entry(hub, entry, done))
        except FhirError as error:
            audit_refusal(hub, actor, entry.method, error.issues)
            results.append(
                {
                    "response": {
                        "status": str(error.status),
                        "outcome": operation_outcome(error.issues),
                    }
                }
            )
    hub.wake()
    return {"resourceType": "Bundle", "type": "batch-response", "entry": results}


def _require_scope(actor: Actor, entry: Entry) -> None:
    if entry.method == "GET":
        require_interaction(actor, "read" if entry.id else "search-type", entry.type)
    else:
        require_interaction(actor, _INTERACTIONS[entry.method], entry.type)
    if entry.if_none_exist is not None:
        require_interaction(actor, "search-type", entry.type)


def _form_issues(hub: Hub, entry: Entry) -> list[Any]:
    if entry.resource is None:
        return []
    return form_issues(hub.knowledge, entry.resource, f"{entry.path}.resource")


def _response(
    hub: Hub, entries: list[Entry], done: dict[int, Stored | Answer], kind: str
) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [_response_entry(hub, e, done[e.index]) for e in entries],
    }


def _response_entry(hub: Hub, entry: Entry, done: Stored | Answer) -> dict[str, Any]:
    if isinstance(done, Answer):
        answered: dict[str, Any] = {"response": {"status": str(done.status)}}
        if done.body:
            answered["resource"] = decode(done.body, hub.settings.max_depth * 2)
        return answered
    created = entry.method == "POST" and done.version == 1
    status = "201 Created" if created else "200 OK"
    if entry.method == "DELETE":
        status = "204 No Content"
    return {
        "response": {
            "status": status,
            "location": f"{done.reference}/_history/{done.version}",
            "etag": done.etag,
            "lastModified": dates.instant(done.last_updated),
        }
    }
