"""How the command line speaks: findings to stderr, results to stdout."""

from collections.abc import Iterable

from rich.console import Console

from hub.fhir.outcome import Issue

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_issues(issues: Iterable[Issue]) -> None:
    """One finding a line: id, place, Japanese, English."""
    for found in issues:
        place = found.expression or ""
        if found.row is not None:
            place = f"{found.row}行目" + (f"・{found.column}" if found.column else "")
        head = f"{found.id} {place}".strip()
        err.print(f"[bold red]{head}[/] {found.text}\n    {found.english}", markup=True)
        if found.kind.fix:
            err.print(f"    → {found.kind.fix}", markup=False)


def print_problem(sentence: str) -> None:
    """A sentence that says what to do."""
    err.print(f"[bold red]✗[/] {sentence}")
