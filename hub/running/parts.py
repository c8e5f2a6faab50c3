"""Put the parts together and keep them running: worker, sealer, checkpoints."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.app import know, make_fetcher
from hub.audit.checkpoint import Checkpoints, load_key
from hub.audit.reconcile import find_set_back
from hub.audit.seal import Sealer
from hub.database import Database, Session
from hub.delivery.connector import Destination
from hub.directory.ask import StoredDirectory
from hub.disclosure.grants import are_open
from hub.fhir import dates
from hub.referrals.knowledge import Knowledge
from hub.referrals.withdraw import expire
from hub.running.subscribers import Subscribers
from hub.sealing import keep
from hub.sealing.keys import content_keys
from hub.settings import Settings
from hub.smart.server import cleanup
from hub.smart.signing import signing_keys
from hub.subscriptions import secrets
from hub.worker import Worker

_MINUTE = 60.0
_GRACE = 10.0  # seconds; who stops a service seldom waits longer before killing it


def checkpoints_path(settings: Settings) -> Path:
    """Where signed checkpoints are appended: outside the database."""
    return settings.checkpoints or settings.state / "audit-checkpoints.jsonl"


def audit_key_path(settings: Settings) -> Path:
    """The Ed25519 key that signs checkpoints."""
    return settings.audit_key or settings.state / "audit-key.pem"


def make_checkpoints(settings: Settings) -> Checkpoints:
    """The file of checkpoints; with `--dev` the key is made on first use."""
    key = load_key(audit_key_path(settings), create=settings.dev)
    return Checkpoints(checkpoints_path(settings), key)


def make_worker(settings: Settings, database: Database) -> Worker:
    """A worker with every connector there is."""
    from connectors.fhir_rest.send import FhirRest
    from connectors.resthook.send import RestHook

    keep(database, content_keys(settings))
    keys = signing_keys(settings)
    notifying = Subscribers(database, settings.organization, secrets.keys(keys))

    def find(session: Session, organisation: str) -> Destination | None:
        if "#" in organisation:
            return notifying.destination(session, organisation)
        endpoint = StoredDirectory(session).endpoint_of(organisation)
        if endpoint is None:
            return None
        return Destination(organisation, endpoint.address, settings.base_url)

    fetcher = make_fetcher(settings)
    return Worker(
        database,
        {
            "fhir_rest": FhirRest(fetcher, keys[0], dev=settings.dev),
            "resthook": RestHook(fetcher),
        },
        find,
        are_open,
        notifying=notifying,
        connector_for=lambda to: "resthook" if to.secrets else "fhir_rest",
    )


def is_set_back(settings: Settings, database: Database) -> bool:
    """True when an older state of the database was put back: read-only (K7)."""
    return find_set_back(database, checkpoints_path(settings)) is not None


@contextmanager
def sealing(settings: Settings, database: Database) -> Iterator[Checkpoints]:
    """Seal the audit log within a second and anchor it, while inside and at the end.

    Once a minute what has run out is ended. Raises SetBackError when the database is
    behind its own signed checkpoint.
    """
    make_checkpoints(settings).anchor(database)
    checkpoints = make_checkpoints(settings)  # its first own checkpoint is due at once
    tidy = housekeeping(know(settings), database)

    def after_each_round() -> None:
        checkpoints.anchor_if_due(database)
        tidy()

    sealer = Sealer(database, after=after_each_round)
    sealer.start()
    try:
        yield checkpoints
    finally:
        sealer.stop()
        checkpoints.anchor(database)


def housekeeping(knowledge: Knowledge, database: Database) -> Callable[[], None]:
    """End cases whose consent ran out and forget expired tokens, once a minute.

    Grants and tokens end by themselves, to the second; this only tells the Tasks, the
    sender and those who hold a copy, and keeps the tables small.
    """
    last = 0.0

    def tidy() -> None:
        nonlocal last
        if time.monotonic() - last < _MINUTE:
            return
        last = time.monotonic()
        with database.transaction() as session:
            expire(session, knowledge, dates.now())
            cleanup(session)

    return tidy


@contextmanager
def delivering(worker: Worker) -> Iterator[None]:
    """Deliver in the background, while inside; a send under way has `_GRACE` to end.

    What is not done by then is taken over when its lease runs out.
    """
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop, _GRACE), name="worker")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
