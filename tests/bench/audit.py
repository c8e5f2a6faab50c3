"""A log of a million rows: `python -m tests.bench.audit` (A11; A9 with `writers`).

Rows are written by `audit.record` and sealed by the sealer's own code. Verifying runs
in a process of its own, so that its greatest memory is its alone. The questions of an
officer are then asked of the full log, each with the plan that the database chose.
"""

import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from sqlalchemy import insert, text
from sqlalchemy.dialects import postgresql, sqlite

from hub import audit
from hub.actor import Actor
from hub.audit import search
from hub.audit.checkpoint import Checkpoints, load_key, load_public_key
from hub.audit.seal import Sealer, seal_batch
from hub.audit.verify import verify
from hub.database import Database
from hub.disclosure import cases
from hub.disclosure.tables import case
from hub.fhir.dates import micros
from hub.migrations import upgrade
from tests.bench.postgresql import new_database

_START = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH = 2_000
_PATIENTS, _ORGANISATIONS = 20_000, 200
# Of a hundred acts: a log is mostly reads and searches, sometimes refused.
_ACTS = ["read"] * 55 + ["search-type"] * 25 + ["update"] * 8 + ["create"] * 6
_ACTS += ["disclose"] * 3 + ["consent-permit", "login", "delete"]

app = typer.Typer(help=__doc__)


def fill(database: Database, rows: int, *, seed: int = 1) -> None:
    """Write and seal this many rows more, as their acts would."""
    rng = random.Random(seed)
    for first in range(0, rows, _BATCH):
        with database.transaction(write=False) as session:
            for number in range(first, min(first + _BATCH, rows)):
                _act(session, rng, number)
        while seal_batch(database) > 0:
            pass


def _act(session: Any, rng: random.Random, number: int) -> None:
    organisation = f"o{rng.randrange(_ORGANISATIONS)}"
    actor = Actor(f"client-{organisation}", organisation, request_id=f"r-{number}")
    act = _ACTS[rng.randrange(len(_ACTS))]
    person = rng.randrange(_PATIENTS)
    refused = rng.random() < 0.02
    audit.record(
        session,
        actor,
        act,
        at=_START + timedelta(seconds=number),
        outcome="4" if refused else "0",
        targets=() if act in ("search-type", "login") else [f"Task/t{person}"],
        patients=() if refused or act == "login" else [f"Patient/p{person}"],
        query="Task?status=requested" if act == "search-type" else None,
        recipient=f"o{rng.randrange(_ORGANISATIONS)}" if act == "disclose" else "",
    )


def refer(database: Database) -> None:
    """A case of each person, so that each organisation has persons of its own."""
    rows = [
        {
            "id": f"c{n}",
            "programme": "p",
            "source": f"o{n % _ORGANISATIONS}",
            "correlation": f"r{n}",
            "patient": f"p{n}",
            "service_request": "s",
            "parent_task": "t",
            "consent": "Consent/c/_history/1",
            "provided_at": 0,
            "opened_at": 0,
            "closed_at": None,
        }
        for n in range(_PATIENTS)
    ]
    with database.transaction() as session:
        session.execute(insert(case), rows)


def questions() -> dict[str, tuple[audit.Criteria, search.Seen]]:
    """What officers ask, and whose officer asks."""
    own = audit.OwnRows("o7", cases.patients_from("o7"), cases.resources_from("o7"))
    day = micros(_START + timedelta(days=3))
    return {
        "all, hub's officer": (audit.Criteria(), None),
        "a patient": (audit.Criteria(patient=("Patient/p207",)), None),
        "an entity": (audit.Criteria(entity=("Task/t207",)), None),
        "a client in a day": (
            audit.Criteria(
                client=("client-o7",), since=day, until=day + 86_400_000_000
            ),
            None,
        ),
        "refusals": (audit.Criteria(outcome=("4", "8")), None),
        "deletions": (audit.Criteria(action=("D",)), None),
        "logins": (audit.Criteria(subtype=("110122",)), None),
        "all, organisation's officer": (audit.Criteria(), own),
        "a patient, organisation's officer": (
            audit.Criteria(patient=("Patient/p207",)),
            own,
        ),
        "another's patient, organisation's officer": (
            audit.Criteria(patient=("Patient/p208",)),
            own,
        ),
    }


def ask(database: Database) -> Iterator[dict[str, Any]]:
    """Page and total of each question: milliseconds of the second time it is asked."""
    for name, (asked, seen) in questions().items():
        for _ in range(2):
            with database.transaction(write=False) as session:
                began = time.perf_counter()
                page = audit.find(session, asked, seen=seen, limit=51)
                paged = time.perf_counter()
                total = audit.count(session, asked, seen=seen)
                counted = time.perf_counter()
        yield {
            "question": name,
            "page_ms": round((paged - began) * 1000, 1),
            "total_ms": round((counted - paged) * 1000, 1),
            "rows": len(page),
            "total": total,
            "plan": _plan(database, asked, seen),
        }


def _plan(database: Database, asked: audit.Criteria, seen: search.Seen) -> list[str]:
    statement = search.page(search.where(asked), seen, 51)
    dialect = sqlite.dialect() if database.is_sqlite else postgresql.dialect()
    sql = str(
        statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    )
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{explain} {sql}".replace("%", "%%"))
        return [str(row[-1]) for row in rows]


def measured(database: Database, checkpoints: Path, key: Path) -> dict[str, Any]:
    """Verify in a process of its own: seconds, greatest memory, what was found."""
    url = database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.bench.audit", "verify", url]
    command += [str(checkpoints), str(key)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@app.command("verify")
def verify_(url: str, checkpoints: Path, key: Path) -> None:
    """Verify a log and print seconds and greatest memory (bytes)."""
    database = Database(url)
    before = _rss()
    began = time.perf_counter()
    report = verify(database, checkpoints, load_public_key(key))
    seconds = time.perf_counter() - began
    _say(
        json.dumps(
            {
                "rows": report.sealed,
                "anchored": report.anchored,
                "problems": report.problem_count,
                "seconds": round(seconds, 1),
                "before": before,
                "peak": _rss(),
            }
        )
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def logs(kinds: list[str]) -> Iterator[list[tuple[str, Database, Path]]]:
    """A migrated, empty database of each kind, and a folder for what lies beside."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        made = []
        for kind in kinds:
            server = os.environ.get("TSUNAGI_TEST_POSTGRES")
            if kind == "postgresql" and not server:
                continue
            url = f"sqlite:///{folder}/log.db"
            if kind == "postgresql":
                url = stack.enter_context(new_database(str(server)))
            database = Database(url)
            upgrade(database)
            beside = Path(folder) / kind
            beside.mkdir()
            made.append((kind, database, beside))
        yield made
        for _, database, _ in made:
            database.close()


@app.command()
def grow(
    rows: Annotated[int, typer.Option(help="How many.")] = 1_000_000,
    kind: Annotated[
        list[str] | None, typer.Option(help="sqlite, postgresql or both.")
    ] = None,
) -> None:
    """Fill a log, verify it at a tenth and whole, ask an officer's questions."""
    with logs(kind or ["sqlite", "postgresql"]) as made:
        for name, database, beside in made:
            key = beside / "audit.pem"
            anchors = Checkpoints(
                beside / "checkpoints.jsonl", load_key(key, create=True)
            )
            refer(database)
            for step, so_far in ((rows // 10, 0), (rows - rows // 10, rows // 10)):
                began = time.perf_counter()
                fill(database, step, seed=so_far + 1)
                anchors.anchor(database)
                spent = time.perf_counter() - began
                _say(f"{name}: {step} rows in {spent:.0f} s")
                _say(f"  verify {measured(database, anchors.path, key)}")
            if not database.is_sqlite:
                _vacuum(database)
            for one in ask(database):
                _say(f"  {json.dumps(one, ensure_ascii=False)}")


def _vacuum(database: Database) -> None:
    """As autovacuum does in a hub that runs for days."""
    plain = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with plain.connect() as connection:
        connection.execute(text("VACUUM ANALYZE audit_event"))
        connection.execute(text("ANALYZE"))


@app.command()
def writers(
    seconds: Annotated[float, typer.Option(help="How long.")] = 60.0,
    kind: Annotated[
        list[str] | None, typer.Option(help="sqlite, postgresql or both.")
    ] = None,
) -> None:
    """A9: two writers and two sealers at one log."""
    with logs(kind or ["sqlite", "postgresql"]) as made:
        for name, database, beside in made:
            written = race(database, seconds)
            key = load_key(beside / "audit.pem", create=True)
            anchors = Checkpoints(beside / "checkpoints.jsonl", key)
            anchors.anchor(database)
            report = verify(database, anchors.path, key.public_key())
            assert report.is_intact, report.problems
            assert report.sealed == report.anchored == written
            _say(f"{name}: {written} rows in {seconds:.0f} s, one chain, intact")


def race(database: Database, seconds: float) -> int:
    """Let two threads write and two sealers seal; how many rows there are then."""
    ends = time.monotonic() + seconds
    counts = [0, 0]

    def write(which: int) -> None:
        actor = Actor(f"writer-{which}", "o1")
        while time.monotonic() < ends:
            with database.transaction(write=False) as session:
                audit.record(session, actor, "read", at=datetime.now(UTC))
            counts[which] += 1

    threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    sealers = [Sealer(database, interval=0.01) for _ in range(2)]
    for sealer in sealers:
        sealer.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sealer in sealers:
        sealer.stop()
        assert not sealer.failing
    return sum(counts)


if __name__ == "__main__":
    app()
