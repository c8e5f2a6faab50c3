"""`python -m tests.bench`: how many, how fast, with how much CPU and memory.

On SQLite, and on PostgreSQL where TSUNAGI_TEST_POSTGRES names a server. Absolute
figures move with the machine; each stands beside a baseline of the same run.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated

import typer
from rich.console import Console

from tests.bench import report
from tests.bench.people import referrals
from tests.bench.postgresql import new_database
from tests.bench.run import Plan, measure


def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="a third of it")] = False,
    count: Annotated[int, typer.Option("--referrals", help="at most")] = 0,
    clients: Annotated[int, typer.Option(help="threads")] = 4,
    seconds: Annotated[float, typer.Option(help="for each path", max=90)] = 0,
    only: Annotated[str, typer.Option(help="sqlite | postgresql")] = "",
) -> None:
    """Measure the hub on each database there is."""
    console = Console()
    with console.status("people"):
        plan = Plan(
            referrals=referrals(0, count or (100 if quick else 400)),
            sheets=2 if quick else 5,
            seconds=seconds or (1.0 if quick else 4.0),
            clients=clients,
        )
    results = []
    for url in _urls(only):
        with url as found, console.status("") as status:
            results.append(measure(found, plan, status.update))
        report.show(console, results[-1])
    console.print()
    console.print(report.plain(results, plan), markup=False, highlight=False)


def _urls(only: str) -> list[AbstractContextManager[str]]:
    postgres = os.environ.get("TSUNAGI_TEST_POSTGRES", "")
    found = {"sqlite": _sqlite(), "postgresql": new_database(postgres)}
    if not postgres:
        del found["postgresql"]
    return [url for name, url in found.items() if only in ("", name)]


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/hub.db"


if __name__ == "__main__":
    typer.run(bench)
