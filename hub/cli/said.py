"""How the command line speaks: findings to stderr, results to stdout."""

import json
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hub.fhir.outcome import Issue

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_issues(issues: Iterable[Issue]) -> None:
    """One finding a line: id, place, Japanese, English."""
    for found in issues:
        place = found.expression or ""
        if found.row is not None:
            place = f"{found.row}行目" + (f"・{found.column}" if found.column else "")
        head = escape(f"{found.id} {place}".strip())
        style = "bold red" if found.severity in ("fatal", "error") else "yellow"
        err.print(f"[{style}]{head}[/] {escape(found.text)}")
        err.print(f"    {found.english}", markup=False)
        if found.kind.fix:
            err.print(f"    → {found.kind.fix}", markup=False)


def print_problem(japanese: str, english: str) -> None:
    """What is wrong and what to do."""
    err.print(f"[bold red]✗[/] {escape(japanese)}")
    err.print(f"    {english}", markup=False)


def print_table(table: Table) -> None:
    """Fold to the terminal's width; in a pipe or a file lines may be long."""
    for column in table.columns:
        column.overflow = "fold"  # Japanese has no spaces at which to break
    width = None if out.is_terminal else 160
    Console(highlight=False, width=width).print(table)


def print_json(value: Any) -> None:
    """JSON to stdout, and nothing that is not JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
