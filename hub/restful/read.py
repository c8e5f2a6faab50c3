"""read and vread: hidden equals absent (security.md G4)."""

from hub.actor import Actor
from hub.fhir.json import encode
from hub.fhir.outcome import FhirError, issue
from hub.restful import answers, contents
from hub.restful.answers import Answer
from hub.restful.call import (
    Call,
    Pairs,
    is_known,
    parameters,
    require_interaction,
    require_parameters,
)
from hub.restful.hub import Hub
from hub.restful.privacy import read_audit
from hub.restful.summary import require_summary, subset
from hub.restful.visible import read_and_record, record_read, require_version
from hub.store.resources import Stored

Shown = tuple[str | None, tuple[str, ...]]  # `_summary` and `_elements`


def read(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T/id."""
    require_interaction(actor, "read", call.resource_type)
    if call.resource_type == "AuditEvent":
        require_parameters(call)
        with hub.database.transaction(write=False) as session:
            return read_audit(hub, session, actor, call.id)
    shown = shown_of(call.query, lenient=call.is_lenient)
    with hub.database.disclosure() as session:
        stored = read_and_record(session, actor, call.resource_type, call.id)
    if stored.deleted:
        raise FhirError(issue("HUB-REST-010"))
    if is_known(stored, call.header("if-none-match"), call.header("if-modified-since")):
        return Answer(304, headers=answers.version_headers(stored))
    return part(call, stored, shown)


def vread(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T/id/_history/v."""
    require_interaction(actor, "vread", call.resource_type)
    shown = shown_of(call.query, lenient=call.is_lenient)
    type_ = call.resource_type
    with hub.database.disclosure() as session:
        stored = require_version(session, actor, type_, call.id, call.version)
        record_read(session, actor, "vread", stored)
    if stored.deleted:
        raise FhirError(issue("HUB-REST-010"))
    if is_known(stored, call.header("if-none-match"), call.header("if-modified-since")):
        return Answer(304, headers=answers.version_headers(stored))
    return part(call, stored, shown)


def shown_of(query: Pairs, *, lenient: bool = False) -> Shown:
    """`_summary` and `_elements` of a read."""
    asked = parameters(query, "_summary", "_elements", lenient=lenient)
    summary = asked.get("_summary")
    elements = tuple(filter(None, asked.get("_elements", "").split(",")))
    if summary not in (None, "true", "text", "data", "false"):
        raise FhirError(issue("HUB-SEARCH-008", parameter="_summary"))
    summary = None if summary == "false" else summary
    require_summary(summary, elements)
    return summary, elements


def part(call: Call | None, stored: Stored, shown: Shown) -> Answer:
    """The stored resource, or the part of it that was asked for.

    Without a call, an entry of a Bundle: always the resource.
    """
    if call is not None and contents.wants_native(call):
        return contents.native(stored)
    if shown == (None, ()):
        return answers.of_resource(stored)
    subsetted = subset(stored.resource(), *shown)
    return Answer(200, encode(subsetted), answers.version_headers(stored))
