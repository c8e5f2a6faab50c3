"""`python -m tests.bench.scale`: the same requests as the register grows, PostgreSQL.

Sizes are cases beside the caller's own thousand. Each path is measured with one hub
process and with two on one database; the ratios compare with the smallest size.
"""

import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from hub.database import Database
from tests.bench import fill
from tests.bench.load import Measured, Request, answer, load, repeated
from tests.bench.people import least_referrals, referrals
from tests.bench.postgresql import new_database
from tests.bench.server import Server, access_token, running

_BASE = "/fhir/R4"
_TEMPLATES = 20
_REFERRALS = 400  # of each measurement
_SEARCHED = 50  # people that the narrow searches ask for in turn


@dataclass(frozen=True)
class Point:
    """What one size gave with so many processes; megabytes of each process."""

    cases: int
    processes: int
    paths: dict[str, Measured]
    memory: float
    failed: tuple[str, ...]


def scale(
    *,
    cases: Annotated[str, typer.Option(help="sizes, ascending")] = "0,10000,100000",
    processes: Annotated[str, typer.Option(help="hub processes")] = "1,2",
    clients: Annotated[int, typer.Option(help="threads")] = 4,
    seconds: Annotated[float, typer.Option(help="for each path")] = 3,
    picture: Annotated[Path | None, typer.Option(help="a PNG or SVG file")] = None,
    keep: Annotated[str, typer.Option(help="use this database, and keep it")] = "",
    points: Annotated[
        Path | None, typer.Option(help="add to what earlier runs left in this file")
    ] = None,
) -> None:
    """Measure each size and show how the answers slow down."""
    console = Console()
    found = _earlier(points)
    with ExitStack() as stack:
        server = os.environ["TSUNAGI_TEST_POSTGRES"]
        url = keep or stack.enter_context(new_database(server))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        status = stack.enter_context(console.status(""))
        database = Database(url)
        stack.callback(database.close)
        _seed(url, folder, database)
        for size in map(int, cases.split(",")):
            status.update(f"{size:,} cases: filling")
            fill.fill(database.engine, size)
            for count in map(int, processes.split(",")):
                status.update(f"{size:,} cases: measuring {count} processes")
                found.append(
                    _measure(url, folder, database, (size, count, clients, seconds))
                )
                _show(console, found[-1], found[0])
    if points:
        points.write_text(json.dumps([asdict(point) for point in found]))
    if picture:
        _draw(found, picture)


def _earlier(points: Path | None) -> list[Point]:
    """What was measured before: a million cases are not filled in twice a day."""
    if points is None or not points.exists():
        return []
    return [
        Point(
            one["cases"],
            one["processes"],
            {label: Measured(**path) for label, path in one["paths"].items()},
            one["memory"],
            tuple(one["failed"]),
        )
        for one in json.loads(points.read_text())
    ]


def _seed(url: str, folder: Path, database: Database) -> None:
    """The directory, and the referrals that are copied."""
    with running(url, folder):
        pass
    if fill.is_prepared(database.engine):
        return
    with running(url, folder) as server:
        token = access_token(server, database)
        for bundle in referrals(0, _TEMPLATES):
            answer(server, token, Request("POST", _BASE, bundle))
    fill.prepare(database.engine)


def _measure(
    url: str, folder: Path, database: Database, plan: tuple[int, int, int, float]
) -> Point:
    size, count, clients, seconds = plan
    with ExitStack() as stack:
        servers = [stack.enter_context(running(url, folder)) for _ in range(count)]
        token = access_token(servers[0], database)
        paths, failed = {}, list[str]()
        for label, requests in _paths(servers[0], token, size + count):
            try:
                paths[label] = load(
                    servers, token, requests, clients=clients, seconds=seconds
                )
            except RuntimeError as error:  # the other paths are worth knowing, too
                failed.append(f"{label}: {error}")
        memory = max(server.memory() for server in servers)
    return Point(size, count, paths, memory, tuple(failed))


def _paths(
    server: Server, token: str, seed: int
) -> Iterator[tuple[str, Iterator[Request]]]:
    """The searches of a hospital's system, then its referrals."""
    page = _get(server, token, f"Patient?_count={_SEARCHED}")
    people = [entry["resource"] for entry in page["entry"]]
    tasks = _get(server, token, "Task?_sort=-_lastUpdated&_count=20")["entry"]
    newest = tasks[-1]["resource"]["meta"]["lastUpdated"].replace("+", "%2B")
    # A copy's body still holds its template's id, number and name.
    ids = [entry["fullUrl"].rpartition("/")[2] for entry in page["entry"]]
    numbers = [
        quote("|".join((one["identifier"][0]["system"], one["identifier"][0]["value"])))
        for one in people
    ]
    names = [quote(one["name"][0]["text"]) for one in people]
    yield "read", _each(f"Patient/{id}" for id in ids)
    yield "vread", _each(f"Patient/{id}/_history/1" for id in ids)
    yield "identifier", _each(f"Patient?identifier={one}" for one in numbers)
    yield "name", _each(f"Patient?name={name}" for name in names)
    yield "reference", _each(f"Task?patient=Patient/{id}" for id in ids)
    yield "chain", _each(f"Task?patient.identifier={one}" for one in numbers)
    included = "&_include=Task:patient&_include=Task:focus"
    yield "_include", _each(f"Task?patient=Patient/{id}{included}" for id in ids)
    yield "poll", _each([f"Task?_lastUpdated=ge{newest}"])
    yield "date", _each([f"Task?authored-on=ge{newest}"])
    yield "status, page", _each(["Task?status=requested&_count=20&_total=none"])
    yield "status, total", _each(["Task?status=requested&_count=20"])
    first = 1_000 * (seed + 1)
    bundles = referrals(first, _REFERRALS)
    yield "referral", (Request("POST", _BASE, bundle) for bundle in bundles)
    least = least_referrals(_REFERRALS)
    yield "referral of 8", (Request("POST", _BASE, bundle) for bundle in least)


def _each(paths: Iterator[str] | list[str]) -> Iterator[Request]:
    return repeated(*(Request("GET", f"{_BASE}/{path}") for path in paths))


def _get(server: Server, token: str, path: str) -> Any:
    return json.loads(answer(server, token, Request("GET", f"{_BASE}/{path}")))


def _show(console: Console, point: Point, first: Point) -> None:
    title = f"{point.cases:,} cases, {point.processes} process(es)"
    table = Table(title=title, title_justify="left")
    heads = ("", "/s", "p50 ms", "p95 ms", "p99 ms", "CPU ms", "p95 × first")
    for head in heads:
        table.add_column(head, justify="right" if head else "left")
    for label, one in point.paths.items():
        base = first.paths.get(label)
        ratio = one.p95 / base.p95 if base else math.nan
        figures = (one.per_second, one.p50, one.p95, one.p99, one.cpu)
        table.add_row(label, *(f"{f:.1f}" for f in figures), f"{ratio:.2f}")
    console.print(table)
    for failure in point.failed:
        console.print(f"failed: {failure}")
    console.print(f"memory of a process at most {point.memory:.0f} MB")


def _draw(points: list[Point], picture: Path) -> None:
    """p95 of every path by size, one process, both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    fewest = min(point.processes for point in points)
    shown = [point for point in points if point.processes == fewest]
    for label in shown[0].paths:
        ran = [point for point in shown if label in point.paths]
        sizes = [max(point.cases, fill.OWN) for point in ran]
        axes.plot(sizes, [p.paths[label].p95 for p in ran], "o-", label=label)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="cases in the register",
        ylabel="p95, ms",
        title=f"{fewest} process, PostgreSQL",
    )
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(ncols=2, fontsize=8)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    typer.run(scale)
