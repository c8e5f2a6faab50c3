"""A receiver's FHIR endpoint that keeps every byte it gets, slow when told to be."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.fhir_rest.send import FhirRest
from hub.actor import Actor
from hub.app import make_fetcher
from hub.changes import By, put
from hub.database import Session
from hub.delivery.connector import Destination
from hub.directory.ask import StoredDirectory
from hub.directory.resources import endpoint
from hub.directory.values import Address
from hub.disclosure.grants import are_open
from hub.smart.signing import signing_keys
from hub.worker import Worker
from tests.running import RunningHub
from tests.smart.build import serve


@dataclass
class Receiver:
    """`bodies` is the evidence: what arrived, in order, by organisation."""

    bodies: dict[str, list[bytes]] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    status: int = 200
    gate: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)

    def of(self, organisation: str, correlation: str) -> list[dict[str, Any]]:
        """The messages about one case that an organisation got."""
        return [
            bundle
            for bundle in map(json.loads, self.bodies.get(organisation, ()))
            if bundle.get("_case") == correlation
        ]

    def wait_at_gate(self) -> None:
        self.gate.clear()
        self.arrived.clear()


@contextmanager
def receiving(hub: RunningHub, *organisations: str) -> Iterator[Receiver]:
    """Endpoints of these organisations that lead to one receiver, while inside."""
    receiver = Receiver()
    receiver.gate.set()
    _forget_the_rest(hub)

    async def take(request: Request) -> Response:
        body = await request.body()
        organisation = request.path_params["organisation"]
        bundle = {
            **json.loads(body),
            "_case": request.headers.get("x-correlation-id"),
            "_id": request.headers["x-request-id"],
        }
        known = receiver.bodies.setdefault(organisation, [])
        known.append(json.dumps(bundle, ensure_ascii=False).encode())
        receiver.arrived.set()
        await run_in_threadpool(receiver.gate.wait, 10)
        return Response(status_code=receiver.status)

    app = Starlette(routes=[Route("/{organisation}", take, methods=["POST"])])
    with serve(app) as port:
        addresses = [
            Address(
                f"endpoint-{one}",
                one,
                f"http://127.0.0.1:{port}/{one}",
                "hl7-fhir-rest",
            )
            for one in organisations
        ]
        _register(hub, addresses, active=True)
        try:
            yield receiver
        finally:
            receiver.gate.set()
            _register(hub, addresses, active=False)


def a_worker(hub: RunningHub, receiver: Receiver) -> Worker:
    """The real worker with the real connector; the receivers want no token."""

    def find(session: Session, organisation: str) -> Destination | None:
        found = StoredDirectory(session).endpoint_of(organisation)
        if found is None:
            return None
        return Destination(organisation, found.address, auth="none")

    del receiver
    key = signing_keys(hub.settings)[0]
    connector = FhirRest(make_fetcher(hub.settings), key, dev=True)
    return Worker(hub.database, {"fhir_rest": connector}, find, are_open)


def deliver_all(worker: Worker) -> None:
    while worker.deliver_next():
        pass


def _forget_the_rest(hub: RunningHub) -> None:
    """What other tests left in the outbox is none of this one's business."""
    with hub.database.transaction() as session:
        session.exec_driver_sql(
            "UPDATE outbox SET status = 'cancelled', body = NULL, lease_until = NULL "
            "WHERE status IN ('queued', 'claimed', 'sending')"
        )
        session.exec_driver_sql("UPDATE endpoint_state SET retry_at = 0, disabled = 0")


def _register(hub: RunningHub, addresses: list[Address], *, active: bool) -> None:
    by = By(Actor("hub", "tsunagi-hub", roles=frozenset({"hub"})))
    with hub.database.transaction() as session:
        for address in addresses:
            resource = endpoint(address)
            resource["status"] = "active" if active else "off"
            put(session, by, resource)
