"""The figures as a table, and as plain text for a note."""

import os
import platform

from rich.console import Console
from rich.table import Table

from tests.bench.load import Measured
from tests.bench.run import Plan, Result

_HEADS = ("", "/s", "p50 ms", "p95 ms", "CPU ms", "of /livez", "CPU ×", "n")


def show(console: Console, result: Result) -> None:
    """One database as a table."""
    table = Table(title=result.database, title_justify="left")
    for head in _HEADS:
        table.add_column(head, justify="right" if head else "left")
    for cells in _lines(result):
        table.add_row(*cells)
    console.print(table)
    console.print(_beside(result), highlight=False)


def plain(results: list[Result], plan: Plan) -> str:
    """The block to paste: machine, then each database, every figure with its ratio."""
    machine = f"{os.cpu_count()} CPUs, Python {platform.python_version()}"
    load = f"{plan.clients} clients, at most {plan.seconds:g} s a path"
    parts = [f"tsunagi bench: {machine}, one process, {load}"]
    for result in results:
        rows = [_HEADS, *_lines(result)]
        widths = [max(len(row[at]) for row in rows) for at in range(len(_HEADS))]
        parts += ["", result.database]
        parts += [
            "  ".join(
                [row[0].ljust(widths[0])]
                + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
            )
            for row in rows
        ]
        parts.append(_beside(result))
    return "\n".join(parts)


def _lines(result: Result) -> list[tuple[str, ...]]:
    live = result.paths["GET /livez"]
    return [_line(label, one, live) for label, one in result.paths.items()]


def _line(label: str, one: Measured, live: Measured) -> tuple[str, ...]:
    return (
        label,
        f"{one.per_second:.1f}",
        f"{one.p50:.1f}",
        f"{one.p95:.1f}",
        f"{one.cpu:.2f}",
        f"{one.per_second / live.per_second:.3f}",
        f"{one.cpu / live.cpu:.1f}",
        str(one.count),
    )


def _beside(result: Result) -> str:
    referrals = result.paths["referral"].per_second
    ratio = referrals / result.bare_inserts
    grown = result.memory / result.idle_memory
    return (
        f"bare insert of a referral's {result.rows} rows: {result.bare_inserts:.1f}/s;"
        f" referrals are {ratio:.2f} of it\n"
        f"start to first answer {result.started:.2f} s;"
        f" memory {result.idle_memory:.0f} MB idle, {result.memory:.0f} MB after"
        f" ({grown:.2f} of idle)"
    )
