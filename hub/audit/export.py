"""The log, or a part of it, as a file: DICOM audit messages, CSV, or FHIR (ndjson).

Page by page in short transactions: the memory of one page, whatever the log's length.
An export is itself in the log before its first byte is given out.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from hub.actor import Actor
from hub.audit import dicom, table
from hub.audit.search import Criteria, Entry, walk
from hub.audit.write import record
from hub.database import Database
from hub.fhir.dates import micros

_PAGE = 1000
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n<AuditMessages>\n'


def export(
    database: Database, actor: Actor, asked: Criteria, form: str, at: datetime
) -> Iterator[str]:
    """The events of the criteria recorded before `at`, oldest first, as text.

    `form` is `dicom` (one AuditMessage a line within AuditMessages), `csv` or `fhir`
    (one AuditEvent a line). The row of the export is committed when the first piece
    is taken.
    """
    note(database, actor, "log-export", asked, at, form=form)
    first, each, last = _FORMS[form]
    yield first
    for entry in events(database, asked, at):
        yield each(entry)
    yield last


def events(database: Database, asked: Criteria, at: datetime) -> Iterator[Entry]:
    """The events of the criteria recorded before `at`, oldest first."""
    most = micros(at)
    until = most if asked.until is None else min(asked.until, most)
    bounded = replace(asked, until=until)
    after = (0, "")
    while True:
        with database.transaction(write=False) as session:
            page = walk(session, bounded, after=after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = (page[-1].recorded, page[-1].id)


def note(
    database: Database,
    actor: Actor,
    interaction: str,
    asked: Criteria,
    at: datetime,
    *,
    form: str,
) -> None:
    """Record that the log was used and what of it: about each person asked for."""
    given = {name: value for name, value in asdict(asked).items() if value}
    query = urlencode({"form": form, **given}, doseq=True)
    with database.transaction(write=False) as session:
        record(session, actor, interaction, at=at, patients=asked.patient, query=query)


def _in_dicom(entry: Entry) -> str:
    return f"{dicom.message(_event(entry))}\n"


def _in_csv(entry: Entry) -> str:
    return table.line(table.row(_event(entry)))


def _in_fhir(entry: Entry) -> str:
    return f"{entry.body.decode()}\n"


def _event(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(entry.body)
    return found


_Form = tuple[str, Callable[[Entry], str], str]
_FORMS: dict[str, _Form] = {
    "dicom": (_XML, _in_dicom, "</AuditMessages>\n"),
    # Excel reads UTF-8 only behind a byte order mark.
    "csv": ("\ufeff" + table.line(table.HEADER), _in_csv, ""),
    "fhir": ("", _in_fhir, ""),
}
