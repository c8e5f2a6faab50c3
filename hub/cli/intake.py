"""tsunagi intake FILE: a sheet from the command line, dry or stored."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from hub.cli.opening import local_settings, opened
from hub.cli.said import out, print_issues, print_json, print_table
from hub.fhir.outcome import FhirError, issue

_MADE_SCOPES = (
    "system/Patient.c system/RelatedPerson.c system/QuestionnaireResponse.c"
    " system/Consent.c system/ServiceRequest.cs system/Task.c"
)


def intake(
    file: Annotated[
        Path, typer.Argument(help="CSVまたはExcelのファイル / CSV or Excel.")
    ],
    source: Annotated[
        str,
        typer.Option(
            help="送り手：組織コード、または organizationCode・name・kind・"
            "municipality・programme を書いたJSON / organisation code, or a JSON file."
        ),
    ],
    mapping: Annotated[
        str | None,
        typer.Option(
            help="様式の割り当て（省くとファイルから判断） / layout of the file."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="何も保存せず確かめるだけ。データベースも不要 / judge only.",
        ),
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="標準出力にJSONの一覧だけを出す / JSON list.")
    ] = False,
) -> None:
    """シートを読み、1行ずつ受け付けるか断るかを示す / Take in a sheet, row by row.

    終了コード：0 すべての行を判定した（断った行があっても）、1 ファイル全体を扱えない、
    2 設定の誤り。

    Exit 0 when every row was judged, refused ones too; 1 when the file as a whole
    cannot be taken: the JSON list then has one object whose row is null.
    """
    try:
        raw = _read(file)
        take = dry_rows if dry_run else _stored
        rows = take(raw, source, mapping)
    except FhirError as error:
        if json_:
            print_json([_whole(error)])
        raise
    if json_:
        print_json(rows)
    else:
        _print(rows)


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
    print_issues(sheet.issues)
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
    told = _source_file(source)
    made = source_from_json(told, directory.gazetteer)
    _require_programme(knowledge, made)
    if made.wording_version is None:
        # An ad-hoc source is taken to use the programme's present wording.
        programme = knowledge.programmes.get(next(iter(made.programmes), ""))
        wordings = list(programme.consent.wordings) if programme else []
        made = replace(made, wording_version=wordings[-1] if wordings else None)
    return made


def _require_programme(knowledge: Any, made: Any) -> None:
    for id_ in made.programmes:
        if id_ not in knowledge.programmes:
            expected = " | ".join(sorted(knowledge.programmes))
            wrong = issue(
                "HUB-DIR-011", "programme", key="programme", expected=expected
            )
            raise FhirError(wrong)


def _source_file(source: str) -> Any:
    """What a JSON file says; FhirError HUB-INT-004 without one, -005 when broken."""
    try:
        # Editors on Windows put a byte order mark in front.
        return json.loads(Path(source).read_text("utf-8-sig"))
    except FileNotFoundError:
        is_path = source.lower().endswith(".json") or os.sep in source
        raise FhirError(issue("HUB-INT-005" if is_path else "HUB-INT-004")) from None
    except (OSError, ValueError, RecursionError):
        raise FhirError(issue("HUB-INT-005")) from None


def _whole(error: FhirError) -> dict[str, Any]:
    """The file as a whole was refused: an object like a row's, without a row."""
    from hub.restful.intake import describe
    from hub.restful.sheets import Judged

    refused = describe(Judged(0, None, None, error.issues, ()))
    return {**refused, "row": None, "bundle": None}


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
        table.add_row(str(row["row"]), mark, *_cells(row), row.get("task", ""))
        for one in row["issues"][1:]:
            table.add_row("", "", *_cells(one), "")
        for warning in row["warnings"]:
            table.add_row("", "[yellow]注意[/]", *_cells(warning), "")
    print_table(table)
    accepted = sum(row["outcome"] == "accepted" for row in rows)
    refused = len(rows) - accepted
    out.print(
        f"受付 {accepted}・お断り {refused} / accepted {accepted}, refused {refused}"
    )


def _cells(said: dict[str, Any]) -> tuple[str, str, str]:
    return said["code"], escape(said["column"] or ""), escape(said["message"])
