"""The life of a Subscription: asked for, shaken hands with, changed, failed, ended.

Its resource is written by `changes`, its row, events and messages by `subscriptions`.
The status belongs to the hub: a client may ask for `requested` (again) or `off`.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hub import changes
from hub.changes import By, Rewriting
from hub.database import Session
from hub.delivery import operate
from hub.delivery.addresses import target
from hub.disclosure import cases
from hub.fhir.dates import micros
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue, require_none
from hub.store import resources as store
from hub.store.resources import Stored
from hub.store.visibility import hub_sees_all
from hub.subscriptions import events, headers, registry, secrets
from hub.subscriptions.judge import Rules, Wanted, judge
from hub.subscriptions.registry import Subscription

MOST = 100  # of one organisation (AB26)
# What an endpoint has to be asked about again when it changes.
_CHANNEL = ("endpoint", "payload", "content", "headers")


def create(
    session: Session, rules: Rules, by: By, resource: Resource, id: str | None = None
) -> Stored:
    """Store a new Subscription as `requested` and queue its handshake (S1, S2).

    `id` is the hub's own choice.
    Raises FhirError HUB-SUB-001 to -012 with all that is wrong, -018 for too many.
    """
    wanted, wrong = judge(rules, resource, by.at)
    if wanted is None:
        raise FhirError(*wrong)
    given, unknown = headers.merged(wanted.headers, {})
    require_none(unknown)
    if registry.number_of(session, by.actor.organisation) >= MOST:
        raise FhirError(issue("HUB-SUB-018", most=MOST))
    shown = _shown(resource, wanted, "requested", None)
    stored = changes.create(session, by, shown, id=id)
    cases.keep_own(session, (stored.type, stored.id), by.actor.organisation)
    new = Subscription(
        id=stored.id,
        organisation=by.actor.organisation,
        client_id=by.actor.client_id,
        status="requested",
        is_verified=False,
        handshake=None,
        events=0,
        errors=(),
        heartbeat_at=None,
        **_columns(rules, stored.id, wanted, given),
    )
    registry.add(session, new)
    _shake(session, new, by.at)
    return stored


def update(
    session: Session,
    rules: Rules,
    by: By,
    before: Stored,
    resource: Resource,
    interaction: Rewriting = "update",
) -> Stored:
    """Store a change; asked for again, or to another endpoint, it must shake hands.

    Raises as `create`.
    """
    old = registry.find(session, before.id, lock=True)
    if old is None:
        raise FhirError(issue("HUB-REST-001"))
    wanted, wrong = judge(rules, resource, by.at)
    if wanted is None:
        raise FhirError(*wrong)
    stored_headers = secrets.unseal(rules.keys, old.id, old.headers) or {}
    # Credentials never cross hosts: who names another one gives them anew.
    kept = stored_headers if _is_same_host(old.endpoint, wanted.endpoint) else {}
    given, unknown = headers.merged(wanted.headers, kept)
    require_none(unknown)
    columns = _columns(rules, old.id, wanted, given)
    is_other = given != stored_headers or any(
        columns[name] != getattr(old, name) for name in _CHANNEL if name != "headers"
    )
    status = _next(old.status, resource["status"], is_other=is_other)
    new = replace(
        old,
        **columns,
        client_id=by.actor.client_id,
        status=status,
        is_verified=old.is_verified and status in ("active", "error"),
        heartbeat_at=_next_beat(wanted.heartbeat, by.at),
    )
    registry.replace(session, new)
    if status in ("requested", "off"):
        events.take_back(session, new, by.at)
    if status == "requested":
        _shake(session, new, by.at)
    error = new.errors[-1][1] if status == "error" and new.errors else None
    shown = _shown(resource, wanted, status, error)
    return changes.update(
        session, by, shown, expected=before.version, interaction=interaction
    )


def delete(session: Session, id: str, at: datetime) -> None:
    """What goes with the resource: nothing is sent any more, its events are gone."""
    found = registry.find(session, id, lock=True)
    if found is not None:
        events.forget(session, found, at)
        registry.remove(session, id)


def arrived(session: Session, hub: By, id: str, message: str, kind: str) -> None:
    """The endpoint took a message: active, and what waited for it is queued."""
    at = hub.at
    found = registry.find(session, id, lock=True)
    if found is None or found.is_over(at):
        return
    if kind == "handshake":
        if found.handshake != message or found.status != "requested":
            return  # of an endpoint that was changed meanwhile
    elif not found.is_verified:
        return
    new = replace(
        found,
        status="active",
        is_verified=True,
        heartbeat_at=_next_beat(found.heartbeat, at),
    )
    registry.replace(session, new)
    if not found.is_verified:
        events.queue_waiting(session, new, at)
    if found.status != "active":
        _say(session, hub, new, None)


def failed(
    session: Session,
    hub: By,
    id: str,
    message: str,
    kind: str,
    reason: str,
    *,
    is_down: bool,
) -> None:
    """The endpoint did not take a message: among the last errors; `error` when down.

    A handshake or heartbeat that fails means down by itself (S2).
    """
    found = registry.find(session, id, lock=True)
    if found is None or found.status == "off":
        return
    is_handshake = kind == "handshake"
    if is_handshake and found.handshake != message:
        return
    if not is_handshake and not found.is_verified:
        # It was being sent when a new handshake was asked for: that comes first.
        operate.cancel(session, [message], at=hub.at)
        return
    errors = registry.with_error(found.errors, hub.at, reason)
    is_error = is_down or kind in ("handshake", "heartbeat")
    status = "error" if is_error else found.status
    new = replace(found, errors=errors, status=status)
    registry.replace(session, new)
    if status != found.status:
        _say(session, hub, new, reason)


def tend(session: Session, hub: By, id: str) -> None:
    """Send a heartbeat that is due, or turn off what has come to its end."""
    at = hub.at
    found = registry.find(session, id, lock=True)
    if found is None or found.status == "off":
        return
    if found.is_over(at):
        new = replace(found, status="off", is_verified=False, heartbeat_at=None)
        registry.replace(session, new)
        events.take_back(session, new, at)
        _say(session, hub, new, None)
        return
    if found.heartbeat_at is None or found.heartbeat_at > micros(at):
        return
    registry.replace(
        session, replace(found, heartbeat_at=_next_beat(found.heartbeat, at))
    )
    if found.is_verified:
        events.send(session, found, "heartbeat", at)


def _shake(session: Session, new: Subscription, at: datetime) -> None:
    registry.replace(
        session, replace(new, handshake=events.send(session, new, "handshake", at))
    )


def _is_same_host(one: str, other: str) -> bool:
    first, second = target(one), target(other)
    if first is None or second is None:
        return False
    return replace(first, url="") == replace(second, url="")


def _next(current: str, asked: str, *, is_other: bool) -> str:
    """The status after an update that says `asked`; a stale one means no change."""
    if asked == "off":
        return "off"
    wakes = asked == "active" and current in ("error", "off")
    if asked == "requested" or wakes:
        return "requested"
    return "requested" if is_other and current != "off" else current


def _next_beat(period: int | None, at: datetime) -> int | None:
    return micros(at + timedelta(seconds=period)) if period else None


def _columns(
    rules: Rules, id: str, wanted: Wanted, given: dict[str, str]
) -> dict[str, Any]:
    return {
        "base": rules.base,
        "topic": wanted.topic,
        "filters": wanted.filters,
        "endpoint": wanted.endpoint,
        "payload": wanted.payload,
        "content": wanted.content,
        "headers": secrets.seal(rules.keys, id, given),
        "heartbeat": wanted.heartbeat,
        "timeout": wanted.timeout,
        "max_count": wanted.max_count,
        "ends": micros(wanted.ends) if wanted.ends else None,
    }


def _shown(
    resource: Resource, wanted: Wanted, status: str, error: str | None
) -> Resource:
    """The resource as it is stored: our status and error, headers masked (S10)."""
    shown = {k: v for k, v in resource.items() if k != "error"} | {"status": status}
    if error:
        shown["error"] = error
    if wanted.headers:
        masked = headers.masked(wanted.headers)
        shown["channel"] = {**resource["channel"], "header": masked}
    return shown


def _say(session: Session, hub: By, of: Subscription, error: str | None) -> None:
    """Write the status into the resource, as the hub."""
    stored = store.read(session, "Subscription", of.id, hub_sees_all)
    if stored is None or stored.deleted:
        return
    resource = {k: v for k, v in stored.resource().items() if k != "error"}
    resource["status"] = of.status
    if error:
        resource["error"] = error
    changes.update(session, hub, resource, expected=stored.version)
