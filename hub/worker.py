"""The worker: takes messages from the outbox and hands each to its connector.

Claim, ask the grant again, commit, send, settle (security.md §3 and §5). Runs in the
API's process or on its own, any number of times: rows are claimed under a lease. One
destination occupies at most one thread of a worker, so a dead endpoint delays only
its own messages.
"""

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog

from hub import audit
from hub.actor import Actor
from hub.database import Database, Session, flush
from hub.delivery import endpoints, outbox
from hub.delivery.connector import Connector, DeliveryError, Destination, Message
from hub.delivery.outbox import LEASE, Envelope, Settled
from hub.faults import retried
from hub.fhir.dates import now
from hub.fhir.outcome import FhirError

_POLL = 1.0  # seconds between looks when nobody wakes the worker
_RECOVERY = timedelta(seconds=1)  # between looks for leases that ran out
_NO_ENDPOINT = timedelta(seconds=60)
_OUTCOMES = {"delivered": "0", "withdrawn": "4", "dead": "8"}

FindDestination = Callable[[Session, str], Destination | None]
MayLeave = Callable[[Session, str], bool]
OnDelivered = Callable[[Session, Envelope], None]
_NOTICES = ("handshake", "heartbeat", "event-notification")


class Notifying(Protocol):
    """What the worker asks and tells the subscriptions about their messages."""

    def may_leave(self, session: Session, envelope: Envelope, at: datetime) -> bool:
        """The owner's authority, asked in the transaction that starts the send."""

    def settled(
        self,
        session: Session,
        envelope: Envelope,
        settled: Settled,
        error: DeliveryError | None,
        at: datetime,
    ) -> None:
        """How a send ended, in the writing transaction that says so."""

    def tend(self, at: datetime) -> None:
        """Called between deliveries: heartbeats and ends that are due."""


log = structlog.get_logger(__name__)


class Wake:
    """Wakes one waiting thread: an Event would wake them all for one message."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._is_set = False
        self.is_for_all = False

    def set(self) -> None:
        """Let one thread go on, the next that waits if none does."""
        with self._condition:
            self._is_set = True
            self._condition.notify()

    def set_for_all(self) -> None:
        """Let every thread go on, and keep none from now on."""
        with self._condition:
            self.is_for_all = True
            self._condition.notify_all()

    def wait(self, timeout: float) -> None:
        """Until woken, at most `timeout` seconds."""
        with self._condition:
            if not self._is_set and not self.is_for_all:
                self._condition.wait(timeout)
            self._is_set = False


class Worker:
    """Delivers what is queued.

    `connectors` by name; `connector_for(destination)` names the one to use.
    `find_destination(session, organisation)` reads the directory, `may_leave(session,
    grant_id)` the grant; `on_delivered(session, envelope)` runs in the transaction
    that settles a delivery (`envelope.is_recalled`: a withdrawal came while it was
    being sent, so the recipient must get a retraction). `notifying` is asked about
    messages to Subscriptions. `wake` is set by whoever committed a message; without it
    the worker looks once a second.
    """

    def __init__(
        self,
        database: Database,
        connectors: Mapping[str, Connector],
        find_destination: FindDestination,
        may_leave: MayLeave,
        *,
        on_delivered: OnDelivered | None = None,
        notifying: Notifying | None = None,
        connector_for: Callable[[Destination], str] = lambda _: "fhir_rest",
        clock: Callable[[], datetime] = now,
        threads: int = 4,
        batch: int = 20,
        rng: random.Random | None = None,
    ) -> None:
        self.id = f"{socket.gethostname()}:{os.getpid()}:{id(self):x}"
        self.wake = Wake()
        self._database = database
        self._connectors = connectors
        self._find_destination = find_destination
        self._may_leave = may_leave
        self._on_delivered = on_delivered
        self._notifying = notifying
        self._connector_for = connector_for
        self._clock = clock
        self._threads = threads
        self._batch = batch
        self._rng = rng or random.SystemRandom()
        self._busy: set[str] = set()
        self._claiming = threading.Lock()
        self._recovered: datetime | None = None
        self._stopping = threading.Event()

    def run(self, stop: threading.Event, grace: float = 30.0) -> None:
        """Deliver until `stop` is set; then end what is under way (Q12).

        Waits up to `grace` seconds for sends in progress. What is not done by then is
        taken over by another worker when its lease runs out.
        """
        self._stopping.clear()
        self.wake.is_for_all = False
        threads = [
            threading.Thread(target=self._loop, name=f"delivery-{n}", daemon=True)
            for n in range(self._threads)
        ]
        for thread in threads:
            thread.start()
        stop.wait()
        self._stopping.set()
        self.wake.set_for_all()
        deadline = time.monotonic() + grace
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if still := sum(thread.is_alive() for thread in threads):
            log.warning("delivery-stopped-early", sends_under_way=still)

    def deliver_next(self) -> bool:
        """Deliver what is due at one destination, at most a batch; False if nothing."""
        if not self._has_work():
            return False
        with self._claiming:
            claimed = outbox.claim(
                self._database, self.id, self._batch, self._clock(), busy=self._busy
            )
            if not claimed:
                return False
            organisation = claimed[0].organisation
            self._busy.add(organisation)
        self.wake.set()  # there may be more, at another destination
        try:
            self._deliver_all(claimed)
        finally:
            with self._claiming:
                self._busy.discard(organisation)
        return True

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                is_idle = not self.deliver_next()
            except Exception as error:  # noqa: BLE001 - a worker that dies is silent
                log.error("delivery-failed", error=type(error).__name__)  # noqa: TRY400
                is_idle = True
                self._stopping.wait(_POLL)
            if is_idle and not self._stopping.is_set():
                self.wake.wait(_POLL)

    def _has_work(self) -> bool:
        """Look without a transaction: most commits queue nothing for anybody."""
        at = self._clock()
        with self._claiming:
            due = self._recovered is None or abs(at - self._recovered) >= _RECOVERY
            if due:
                self._recovered = at
        if due:
            self._recover()
            if self._notifying:
                self._notifying.tend(at)
        return outbox.is_due(self._database, at)

    def _recover(self) -> None:
        with self._database.transaction(write=False) as session:
            ended = outbox.recover(session, self._clock())
            for one in ended:
                self._audit(session, one, one.status, one.attempts)
        if self._notifying:
            for one in ended:
                self._tell_of_lost(self._notifying, one)

    def _tell_of_lost(self, notifying: Notifying, ended: Envelope) -> None:
        if ended.kind not in _NOTICES:
            return
        error = DeliveryError("lease-expired", retry=False)
        settled = Settled(ended.status, ended.attempts)
        with self._database.transaction() as session:
            notifying.settled(session, ended, settled, error, self._clock())

    def _deliver_all(self, claimed: Sequence[Envelope]) -> None:
        for number, envelope in enumerate(claimed):
            if self._stopping.is_set() or not self._deliver(envelope):
                self._release(claimed[number:])
                return

    def _release(self, envelopes: Sequence[Envelope]) -> None:
        at = self._clock()
        with self._database.transaction(write=False) as session:
            for envelope in envelopes:
                outbox.release(session, envelope, error=None, until=at)

    def _deliver(self, envelope: Envelope) -> bool:
        """One message; False when its endpoint had better be left alone for now."""
        at = self._clock()
        with self._database.transaction(write=False) as session:
            destination = self._find_destination(session, envelope.organisation)
            if destination is None:
                self._postpone(session, envelope, at)
                return False
            may_leave = self._asks(envelope, at)
            started = outbox.start_sending(session, envelope, may_leave, at)
            if started == "withdrawn":
                self._audit(session, envelope, "withdrawn", envelope.attempts)
        if started != "sending":
            return True
        if self._clock() - at >= timedelta(seconds=LEASE):
            return True  # this process slept; the lease may be another's by now
        error = self._send(envelope, destination)
        retried(partial(self._settle, envelope, destination, error))
        return error is None or not (error.retry or error.disable)

    def _asks(self, envelope: Envelope, at: datetime) -> MayLeave:
        notifying = self._notifying
        if notifying is None or envelope.kind not in _NOTICES:
            return self._may_leave
        return lambda session, _grant: notifying.may_leave(session, envelope, at)

    def _postpone(self, session: Session, envelope: Envelope, at: datetime) -> None:
        until = at + _NO_ENDPOINT
        outbox.release(session, envelope, error="no-endpoint", until=until)
        if endpoints.rest(session, envelope.organisation, "no-endpoint", until):
            log.warning("no-endpoint", organisation=envelope.organisation)

    def _send(
        self, envelope: Envelope, destination: Destination
    ) -> DeliveryError | None:
        connector = self._connectors.get(self._connector_for(destination))
        if connector is None:
            return DeliveryError("no-connector", retry=True)
        try:
            connector.send(self._message(envelope, destination))
        except DeliveryError as error:
            return error
        except Exception as error:  # noqa: BLE001 - its text may hold the message
            name = type(error).__name__
            log.error("connector-failed", message=envelope.id, error=name)  # noqa: TRY400
            return DeliveryError("connector-error", retry=True)
        return None

    def _message(self, envelope: Envelope, destination: Destination) -> Message:
        try:
            body = outbox.content(self._database, envelope)
        except FhirError as error:
            # Its key is missing: the message waits for the operator.
            raise DeliveryError("content-key", retry=True) from error
        return Message(
            id=envelope.id,
            kind=envelope.kind,
            destination=destination,
            body=body,
            content_type=envelope.content_type,
            correlation_id=envelope.correlation_id,
        )

    def _settle(
        self, envelope: Envelope, destination: Destination, error: DeliveryError | None
    ) -> None:
        is_notice = envelope.kind in _NOTICES
        is_writing = is_notice or (error is None and self._on_delivered is not None)
        with self._database.transaction(write=is_writing) as session:
            settled = outbox.settle(
                session, envelope, error, at=self._clock(), rng=self._rng
            )
            if settled is None:
                log.warning("settled-too-late", message=envelope.id)
                return
            if settled.status in _OUTCOMES:
                self._audit(
                    session,
                    envelope,
                    settled.status,
                    settled.attempts,
                    address=destination.address,
                    reason=error.reason if error else "",
                )
            if is_notice and self._notifying:
                self._notifying.settled(
                    session, envelope, settled, error, self._clock()
                )
            elif settled.status == "delivered" and self._on_delivered:
                ended = replace(
                    envelope, status="delivered", is_recalled=settled.is_recalled
                )
                _in_savepoint(session, self._on_delivered, ended)
        _report(envelope, settled, error)

    def _audit(
        self,
        session: Session,
        envelope: Envelope,
        status: str,
        attempts: int,
        *,
        address: str = "",
        reason: str = "",
    ) -> None:
        """One event per message (and patient), however often it was tried.

        None for a handshake or heartbeat, which disclose nothing.
        """
        if envelope.kind in _NOTICES[:2]:
            return
        actor = Actor(
            client_id=self.id,
            organisation=envelope.owner,
            request_id=envelope.id,
            correlation_id=envelope.correlation_id,
        )
        audit.record(
            session,
            actor,
            "disclose",
            at=self._clock(),
            outcome=_OUTCOMES[status],
            targets=[envelope.subject],
            patients=envelope.patients,
            description=f"{status}: {reason}" if reason else status,
            address=address,
            details={"attempts": str(attempts), "kind": envelope.kind},
        )


def _in_savepoint(session: Session, act: OnDelivered, envelope: Envelope) -> None:
    """Run `act`; if it fails, the delivery stays settled: the receiver has it."""
    flush(session)
    try:
        with session.begin_nested():
            act(session, envelope)
            flush(session)
    except Exception as error:  # noqa: BLE001 - else it would be sent again and again
        session.info.pop("collected", None)
        name = type(error).__name__
        log.error("delivered-but-not-noted", message=envelope.id, error=name)  # noqa: TRY400


def _report(envelope: Envelope, settled: Settled, error: DeliveryError | None) -> None:
    organisation = envelope.organisation
    reason = error.reason if error else None
    if settled.is_alert:
        log.error("endpoint-down", organisation=organisation, reason=reason)
    if settled.is_recovery:
        log.info("endpoint-up", organisation=organisation)
    if settled.status == "dead":
        log.error(
            "dead-letter",
            message=envelope.id,
            organisation=organisation,
            reason=reason,
            attempts=settled.attempts,
        )
    elif settled.status == "delivered":
        log.info(
            "delivered",
            message=envelope.id,
            subject=envelope.subject,
            organisation=organisation,
            attempts=settled.attempts,
        )
