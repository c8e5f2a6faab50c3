"""Between worker and subscriptions: where to, may it, how it went, what is due."""

import time
from collections.abc import Sequence
from datetime import datetime

from hub import subscribing
from hub.actor import Actor
from hub.changes import By
from hub.database import Database, Session
from hub.delivery import operate
from hub.delivery.connector import DeliveryError, Destination
from hub.delivery.outbox import Envelope, Settled
from hub.subscriptions import authority, registry, secrets

_EVERY = 1.0  # seconds between looks for what is due


class Subscribers:
    """What `hub.worker` needs of the subscriptions (its `Notifying`). Thread-safe.

    `keys` open the headers (subscriptions/secrets.py); `organisation` is the hub's.
    """

    def __init__(
        self, database: Database, organisation: str, keys: Sequence[bytes]
    ) -> None:
        self._database = database
        self._keys = keys
        self._hub = Actor(organisation, organisation, roles=frozenset({"hub"}))
        self._looked = 0.0

    def destination(self, session: Session, name: str) -> Destination | None:
        """The endpoint of a Subscription, by its name in the outbox.

        One that is gone leads nowhere: `may_leave` ends its messages.
        """
        found = registry.of_destination(session, name)
        if found is None:
            return Destination(name.partition("#")[0], "", secrets=(b"",))
        # Sealed with a key that is no longer there: the endpoint will say 401, and
        # its owner sees that in the errors, which a message that waits would not show.
        headers = secrets.unseal(self._keys, found.id, found.headers) or {}
        return Destination(
            found.organisation,
            found.endpoint,
            headers=headers,
            secrets=secrets.webhook_secrets(self._keys, found.id),
            timeout=found.timeout,
        )

    def may_leave(self, session: Session, envelope: Envelope, at: datetime) -> bool:
        """As `authority.may_leave`."""
        return authority.may_leave(session, envelope, at)

    def settled(
        self,
        session: Session,
        envelope: Envelope,
        settled: Settled,
        error: DeliveryError | None,
        at: datetime,
    ) -> None:
        """The subscription learns how its message fared."""
        by, id = By(self._hub, at), envelope.organisation.partition("#")[2]
        if error is None:
            subscribing.arrived(session, by, id, envelope.id, envelope.kind)
            return
        is_dead = settled.status == "dead"
        subscribing.failed(
            session,
            by,
            id,
            envelope.id,
            envelope.kind,
            error.reason,
            is_down=is_dead or settled.is_alert or error.disable,
        )
        if is_dead and envelope.kind != "event-notification":
            # Nobody replays a greeting: it is no dead letter.
            operate.cancel(session, [envelope.id], at=at)

    def tend(self, at: datetime) -> None:
        """Heartbeats and ends that are due, looked for once a second."""
        moment = time.monotonic()
        if moment - self._looked < _EVERY:
            return
        self._looked = moment
        with self._database.glance() as session:
            due = registry.due(session, at)
        if not due:
            return
        with self._database.transaction() as session:
            for id in due:
                subscribing.tend(session, By(self._hub, at), id)
