"""read and vread: hidden equals absent (security.md G4)."""

from hub.actor import Actor
from hub.disclosure.grants import visible_to
from hub.fhir.json import encode
from hub.fhir.outcome import FhirError, issue
from hub.restful import answers, contents
from hub.restful.answers import Answer
from hub.restful.call import Call, is_known, require_interaction, require_parameters
from hub.restful.hub import Hub
from hub.restful.privacy import read_audit
from hub.restful.summary import require_summary, subset
from hub.restful.visible import record_read, require_visible
from hub.store import resources as store
from hub.store.resources import Stored


def read(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T/id."""
    require_interaction(actor, "read", call.resource_type)
    if call.resource_type == "AuditEvent":
        require_parameters(call)
        with hub.database.transaction(write=False) as session:
            return read_audit(session, actor, call.id)
    shown = _shown(call)
    with hub.database.transaction(write=False) as session:
        stored = require_visible(session, actor, call.resource_type, call.id)
        record_read(session, actor, "read", stored)
    if stored.deleted:
        raise FhirError(issue("HUB-REST-010"))
    if is_known(stored, call.header("if-none-match"), call.header("if-modified-since")):
        return Answer(304, headers=answers.version_headers(stored))
    return _part(call, stored, shown)


def vread(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET /T/id/_history/v."""
    require_interaction(actor, "vread", call.resource_type)
    shown, type_ = _shown(call), call.resource_type
    with hub.database.transaction(write=False) as session:
        seen = visible_to(actor)
        stored = store.vread(session, type_, call.id, call.version, seen)
        if stored is None:
            raise FhirError(issue("HUB-REST-001"))
        record_read(session, actor, "vread", stored)
    if stored.deleted:
        raise FhirError(issue("HUB-REST-010"))
    return _part(call, stored, shown)


def _shown(call: Call) -> tuple[str | None, tuple[str, ...]]:
    """`_summary` and `_elements` of a read."""
    asked = require_parameters(call, "_summary", "_elements")
    summary = asked.get("_summary")
    elements = tuple(filter(None, asked.get("_elements", "").split(",")))
    if summary not in (None, "true", "text", "data", "false"):
        raise FhirError(issue("HUB-SEARCH-008", parameter="_summary"))
    summary = None if summary == "false" else summary
    require_summary(summary, elements)
    return summary, elements


def _part(
    call: Call, stored: Stored, shown: tuple[str | None, tuple[str, ...]]
) -> Answer:
    if contents.wants_native(call):
        return contents.native(stored)
    if shown == (None, ()):
        return answers.of_resource(stored)
    part = subset(stored.resource(), *shown)
    return Answer(200, encode(part), answers.version_headers(stored))
