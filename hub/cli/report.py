"""tsunagi report monthly."""

import typer

app = typer.Typer(help="報告 / reports.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """報告 / reports."""
