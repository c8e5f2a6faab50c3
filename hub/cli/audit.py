"""tsunagi audit verify."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.opening import local_settings, opened, refuse
from hub.cli.said import out, print_issues, print_problem
from hub.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

app = typer.Typer(help="監査記録 / the audit log.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """監査記録 / the audit log."""


@app.command()
def verify(
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="チェックポイントのファイル / file of checkpoints."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="確かめる公開鍵（PEM） / public key.")
    ] = None,
) -> None:
    """改ざんがないか、鎖とチェックポイントを確かめる / Verify chain and checkpoints."""
    from hub.audit.verify import verify as verify_log
    from hub.running.parts import checkpoints_path

    settings = local_settings()
    anchors = checkpoints or checkpoints_path(settings)
    if checkpoints and not checkpoints.is_file():
        refuse(
            f"チェックポイントのファイル {checkpoints} がありません。",
            f"There is no file of checkpoints {checkpoints}.",
        )
    public = _public_key(key or _key_path(settings), needed=anchors.exists())
    with opened(settings) as database:
        report = verify_log(database, anchors, public)
    if not anchors.exists():
        print_problem(
            f"チェックポイント {anchors} がまだありません。"
            "末尾の切り取りは見つけられません。",
            "There is no checkpoint yet: a log that was cut short cannot be noticed.",
        )
    out.print(
        f"封印済み sealed {report.sealed}・証明済み anchored {report.anchored}"
        f"（チェックポイント checkpoints {report.checkpoints}）"
        f"・未封印 unsealed {report.unsealed}"
    )
    if not report.is_intact:
        print_issues(report.problems)
        raise typer.Exit(1)
    out.print("異常はありません / intact")


def _key_path(settings: Settings) -> Path:
    """The public half where it lies beside the private key, else the private key."""
    from hub.running.parts import audit_key_path

    path = audit_key_path(settings)
    public = path.with_name(f"{path.name}.pub")
    return public if public.is_file() else path


def _public_key(path: Path, *, needed: bool) -> "Ed25519PublicKey":
    """The verifying key; any key will do while there is no checkpoint to verify."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from hub.audit.checkpoint import load_public_key

    if not needed and not path.is_file():
        return Ed25519PrivateKey.generate().public_key()
    try:
        return load_public_key(path)
    except FileNotFoundError:
        refuse(
            f"監査の公開鍵 {path} がありません。--key か TSUNAGI_AUDIT_KEY で"
            "場所を指定してください。",
            f"The audit key {path} is missing: name it with --key or"
            " TSUNAGI_AUDIT_KEY.",
        )
    except (ValueError, TypeError):
        refuse(
            f"{path} は Ed25519 の鍵（PEM）ではありません。",
            f"{path} is not an Ed25519 key (PEM).",
        )
