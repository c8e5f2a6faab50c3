"""Subscriptions, an endpoint that keeps what it gets, and a worker to send with."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.database import Database
from hub.fhir import dates
from hub.fhir.canonical import ROOT
from hub.running.parts import make_worker
from hub.subscriptions import backport
from hub.worker import Worker
from tests.referrals.receiver import deliver_all
from tests.running import Caller, RunningHub
from tests.smart.build import serve

TOPIC = f"{ROOT}/SubscriptionTopic/referral-task"
CENTRE = "kagoshima-shi"
FILTER = f"Task?owner=HealthcareService/{CENTRE}"


@dataclass
class Hook:
    """An endpoint: every request it got, in order; `status` is what it answers."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200
    retry_after: str = ""
    gate: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)

    @property
    def bundles(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    def of(self, type: str) -> list[dict[str, Any]]:
        """The notifications of one type, in order."""
        return [one for one in self.bundles if value(one, "type") == type]

    def numbers(self) -> list[int]:
        """Event numbers, in the order in which they arrived."""
        return [n for one in self.of("event-notification") for n in numbers(one)]


@contextmanager
def listening() -> Iterator[Hook]:
    """An endpoint of its own, while inside."""
    hook = Hook()
    hook.gate.set()

    async def take(request: Request) -> Response:
        hook.got.append((dict(request.headers), await request.body()))
        hook.arrived.set()
        await run_in_threadpool(hook.gate.wait, 20)
        headers = {"Retry-After": hook.retry_after} if hook.retry_after else {}
        return Response(status_code=hook.status, headers=headers)

    with serve(Starlette(routes=[Route("/hook", take, methods=["POST"])])) as port:
        hook.url = f"http://127.0.0.1:{port}/hook"
        yield hook
        hook.gate.set()


def a_subscription(endpoint: str, *filters: str, **over: Any) -> dict[str, Any]:
    """A Subscription as the guide wants it; `channel` and the rest may be replaced.

    `content`, `heartbeat`, `timeout`, `count` fill its extensions.
    """
    numbers = {
        backport.HEARTBEAT_PERIOD: ("valueUnsignedInt", over.pop("heartbeat", None)),
        backport.TIMEOUT: ("valueUnsignedInt", over.pop("timeout", None)),
        backport.MAX_COUNT: ("valuePositiveInt", over.pop("count", None)),
    }
    content = over.pop("content", "id-only")
    extension = [
        {"url": url, key: number}
        for url, (key, number) in numbers.items()
        if number is not None
    ]
    payload = {"url": backport.PAYLOAD_CONTENT, "valueCode": content}
    channel = {
        **({"extension": extension} if extension else {}),
        "type": "rest-hook",
        "endpoint": endpoint,
        "payload": "application/fhir+json",
        "_payload": {"extension": [payload]},
        **over.pop("channel", {}),
    }
    narrowed = [
        {"url": backport.FILTER_CRITERIA, "valueString": text} for text in filters
    ]
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "状態の変化を知るため",
        "criteria": TOPIC,
        **({"_criteria": {"extension": narrowed}} if narrowed else {}),
        "channel": channel,
        **over,
    }


def subscribed(caller: Caller, endpoint: str, *filters: str, **over: Any) -> str:
    """The id of a Subscription that was taken, not yet shaken hands with."""
    answer = caller.post("/Subscription", a_subscription(endpoint, *filters, **over))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def active(
    hub: RunningHub, caller: Caller, hook: Hook, *filters: str, **over: Any
) -> str:
    """The id of a Subscription that took its handshake."""
    id_ = subscribed(caller, hook.url, *filters, **over)
    send(hub)
    assert caller.read(f"/Subscription/{id_}")["status"] == "active"
    return id_


def send(hub: RunningHub, **later: float) -> None:
    """Send all that is due, now or `later` (as in timedelta)."""
    deliver_all(a_worker(hub, **later))


def a_worker(hub: RunningHub, **later: float) -> Worker:
    """The real worker, whose clock may be ahead."""
    worker = make_worker(hub.settings, hub.database)

    def clock() -> datetime:
        return dates.now() + timedelta(**later)

    worker._clock = clock
    return worker


def status(caller: Caller, id_: str) -> dict[str, Any]:
    """The subscription-status Parameters, as a Bundle of one."""
    (one,) = caller.read(f"/Subscription/{id_}/$status")["entry"]
    return {"entry": [one]}


def value(bundle: dict[str, Any], name: str) -> Any:
    """A parameter of the first entry; None when it is not there."""
    for one in bundle["entry"][0]["resource"]["parameter"]:
        if one["name"] == name:
            return next(v for k, v in one.items() if k.startswith("value"))
    return None


def told(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The notification-events as {part name: value}."""
    return [
        {
            part["name"]: next(v for k, v in part.items() if k.startswith("value"))
            for part in one["part"]
        }
        for one in bundle["entry"][0]["resource"]["parameter"]
        if one["name"] == "notification-event"
    ]


def numbers(bundle: dict[str, Any]) -> list[int]:
    return [int(event["event-number"]) for event in told(bundle)]


def focuses(bundle: dict[str, Any]) -> list[str]:
    return [
        "/".join(event["focus"]["reference"].split("/")[-2:]) for event in told(bundle)
    ]


def stored_columns(database: Database) -> str:
    """Every text of the tables a header could have slipped into."""
    with database.transaction(write=False) as session:
        rows = [
            row
            for table in ("resource", "resource_version", "subscription", "outbox")
            for row in session.exec_driver_sql(f"SELECT * FROM {table}")
        ]
    return "\n".join(
        bytes(v).decode("latin-1") if isinstance(v, bytes | memoryview) else str(v)
        for row in rows
        for v in row
    )


def errors(answer: httpx.Response) -> list[tuple[str, str]]:
    """(issue id, expression) of an OperationOutcome's errors."""
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome", answer.text
    return [
        (one["details"]["coding"][0]["code"], one.get("expression", [""])[0])
        for one in outcome["issue"]
        if one["severity"] == "error"
    ]
