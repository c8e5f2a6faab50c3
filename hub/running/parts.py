"""Put the parts together and keep them running: worker, sealer, checkpoints."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.app import make_fetcher
from hub.audit.checkpoint import Checkpoints, load_key
from hub.audit.seal import Sealer
from hub.database import Database, Session
from hub.delivery.connector import Destination
from hub.directory.ask import StoredDirectory
from hub.disclosure.grants import are_open
from hub.settings import Settings
from hub.smart.signing import signing_keys
from hub.worker import Worker

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

    key = signing_keys(settings)[0]

    def find(session: Session, organisation: str) -> Destination | None:
        endpoint = StoredDirectory(session).endpoint_of(organisation)
        if endpoint is None:
            return None
        return Destination(organisation, endpoint.address, settings.base_url)

    fhir_rest = FhirRest(make_fetcher(settings), key, dev=settings.dev)
    return Worker(database, {"fhir_rest": fhir_rest}, find, are_open)


@contextmanager
def sealing(settings: Settings, database: Database) -> Iterator[None]:
    """Seal the audit log within a second and anchor it, while inside and at the end.

    Raises SetBackError when the database is behind its own signed checkpoint.
    """
    make_checkpoints(settings).anchor(database)
    checkpoints = make_checkpoints(settings)  # its first own checkpoint is due at once
    sealer = Sealer(database, after=lambda: checkpoints.anchor_if_due(database))
    sealer.start()
    try:
        yield
    finally:
        sealer.stop()
        checkpoints.anchor(database)


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
