"""tsunagi intake FILE: a sheet from the command line, dry or stored."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from hub.cli.opening import local_settings, opened
from hub.cli.said import err, out
from hub.fhir.outcome import FhirError, issue

_MADE_SCOPES = (
    "system/Patient.c system/RelatedPerson.c system/QuestionnaireResponse.c"
    " system/Consent.c system/ServiceRequest.cs system/Task.c"
)


def intake(
    file: Annotated[Path, typer.Argument(help="CSVまたはExcelのファイル")],
    source: Annotated[str, typer.Option(help="送り手: 組織コード、またはJSONファイル")],
    mapping: Annotated[
        str | None, typer.Option(help="様式の割り当て（省くとファイルから判断）")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="確かめるだけで何も保存しない")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="JSONで出力")] = False,
) -> None:
    """シートを読み、1行ずつ受け付けるか断るかを示す / Take in a sheet, row by row.

    Exit 0 when every row was accepted, 1 when some row was refused.
    """
    raw = _read(file)
    rows = dry_rows(raw, source, mapping) if dry_run else _stored(raw, source, mapping)
    if json_:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2, default=str))
    else:
        _print(rows)
    if any(row["outcome"] != "accepted" for row in rows):
        raise typer.Exit(1)


def dry_rows(raw: bytes, source: str, mapping: str | None) -> list[dict[str, Any]]:
    """Judge the rows without a server and without a database."""
    from hub.app import know
    from hub.directory.ask import SeedDirectory
    from hub.directory.seeds import read
    from hub.fhir import dates
    from hub.restful.intake import describe
    from hub.restful.sheets import judge, read_sheet

    settings = local_settings()
    knowledge = know(settings)
    directory = SeedDirectory(read(settings.profiles / "directory"))
    organisation = _source(knowledge, directory, source)
    sheet = read_sheet(knowledge.packages, raw, mapping)
    for warning in sheet.issues:
        err.print(f"[yellow]{warning.id}[/] {warning.text}", markup=True)
    return [
        {**describe(one), "bundle": _plain(one.bundle)}
        for one in judge(knowledge, directory, organisation, sheet, dates.now())
    ]


def _stored(raw: bytes, source: str, mapping: str | None) -> list[dict[str, Any]]:
    from hub.app import make_hub
    from hub.restful.intake import take
    from hub.smart.scopes import parse

    settings = local_settings()
    with opened(settings) as database:
        hub = make_hub(settings, database)
        actor = _actor(source, frozenset(parse(_MADE_SCOPES)))
        return take(hub, actor, raw, mapping)


def _actor(organisation: str, scopes: Any) -> Any:
    from hub.actor import Actor

    return Actor("cli", organisation, scopes, frozenset({"source"}))


def _source(knowledge: Any, directory: Any, source: str) -> Any:
    """An organisation by code, or described by a JSON file."""
    from dataclasses import replace

    from hub.directory.source import source_from_json

    found = directory.organisation(source)
    if found is not None:
        return found
    path = Path(source)
    if not path.is_file():
        raise FhirError(issue("HUB-INT-004"))
    try:
        told = json.loads(path.read_text("utf-8"))
    except ValueError:
        raise FhirError(issue("HUB-INT-005")) from None
    made = source_from_json(told, directory.gazetteer)
    if made.wording_version is None:
        # An ad-hoc source is taken to use the programme's present wording.
        programme = knowledge.programmes.get(next(iter(made.programmes), ""))
        wordings = list(programme.consent.wordings) if programme else []
        made = replace(made, wording_version=wordings[-1] if wordings else None)
    return made


def _plain(bundle: Any) -> Any:
    from hub.fhir.json import encode

    return None if bundle is None else json.loads(encode(bundle))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        raise FhirError(issue("HUB-INT-007")) from None


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table("行", "結果", "コード", "列", "内容", "Task")
    for row in rows:
        mark = "[green]受付[/]" if row["outcome"] == "accepted" else "[red]お断り[/]"
        table.add_row(
            str(row["row"]),
            mark,
            row["code"],
            row["column"] or "",
            row["message"],
            row.get("task", ""),
        )
        for warning in row["warnings"]:
            table.add_row(
                "",
                "[yellow]注意[/]",
                warning["code"],
                warning["column"] or "",
                warning["message"],
                "",
            )
    out.print(table)
