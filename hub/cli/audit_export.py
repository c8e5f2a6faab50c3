"""tsunagi audit export: the log as DICOM audit messages, CSV or FHIR."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from hub.cli.opening import local_settings, opened, refuse
from hub.cli.said import err

if TYPE_CHECKING:
    from hub.audit import Criteria


class Form(StrEnum):
    """How the log is written."""

    dicom = "dicom"
    csv = "csv"
    fhir = "fhir"


Since = Annotated[
    str | None,
    typer.Option("--from", help="この日時から（YYYY-MM-DD か日時、日本時間） / since."),
]
Until = Annotated[
    str | None,
    typer.Option("--to", help="この日・時刻の終わりまで / until its end."),
]
Patients = Annotated[
    list[str] | None, typer.Option("--patient", help="患者のid / patient id.")
]
Organizations = Annotated[
    list[str] | None, typer.Option("--organization", help="組織コード / organisation.")
]
Clients = Annotated[
    list[str] | None, typer.Option("--client", help="client_id / OAuth client.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="書き出すファイル。なければ標準出力 / file to write."),
]


def export(
    form: Annotated[
        Form, typer.Option("--format", help="dicom（JAHIS）| csv | fhir")
    ] = Form.dicom,
    since: Since = None,
    until: Until = None,
    patient: Patients = None,
    organization: Organizations = None,
    client: Clients = None,
    out: Out = None,
) -> None:
    """監査記録を書き出す（書き出したことも記録される） / Export the log; audited."""
    from hub import audit
    from hub.audit.export import export as pieces
    from hub.fhir.dates import now
    from hub.running.prepare import operator

    settings = local_settings()
    asked = criteria(since, until, patient, organization, client)
    with opened(settings) as database, writing(out) as file:
        audit.observe(database, settings.organization, settings.base_url)
        count = 0
        for piece in pieces(database, operator(settings), asked, form.value, now()):
            file.write(piece)
            count += 1
    if out:
        frame = 2  # what stands before and behind the events
        err.print(f"{out}: {count - frame} 件 / events", markup=False)


def criteria(
    since: str | None,
    until: str | None,
    patient: list[str] | None,
    organization: list[str] | None,
    client: list[str] | None,
) -> "Criteria":
    """What the options ask; exit 2 for a date that is none."""
    from hub import audit

    persons = (one.rpartition("/")[2] for one in patient or ())
    return audit.Criteria(
        patient=tuple(f"Patient/{one}" for one in persons),
        organisation=tuple(organization or ()),
        client=tuple(client or ()),
        since=moment("--from", since)[0] if since else None,
        until=moment("--to", until)[1] if until else None,
    )


@contextmanager
def writing(path: Path | None) -> Iterator[TextIO]:
    """A new file that only its owner reads, or stdout. Never over an existing one."""
    if path is None:
        yield sys.stdout
        return
    with open_private(path) as handle, os.fdopen(handle, "w", newline="") as file:
        yield file


@contextmanager
def open_private(path: Path) -> Iterator[int]:
    """A descriptor of a new file of mode 0600; exit 2 when there is such a file."""
    try:
        yield os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        refuse(
            f"{path} はすでにあります。別の名前を指定してください。",
            f"{path} exists already: name another file.",
        )


def moment(option: str, text: str) -> tuple[int, int]:
    """The span of a date or time in microseconds UTC; exit 2 when it is none."""
    from hub.fhir.search_values import date_range

    try:
        return date_range(text)
    except ValueError:
        refuse(
            f"{option} は 2026-11-02 か 2026-11-02T09:30 の形で指定してください。",
            f"{option} takes a date such as 2026-11-02 or 2026-11-02T09:30.",
        )
