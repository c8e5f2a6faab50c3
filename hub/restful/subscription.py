"""Operations on Subscription: `$status` and `$events` of Backport 1.1, and our own."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.grants import visible_to
from hub.fhir import dates, references
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.fhir.search import TRANSPORT
from hub.restful import answers
from hub.restful.answers import Answer
from hub.restful.call import (
    Call,
    Pairs,
    require_parameters,
    require_scope,
)
from hub.restful.checks import require_valid
from hub.restful.formats import read_resource
from hub.restful.hub import Hub
from hub.restful.visible import require_visible
from hub.store import resources as store
from hub.subscriptions import authority, events, notification, registry, secrets
from hub.subscriptions.judge import CONTENTS
from hub.subscriptions.notification import Event, parameters
from hub.subscriptions.registry import Subscription

_KIND = "Subscription"
_STATUSES = ("requested", "active", "error", "off")
_LARGEST = 18  # digits of an event number


def status_of_one(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET or POST Subscription/[id]/$status; ids and statuses given are ignored."""
    require_scope(actor, "r", _KIND)
    _asked(hub, call, "id", "status")
    with hub.database.transaction(write=False) as session:
        found = _require(session, actor, call.id)
        _record(session, actor, [found])
    return answers.of_json(_searchset(hub, [found]))


def status_of_many(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET or POST Subscription/$status: of these ids and statuses, else of all."""
    require_scope(actor, "r", _KIND)
    asked = _asked(hub, call, "id", "status")
    ids, statuses = _listed(asked, "id"), _listed(asked, "status")
    if not set(statuses) <= set(_STATUSES):
        raise FhirError(issue("HUB-SUB-014", name="status"))
    with hub.database.transaction(write=False) as session:
        wanted = ids or registry.owned(session, actor.organisation)
        keys = [(_KIND, id) for id in wanted]
        seen = store.read_many(session, keys, visible_to(actor))
        rows = [registry.find(session, one.id) for one in seen if not one.deleted]
        found = [r for r in rows if r and (not statuses or r.status in statuses)]
        _record(session, actor, found)
    return answers.of_json(_searchset(hub, found))


def events_of_one(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET or POST Subscription/[id]/$events: a range of numbers, both ends included.

    Of each event it is asked now whether the owner may see it. `content` is a hint:
    less than the subscription's own level is given, more never.
    """
    require_scope(actor, "r", _KIND)
    asked = _asked(hub, call, "eventsSinceNumber", "eventsUntilNumber", "content")
    since = _number(asked, "eventsSinceNumber", 1)
    until = _number(asked, "eventsUntilNumber", 10**_LARGEST - 1)
    content = _content(asked)
    most, at = hub.settings.max_page_size, dates.now()
    with hub.database.transaction(write=False) as session:
        of = _require(session, actor, call.id)
        found = events.between(session, of.id, since, until, most + 1)
        if len(found) > most:
            raise FhirError(issue("HUB-SUB-015", most=most))
        shown = [
            e for e in found if authority.may_see(session, of.organisation, e.focus, at)
        ]
        _record(session, actor, [of], shown)
    made = notification.bundle(of, "query-event", at, shown, content=content)
    return answers.of_json(made)


def fire(hub: Hub, actor: Actor, call: Call) -> Answer:
    """POST Subscription/[id]/$fire: one test event, numbered and sent as any other."""
    require_scope(actor, "u", _KIND)
    require_parameters(call)
    given = _parameters(hub, call)
    at = dates.now()
    with hub.database.transaction() as session:
        of = _require(session, actor, call.id)
        if of.status != "active" or of.is_over(at):
            raise FhirError(issue("HUB-SUB-013", "Subscription.status"))
        focus = _focus(hub, session, of, given, at)
        fired = events.happen(session, of, [focus], at)
        of = _require(session, actor, call.id)
        _record(session, actor, [of], fired)
    hub.wake()
    return answers.of_json(parameters(of, "query-event", fired))


def secret(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET Subscription/[id]/$secret: what verifies its notifications' signatures."""
    require_scope(actor, "u", _KIND)
    require_parameters(call)
    with hub.database.transaction(write=False) as session:
        of = _require(session, actor, call.id)
        _record(session, actor, [of])
    found = secrets.webhook_secrets(hub.subscribable.keys, of.id)[0]
    told = [{"name": "secret", "valueString": secrets.shown(found)}]
    return answers.of_json({"resourceType": "Parameters", "parameter": told})


def _require(session: Session, actor: Actor, id: str) -> Subscription:
    """404 for one that is unknown or another's, 410 for a deleted one."""
    stored = require_visible(session, actor, _KIND, id)
    if stored.deleted:
        raise FhirError(issue("HUB-REST-010"))
    found = registry.find(session, id)
    if found is None:
        raise FhirError(issue("HUB-REST-001"))
    return found


def _record(
    session: Session,
    actor: Actor,
    of: Sequence[Subscription],
    told: Sequence[Event] = (),
) -> None:
    kinds = (event.focus.partition("/") for event in told)
    patients = cases.patients_of(session, [(kind, id) for kind, _, id in kinds])
    audit.record(
        session,
        actor,
        "operation",
        targets=[f"{_KIND}/{one.id}" for one in of],
        patients=[f"Patient/{one}" for one in sorted(patients)],
        at=dates.now(),
    )


def _searchset(hub: Hub, found: Sequence[Subscription]) -> dict[str, Any]:
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(found),
        "link": [{"relation": "self", "url": f"{hub.base}/{_KIND}/$status"}],
    }
    entries = []
    for one in found:
        status = parameters(one, "query-status")
        entries.append(
            {
                "fullUrl": f"urn:uuid:{status['id']}",
                "resource": status,
                "search": {"mode": "match"},
            }
        )
    return {**bundle, "entry": entries} if entries else bundle


def _asked(hub: Hub, call: Call, *known: str) -> Pairs:
    """Parameters of the query and of a posted Parameters; 400 for any other."""
    asked = [(name, value) for name, value in call.query if name not in TRANSPORT]
    for index, one in enumerate(_parameters(hub, call)):
        values = [v for k, v in one.items() if k.startswith("value")]
        if len(values) != 1 or not isinstance(values[0], str):
            path = f"Parameters.parameter[{index}]"
            raise FhirError(issue("HUB-SUB-014", path, name=f"[{index}]"))
        asked.append((str(one.get("name")), values[0]))
    if not {name for name, _ in asked} <= set(known):
        raise FhirError(issue("HUB-SUB-016"))
    return tuple(asked)


def _parameters(hub: Hub, call: Call) -> list[Resource]:
    if call.method != "POST" or not call.body:
        return []
    given = read_resource(hub, call)
    if given["resourceType"] != "Parameters":
        raise FhirError(issue("HUB-REST-024", "Parameters", name="Parameters"))
    require_valid(hub.knowledge, given)
    found: list[Resource] = given.get("parameter", [])
    return found


def _listed(asked: Pairs, name: str) -> list[str]:
    """Values of a parameter, ORed by repetition and by comma."""
    texts = [value for key, value in asked if key == name]
    return [one for text in texts for one in text.split(",") if one]


def _single(asked: Pairs, name: str) -> str | None:
    found = [value for key, value in asked if key == name]
    if len(found) > 1:
        raise FhirError(issue("HUB-SUB-014", name=name))
    return found[0] if found else None


def _number(asked: Pairs, name: str, default: int) -> int:
    text = _single(asked, name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > _LARGEST:
        raise FhirError(issue("HUB-SUB-014", name=name))
    return int(text)


def _content(asked: Pairs) -> str:
    """`empty` when that is asked for; else the subscription's own level."""
    text = _single(asked, "content")
    if text not in (None, *CONTENTS, "full-resource"):
        raise FhirError(issue("HUB-SUB-014", name="content"))
    return "empty" if text == "empty" else ""


def _focus(
    hub: Hub,
    session: Session,
    of: Subscription,
    given: Sequence[Resource],
    at: datetime,
) -> str:
    """The focus of a test event: a Task the owner sees, else the Subscription."""
    if not given:
        return f"{_KIND}/{of.id}"
    path = "Parameters.parameter[0].value"
    if len(given) > 1 or given[0].get("name") != "focus":
        raise FhirError(issue("HUB-SUB-016", "Parameters.parameter"))
    reference = (given[0].get("valueReference") or {}).get("reference", "")
    target = references.split(reference, hub.base)
    if target is None or target[0] != "Task":
        raise FhirError(issue("HUB-SUB-017", path))
    focus = "/".join(target)
    if not authority.may_see(session, of.organisation, focus, at):
        raise FhirError(issue("HUB-SUB-017", path))
    return focus
