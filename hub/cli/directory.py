"""tsunagi directory import | show."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from hub.cli.opening import local_settings, opened
from hub.cli.said import out, print_problem, print_table

app = typer.Typer(help="組織・窓口・管轄 / the directory.", no_args_is_help=True)


@app.command("import")
def import_(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="ディレクトリのフォルダ（省くと付属のもの） / folder of CSV files."
        ),
    ] = None,
) -> None:
    """フォルダのCSVから取り込む。何度行っても同じ結果 / Import; repeatable."""
    from hub.running.prepare import import_directory

    settings = local_settings()
    with opened(settings) as database:
        count = import_directory(settings, database, folder)
    out.print(f"{count} 件を取り込みました / imported {count} resources")


@app.command()
def show(
    organization: Annotated[
        str | None,
        typer.Argument(help="組織のコード（省くと一覧） / organization code."),
    ] = None,
) -> None:
    """組織と窓口を表示する / Show organisations and desks."""
    from hub.directory.ask import StoredDirectory

    with opened(local_settings()) as database, database.transaction() as session:
        directory = StoredDirectory(session)
        found = [
            o
            for o in directory.organisations()
            if organization is None or o.code == organization
        ]
        table = Table("code", "name", "kind", "municipality", "desks", "endpoint")
        for one in found:
            endpoint = directory.endpoint_of(one.code)
            table.add_row(
                one.code,
                one.name,
                one.kind,
                one.municipality or "",
                ", ".join(d.id for d in directory.desks_of(one.code)),
                endpoint.address if endpoint else "",
            )
    if not found:
        _say_none(organization)
        raise typer.Exit(1)
    print_table(table)


def _say_none(organization: str | None) -> None:
    if organization is None:
        print_problem(
            "ディレクトリは空です。tsunagi directory import で取り込んでください。",
            "The directory is empty: run `tsunagi directory import`.",
        )
        return
    print_problem(
        f"組織 {organization} はディレクトリにありません。"
        "tsunagi directory show で一覧を確かめてください。",
        "No such organisation: `tsunagi directory show` lists them.",
    )
