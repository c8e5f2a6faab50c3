"""tsunagi report monthly."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from hub.cli.opening import local_settings, opened, require_content
from hub.cli.said import out, print_issues, print_table

app = typer.Typer(help="報告 / reports.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """報告 / reports."""


@app.command()
def monthly(
    month: Annotated[
        str | None,
        typer.Option(
            help="情報提供年月 YYYY-MM（省くと先月） / month, last one if left out."
        ),
    ] = None,
    centre: Annotated[
        str | None, typer.Option(help="保健所などの組織コード / centre.")
    ] = None,
    hospital: Annotated[
        str | None, typer.Option(help="医療機関の組織コード / hospital.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", help="PDFとFHIR文書を書くフォルダ / folder for the files."
        ),
    ] = None,
    send: Annotated[
        bool, typer.Option(help="医療機関へ送る（配送に積む） / queue for delivery.")
    ] = True,
) -> None:
    """月次の連絡票（様式5）を、保健所×医療機関ごとに作る / Monthly reports."""
    from hub import audit
    from hub.app import know
    from hub.changes import By
    from hub.fhir.dates import today
    from hub.reports.month import run, write
    from hub.reports.monthly import Month
    from hub.running.prepare import operator

    settings = local_settings()
    last_month = today().replace(day=1) - timedelta(days=1)
    wanted = Month.parse(f"{last_month:%Y-%m}" if month is None else month)
    table = Table("保健所", "医療機関", "対象者数", "番号", "配送")
    with opened(settings) as database:
        require_content(settings, database)
        audit.observe(database, settings.organization, settings.base_url)
        with database.transaction() as session:
            made = list(
                run(
                    session,
                    know(settings),
                    By(operator(settings)),
                    wanted,
                    centre=centre,
                    hospital=hospital,
                    send=send,
                )
            )
            for one in made:  # before the commit: what cannot be written is not sent
                write(one, folder or settings.state / "reports")
        for one in made:
            print_issues(one.issues)
            table.add_row(
                one.report.centre.name,
                one.report.hospital.name,
                str(one.report.count) if one.report.count else "該当なし",
                one.report.number,
                one.message or "―",
            )
    if not made:
        out.print("作る連絡票はありません / no report to make")
        return
    print_table(table)
    out.print(f"{folder or settings.state / 'reports'}", markup=False)
