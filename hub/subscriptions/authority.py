"""May this message leave now? Asked in the transaction that starts the send (S10).

A notification tells that something happened in a case. So the owner's authority is
asked again, as at each read: client enabled and allowed to read Tasks, grants still
open. What may not leave is withheld for good; its events keep their numbers, so the
count stays true and numbers stay unique, and `$events` shows them only to whom may see
them. A receiver that notices the gap asks there.
"""

from datetime import datetime

from hub.actor import Actor
from hub.database import Session
from hub.delivery.outbox import Envelope
from hub.disclosure import cases, grants
from hub.smart import clients, scopes
from hub.store import resources as store
from hub.subscriptions import events, registry
from hub.subscriptions.registry import Subscription


def may_leave(session: Session, envelope: Envelope, at: datetime) -> bool:
    """True for a message that its subscription's owner may get at this moment.

    Locks the grants it rests on: a withdrawal waits, or has been (security.md §3).
    """
    to = registry.of_destination(session, envelope.organisation)
    if to is None or to.is_over(at) or not _may_read(session, to):
        return False
    if envelope.kind == "handshake":
        return to.status == "requested" and to.handshake == envelope.id
    if not to.is_verified:
        return False
    focuses = events.of_message(session, to.id, envelope.id)
    if envelope.kind == "heartbeat":
        return True
    return bool(focuses) and all(_is_seen(session, to, one, at) for one in focuses)


def may_see(session: Session, organisation: str, focus: str, at: datetime) -> bool:
    """True when an organisation may see the focus of an event."""
    kind, _, id = focus.partition("/")
    visible = grants.visible_to(Actor("", organisation), at)
    found = store.read(session, kind, id, visible)
    return found is not None and not found.deleted


def _may_read(session: Session, to: Subscription) -> bool:
    client = clients.find(session, to.client_id)
    if client is None or not client.enabled:
        return False
    actor = Actor("", to.organisation, frozenset(scopes.parse(client.scopes)))
    return actor.may("r", "Task")


def _is_seen(session: Session, to: Subscription, focus: str, at: datetime) -> bool:
    kind, _, id = focus.partition("/")
    for case in cases.of_resource(session, kind, id):
        for held in grants.held(session, case.id, to.organisation, at):
            grants.is_open(session, held["id"], at)
    return may_see(session, to.organisation, focus, at)
