"""tsunagi audit verify | rotate | role: who may write, and whether anybody did."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.audit_breach import breach
from hub.cli.audit_export import export
from hub.cli.opening import local_settings, opened, refuse
from hub.cli.said import out, print_issues, print_problem
from hub.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

app = typer.Typer(help="監査記録 / the audit log.", no_args_is_help=True)
app.command("export")(export)
app.command("breach")(breach)


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
        list[Path] | None,
        typer.Option(help="確かめる公開鍵（PEM、複数可） / public keys."),
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
    keys = _public_keys(settings, key or [], needed=anchors.exists())
    with opened(settings) as database:
        report = verify_log(database, anchors, keys)
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


@app.command()
def rotate() -> None:
    """チェックポイントの署名鍵を替える / Replace the key that signs checkpoints.

    ハブを止めて実行する。前の公開鍵は隣に残る。 / Stop the hub first.
    """
    from hub.audit.rotate import rotate as replace_key
    from hub.fhir.dates import now
    from hub.running.parts import audit_key_path, checkpoints_path, make_checkpoints
    from hub.running.safety import require_ready

    settings = local_settings()
    require_ready(settings)
    with opened(settings) as database:
        make_checkpoints(settings).anchor(database)
    path = audit_key_path(settings)
    made = replace_key(path, checkpoints_path(settings), now())
    make_checkpoints(settings).copy()
    out.print(f"新しい鍵 / new key {made}  {path}", markup=False)


@app.command()
def role(
    name: Annotated[str, typer.Argument(help="ハブが使う役割の名前 / role name.")],
    apply: Annotated[
        bool, typer.Option("--apply", help="所有者として実行する / run it as owner.")
    ] = False,
) -> None:
    """監査記録に追記だけできるPostgreSQLの役割 / A role that can only add to the log.

    --apply がなければSQLを表示する。 / Without --apply the SQL is printed.
    """
    from hub.migrations.role import apply as give
    from hub.migrations.role import statements

    try:
        wanted = statements(name)
    except ValueError as error:
        refuse(*str(error).split(" / ", 1))
    if not apply:
        for statement in wanted:
            typer.echo(statement)
        return
    settings = local_settings()
    with opened(settings) as database:
        if database.is_sqlite:
            refuse("SQLiteに役割はありません。", "SQLite has no roles.")
        is_new = give(database, name)
    said = "作成して権限を付けました / made" if is_new else "権限を付けました / granted"
    out.print(f"{name}  {said}", markup=False)


def _public_keys(
    settings: Settings, named: list[Path], *, needed: bool
) -> "list[Ed25519PublicKey]":
    """The keys that were named; else the public halves that lie beside the private."""
    from hub.audit.rotate import trusted
    from hub.running.parts import audit_key_path

    if named:
        return [_public_key(path, needed=needed) for path in named]
    path = audit_key_path(settings)
    if list(path.parent.glob(f"{path.name}*.pub")):
        return trusted(path)
    return [_public_key(path, needed=needed)]


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
