"""tsunagi audit breach: what was seen by whom between two times, and the deadlines."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.audit_export import (
    Clients,
    Organizations,
    Patients,
    Since,
    Until,
    criteria,
    moment,
    open_private,
)
from hub.cli.opening import local_settings, opened
from hub.cli.said import out, print_json

if TYPE_CHECKING:
    from hub.audit import Criteria
    from hub.database import Database
    from hub.reports.access import Report
    from hub.settings import Settings


def breach(
    since: Since = None,
    until: Until = None,
    known_at: Annotated[
        str | None,
        typer.Option(help="事態を知った日時（省くと今） / moment of knowing, now."),
    ] = None,
    malicious: Annotated[
        bool,
        typer.Option("--malicious", help="不正の目的のおそれ（確報60日） / 60 days."),
    ] = False,
    patient: Patients = None,
    organization: Organizations = None,
    client: Clients = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="PDF・CSV・JSONを書くフォルダ / folder for files."),
    ] = None,
) -> None:
    """だれの何が、だれに見られたかと、報告の期限 / What was seen, and the deadlines.

    --out がなければJSONを表示する。 / Without --out JSON is printed.
    """
    from hub.audit.clocks import clocks
    from hub.fhir.dates import from_micros, now
    from hub.reports import access

    settings, at = local_settings(), now()
    asked = criteria(since, until, patient, organization, client)
    known = from_micros(moment("--known-at", known_at)[0]) if known_at else at
    with opened(settings) as database:
        report = _report(settings, database, asked, at)
    report = access.with_clocks(report, clocks(known, malicious=malicious))
    if folder is None:
        print_json(access.to_json(report))
        return
    for path in _write(report, folder, settings.profiles / "print", at):
        out.print(f"{path}", markup=False)


def _report(
    settings: "Settings", database: "Database", asked: "Criteria", at: datetime
) -> "Report":
    """The findings; that they were gathered is recorded first."""
    from hub import audit
    from hub.audit.export import events, note
    from hub.audit.seen import gather
    from hub.reports import access
    from hub.running.prepare import operator

    audit.observe(database, settings.organization, settings.base_url)
    note(database, operator(settings), "log-report", asked, at, form="access")
    seen = gather(events(database, asked, at), settings.organization)
    with database.transaction(write=False) as session:
        return access.report(session, seen, asked, at, settings.organization)


def _write(report: "Report", folder: Path, sheets: Path, at: datetime) -> list[Path]:
    import json

    from hub.fhir.dates import JST
    from hub.reports import access

    stem = f"access-{at.astimezone(JST):%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    value: dict[str, Any] = access.to_json(report)
    made = {
        "pdf": access.to_pdf(report, sheets),
        "csv": access.to_csv(report).encode(),
        "json": json.dumps(value, ensure_ascii=False, indent=2).encode(),
    }
    for ending, content in made.items():
        with (
            open_private(folder / f"{stem}.{ending}") as handle,
            os.fdopen(handle, "wb") as file,
        ):
            file.write(content)
    return [folder / f"{stem}.{ending}" for ending in made]
