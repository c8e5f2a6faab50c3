"""Read one sheet file into rows of answers: recognise, read, report.

What is wrong with the file as a whole raises; what is wrong with a row or a cell is
reported with the row and the header, and the other rows go on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from hub.fhir.answers import Answers, answer, key_of, text_of
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, Issue, issue
from mappings.japanese import mark_private
from mappings.sheets import csv_file, xlsx_file
from mappings.sheets.cells import read_cell
from mappings.sheets.layout import Layout, best
from mappings.sheets.table import Limits, Record, Table

Unreadable = Literal["keep", "refuse"]

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
# A cell that begins like a formula is written out behind an apostrophe (write.py).
_GUARDED = re.compile(r"'[=+@\t\r-]")
_FEWEST_HEADERS = 2
# What decision D-10 is about; consent (-029) is never read wrongly, only not given.
_UNREAD = frozenset(f"HUB-SHEET-02{n}" for n in range(7))
# Answers a sheet keeps out of the form: texts, and the wish for the nearest centre.
Extras = dict[str, str | bool]


@dataclass(frozen=True, slots=True)
class Row:
    """One record. `answers` by linkId, see `hub.fhir.answers`.

    `extras`: `postalCode` (NNN-NNNN) or `postalCodeText` (unreadable), `nearestCentre`
    True when wished for, `referralNumber`, `phoneCall`. `headers` tells the column of
    an item. A row with an error among `issues` is refused.
    """

    number: int
    answers: Answers
    extras: Extras
    issues: tuple[Issue, ...]
    headers: Mapping[str, str]

    @property
    def is_refused(self) -> bool:
        return any(found.severity in {"error", "fatal"} for found in self.issues)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file that was read: `mapping` and `form` name what it is.

    `issues` are warnings about the file: unknown and missing columns, other sheets.
    """

    mapping: str
    form: str
    rows: tuple[Row, ...]
    issues: tuple[Issue, ...]


def read(
    raw: bytes,
    layouts: Mapping[str, Layout],
    *,
    mapping: str | None = None,
    unreadable: Unreadable = "keep",
    limits: Limits | None = None,
) -> Sheet:
    """Read a CSV or Excel file; `mapping` names the layout, else it is recognised.

    `unreadable` is decision D-10: keep the text and warn, or refuse the row.
    Raises FhirError: HUB-SHEET-001 unknown mapping, -019 which one is unclear,
    -002 wrong encoding, -003 another sheet, -015 sheets of different kinds, -004
    empty, -013 no record, -007, -012 and -034 too large, -008 no Excel file, -009 too
    large unpacked, -010 and -018 a header twice, -014 protected or old Excel.
    """
    limits = limits or Limits()
    candidates = _candidates(layouts, mapping)
    if not raw.strip():
        raise FhirError(issue("HUB-SHEET-004"))
    if len(raw) > limits.size:
        raise FhirError(issue("HUB-SHEET-012", limit=limits.size))
    if raw.startswith((xlsx_file.MAGIC, xlsx_file.OLD_EXCEL)):
        layout, tables = _from_xlsx(raw, candidates, limits)
    else:
        layout, tables = _from_csv(raw, candidates, limits)
    records = _numbered(tables)
    if not records:
        raise FhirError(issue("HUB-SHEET-013"))
    return Sheet(
        layout.mapping,
        layout.form,
        tuple(_row(record, layout, unreadable) for record in records),
        tuple(_file_issues(tables, layout)),
    )


def _candidates(layouts: Mapping[str, Layout], mapping: str | None) -> list[Layout]:
    if mapping is None:
        return list(layouts.values())
    if mapping not in layouts:
        known = "・".join(sorted(layouts))
        raise FhirError(issue("HUB-SHEET-001", known=known))
    return [layouts[mapping]]


def _from_csv(
    raw: bytes, layouts: list[Layout], limits: Limits
) -> tuple[Layout, list[Table]]:
    records, broken = csv_file.read(csv_file.decode(raw), limits)
    if not any(cell.strip() for record in records for cell in record):
        raise FhirError(broken or issue("HUB-SHEET-004"))
    while not any(cell.strip() for cell in records[0]):
        records.pop(0)
    if csv_file.is_form(records):
        table = csv_file.form(records, broken)
    else:
        csv_file.drop_titles(records)
        table = csv_file.wide(records, broken)
    layout = _recognise(table.headers, layouts)
    if layout is None:
        id_ = "002" if csv_file.looks_foreign(raw, layouts) else "003"
        raise FhirError(issue(f"HUB-SHEET-{id_}"))
    return layout, [table]


def _recognise(headers: tuple[str, ...], layouts: list[Layout]) -> Layout | None:
    named = [h for h in headers if h]
    layout, known = best(layouts, named)
    return layout if known >= _FEWEST_HEADERS and known * 2 >= len(named) else None


def _from_xlsx(
    raw: bytes, layouts: list[Layout], limits: Limits
) -> tuple[Layout, list[Table]]:
    found = xlsx_file.tables(xlsx_file.grids(raw, limits), layouts)
    if not found:
        raise FhirError(issue("HUB-SHEET-003"))
    layout = found[0][0]
    if any(other is not layout for other, _ in found):
        raise FhirError(issue("HUB-SHEET-015"))
    return layout, [table for _, table in found]


def _numbered(tables: list[Table]) -> list[Record]:
    """Records of all worksheets, counted through."""
    if len(tables) == 1:
        return list(tables[0].records)
    every = [record for table in tables for record in table.records]
    return [
        Record(
            number,
            record.cells,
            tuple(replace(i, row=number) for i in record.issues),
            tuple(replace(i, row=number) for i in record.notes),
        )
        for number, record in enumerate(every, 1)
    ]


def _file_issues(tables: list[Table], layout: Layout) -> list[Issue]:
    printed = all(table.printed for table in tables)
    named = [(n, h) for t in tables for n, h in enumerate(t.headers, 1) if h]
    present = {id(column) for _, h in named if (column := layout.find(h))}
    # Told by position: a header we do not know may be anything, a name as well.
    unknown = [str(n) for n, h in named if layout.find(h) is None]
    missing = [
        c.header
        for c in layout.columns
        if id(c) not in present and not c.optional and (c.printed or not printed)
    ]
    skipped = [str(n) for table in tables for n in table.skipped]
    return [
        issue(id_, severity="warning", columns="、".join(dict.fromkeys(names)))
        for id_, names in (
            ("HUB-SHEET-011", unknown),
            ("HUB-SHEET-016", missing),
            ("HUB-SHEET-033", skipped),
        )
        if names
    ]


def _row(record: Record, layout: Layout, unreadable: Unreadable) -> Row:
    answers: Answers = {}
    extras: Extras = {}
    issues: list[Issue] = [*record.issues, *record.notes]
    headers: dict[str, str] = {}
    for header, raw_text in record.cells.items():
        column = layout.find(header)
        if column is None:
            continue
        if column.link:
            headers[column.link] = header
        text, ids = _clean(raw_text)
        if text.strip():
            reading = read_cell(text, column, layout)
            ids += reading.warnings
            extras |= reading.extras
            for link, one in reading.answers:
                headers.setdefault(link, header)
                if not _add(answers.setdefault(link, []), link, one, layout):
                    ids.append("HUB-SHEET-017")
        issues += _warnings(ids, record.number, header, unreadable)
    return Row(record.number, answers, extras, tuple(issues), headers)


def _clean(text: str) -> tuple[str, list[str]]:
    ids = []
    if _GUARDED.match(text):
        text = text[1:]
    if _CONTROL.search(text):
        text = _CONTROL.sub("", text)
        ids.append("HUB-SHEET-031")
    marked = mark_private(text)
    if marked != text:
        ids.append("HUB-SHEET-032")
    return marked, ids


def _add(known: list[Resource], link: str, one: Resource, layout: Layout) -> bool:
    """Keep an answer once: `その他（…）` and the column beside it may say the same.

    False when the form has one place and the sheet says two things: then the place
    holds both texts, and for a choice or a date no value.
    """
    if one in known:
        return True
    if not known or link in layout.repeating:
        known.append(one)
        return True
    key = str(key_of(one))
    both = "・".join(text_of(a) for a in (known[0], one))
    known[:] = [answer(key, both if key == "valueString" else None, both)]
    return False


def _warnings(
    ids: list[str], number: int, header: str, unreadable: Unreadable
) -> list[Issue]:
    """One warning per cell; a second finding of the same cell adds nothing to do."""
    return [
        issue(
            id_,
            severity="error"
            if unreadable == "refuse" and id_ in _UNREAD
            else "warning",
            row=number,
            column=header,
        )
        for id_ in ids[:1]
    ]
