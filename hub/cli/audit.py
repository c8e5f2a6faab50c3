"""tsunagi audit verify."""

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.opening import local_settings, opened
from hub.cli.said import out, print_issues

app = typer.Typer(help="監査記録 / the audit log.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """監査記録 / the audit log."""


@app.command()
def verify(
    checkpoints: Annotated[
        Path | None, typer.Option(help="チェックポイントのファイル")
    ] = None,
) -> None:
    """改ざんがないか、鎖とチェックポイントを確かめる / Verify chain and checkpoints."""
    from hub.audit.checkpoint import load_key
    from hub.audit.verify import verify as verify_log
    from hub.running.parts import audit_key_path, checkpoints_path

    settings = local_settings()
    key = load_key(audit_key_path(settings), create=settings.dev)
    with opened(settings) as database:
        report = verify_log(
            database, checkpoints or checkpoints_path(settings), key.public_key()
        )
    out.print(
        f"封印済み sealed {report.sealed}・証明済み anchored {report.anchored}"
        f"（チェックポイント {report.checkpoints}）・未封印 unsealed {report.unsealed}"
    )
    if not report.is_intact:
        print_issues(report.problems)
        raise typer.Exit(1)
    out.print("異常はありません / intact")
