"""One database, measured: baselines first, then each path beside them."""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.database import Database
from tests.bench import bare
from tests.bench.load import Measured, Request, answer, load, repeated
from tests.bench.people import MAPPING, least_referrals, sheet
from tests.bench.server import Server, access_token, running

_BASE = "/fhir/R4"
_ROWS_OF_A_SHEET = 20
_LONGEST_REPEAT = 4.0  # seconds of a path that could go on for ever
_POLLED = 20  # Tasks that a poll brings


@dataclass(frozen=True)
class Plan:
    """How much: `seconds` bounds each path, `clients` are threads."""

    referrals: list[bytes]
    sheets: int
    seconds: float
    clients: int


@dataclass(frozen=True)
class Result:
    """What one database gave; memory in MB, `started` in seconds."""

    database: str
    started: float
    idle_memory: float
    memory: float
    rows: int
    bare_inserts: float
    paths: dict[str, Measured]


def measure(url: str, plan: Plan, say: Callable[[str], None]) -> Result:
    """Prepare a hub on the database, start it anew and measure it."""
    with tempfile.TemporaryDirectory() as name:
        folder, database = Path(name), Database(url)
        try:
            say("preparing")
            with running(url, folder):
                pass
            with running(url, folder) as server:
                return _measure(server, database, plan, say)
        finally:
            database.close()


def _measure(
    server: Server, database: Database, plan: Plan, say: Callable[[str], None]
) -> Result:
    token, paths = access_token(server, database), {}
    warm, *referrals = [Request("POST", _BASE, body) for body in plan.referrals]
    before = bare.count_rows(database)
    task = _parent_task(answer(server, token, warm))
    rows = bare.count_rows(database) - before
    idle = server.memory()
    say("bare inserts")
    short = min(plan.seconds, _LONGEST_REPEAT)
    bare_inserts = bare.inserts_per_second(database, rows, short / 2)
    live = Request("GET", "/livez")
    for label, requests, seconds in (
        ("GET /livez", repeated(live), short),
        ("referral", iter(referrals), plan.seconds),
        ("referral of 8", iter(_least(len(referrals) * 4)), plan.seconds),
        ("read", repeated(Request("GET", f"{_BASE}/{task}")), short),
        ("search", _polls(server, token), short),
        ("intake row", iter(_sheets(plan.sheets)), plan.seconds),
    ):
        say(label)
        paths[label] = load(
            [server], token, requests, clients=plan.clients, seconds=seconds
        )
    return Result(
        database.engine.dialect.name,
        server.started,
        idle,
        server.memory(),
        rows,
        bare_inserts,
        paths,
    )


def _least(count: int) -> list[Request]:
    return [Request("POST", _BASE, body) for body in least_referrals(count)]


def _parent_task(response: bytes) -> str:
    entries = json.loads(response)["entry"]
    places = [str(entry["response"]["location"]) for entry in entries]
    return next(p for p in places if p.startswith("Task/")).partition("/_history")[0]


def _polls(server: Server, token: str) -> Iterator[Request]:
    # Lazily: it asks for Tasks that the path before it has made.
    yield from repeated(_poll(server, token))


def _poll(server: Server, token: str) -> Request:
    """What a receiver asks every minute: the Tasks since it asked last."""
    path = f"{_BASE}/Task?_sort=-_lastUpdated&_count={_POLLED}"
    page = json.loads(answer(server, token, Request("GET", path)))
    since = page["entry"][-1]["resource"]["meta"]["lastUpdated"]
    return Request("GET", f"{_BASE}/Task?_lastUpdated=ge{since.replace('+', '%2B')}")


def _sheets(count: int) -> list[Request]:
    return [
        Request(
            "POST",
            f"/intake/{MAPPING}",
            sheet(1_000_000 + number * _ROWS_OF_A_SHEET, _ROWS_OF_A_SHEET),
            "text/csv",
            units=_ROWS_OF_A_SHEET,
        )
        for number in range(count)
    ]
