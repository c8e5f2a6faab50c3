"""tsunagi keys: make the hub's own keys where they are missing; rotate content keys."""

from typing import Annotated

import typer
from rich.table import Table

from hub.cli.opening import local_settings, opened, refuse
from hub.cli.said import out, print_problem, print_table

app = typer.Typer(
    help="ハブ自身の鍵 / the hub's own keys.", invoke_without_command=True
)


@app.callback()
def make(context: typer.Context) -> None:
    """ハブの鍵のうち、ないものを作る / Make the hub's keys that are missing.

    署名鍵（TSUNAGI_SIGNING_KEY）、監査の鍵（TSUNAGI_AUDIT_KEY）、内容を暗号化する鍵
    （TSUNAGI_CONTENT_KEYS）を、設定された場所に作ります。すでにある鍵は変えません。
    / An existing key is kept as it is.
    """
    if context.invoked_subcommand is not None:
        return
    from hub.audit.checkpoint import load_key
    from hub.running.parts import audit_key_path
    from hub.sealing.keys import content_keys, path_of
    from hub.smart.signing import FILE_NAME, signing_keys

    settings = local_settings().model_copy(update={"dev": True})
    signing = settings.signing_key or settings.state / FILE_NAME
    audit, content = audit_key_path(settings), path_of(settings)
    was_there = {path: path.exists() for path in (signing, audit, content)}
    signing_keys(settings)
    load_key(audit, create=True)
    content_keys(settings)
    for path, kept in was_there.items():
        said = "そのまま / kept" if kept else "作成 / made"
        out.print(f"{path}  {said}", markup=False)


@app.command("new")
def new() -> None:
    """内容を暗号化する新しい鍵を加える / Add a new content key, used from now on.

    動いているハブもすぐに使います。前の鍵は読むために残ります。ハブが何台かあるときは、
    どの台のファイルも同じにしてから tsunagi keys rotate を動かします。
    / Running hubs take it up at once; older keys stay for reading.
    """
    from hub.sealing.keys import add, path_of

    path = path_of(local_settings())
    if not path.exists():
        refuse(
            f"{path} がありません。はじめは tsunagi keys で作ってください。",
            f"{path} is missing: `tsunagi keys` makes the first one.",
        )
    out.print(f"{add(path)}  作成 / made", markup=False)


@app.command("rotate")
def rotate() -> None:
    """保存した内容を新しい鍵で暗号化しなおす / Seal what is stored with the newest key.

    ハブを動かしたまま実行できます。途中で止めても、もう一度実行すれば続きます。
    / Works beside running hubs; run it again after it was stopped.
    """
    from hub.running import rotate as rotating
    from hub.sealing.keys import ContentKeys, path_of
    from hub.smart.signing import FILE_NAME, signing_keys

    settings = local_settings()
    keys = ContentKeys(path_of(settings))
    sealed = refused = headers = 0
    with opened(settings) as database:
        for done in rotating.rotate(database, keys):
            sealed, refused = sealed + done.sealed, refused + done.refused
        if (settings.signing_key or settings.state / FILE_NAME).exists():
            headers = rotating.reseal_headers(database, signing_keys(settings))
    out.print(
        f"鍵 {keys.newest().kid}：{sealed}件を暗号化しました、通知先 {headers}件"
        f" / {sealed} rows and {headers} subscribers' headers sealed anew",
        markup=False,
    )
    if refused:
        print_problem(
            f"{refused}件は開けません。その鍵がないか、内容が書き換えられています。",
            f"{refused} rows do not open: their key is missing or they were touched.",
        )
        raise typer.Exit(1)


@app.command("list")
def show() -> None:
    """内容を暗号化した鍵と、その件数 / The content keys and what each has sealed."""
    from hub.running import rotate as rotating
    from hub.sealing.keys import load, path_of

    settings = local_settings()
    there = [str(key.kid) for key in load(path_of(settings))]
    table = Table("鍵 / key", "ファイル / file", "件数 / rows")
    with opened(settings) as database:
        used = rotating.uses(database)
    for id in dict.fromkeys([*there, *used]):
        said = "なし / missing"
        if id in there:
            said = "使用中 / encrypts" if id == there[0] else "読むだけ / decrypts"
        table.add_row(id, said, str(used.get(id, 0)))
    print_table(table)


@app.command("drop")
def drop(
    id: Annotated[str, typer.Argument(help="外す鍵の番号 / the key's id.")],
) -> None:
    """もう使わない鍵を外す / Take out a key that nothing needs any more.

    その鍵で暗号化したバックアップは、鍵の控えがなければ読めなくなります。
    / Backups sealed with it need a copy of the key.
    """
    from hub.running import rotate as rotating
    from hub.sealing import keys as sealing

    settings = local_settings()
    path = sealing.path_of(settings)
    with opened(settings) as database:
        rotating.forget(database, sealing.ContentKeys(path), id)
    sealing.drop(path, [id])
    out.print(f"{id}  外しました / dropped", markup=False)
