"""Excel files (.xlsx), read as data that may be hostile.

The package is looked at before it is opened: sizes, number of parts, encryption,
document types (entity bombs). Then it is read as a stream, so that neither a merged
range nor a single far cell makes more cells than the limits allow. Formulas are never
evaluated: a formula cell is its own text.
"""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any, NoReturn

from hub.fhir.outcome import FhirError, Issue, issue
from mappings.japanese import fold
from mappings.sheets.csv_file import require_once
from mappings.sheets.layout import Layout, best
from mappings.sheets.table import Limits, Record, Table

MAGIC = b"PK"
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_FEWEST_LABELS = 3
_RATIO = 200  # unpacked to packed bytes; a real workbook stays under 30
_SMALL = 10_000  # bytes; below it the ratio says nothing
_ENCRYPTED = 1  # bit 0 of a part's flags


@dataclass(frozen=True, slots=True)
class Grid:
    """One worksheet: its cells as text, row by row, and where formulas stand.

    `hidden` when whoever opens the file does not see the worksheet.
    """

    cells: list[list[str]]
    formulas: frozenset[tuple[int, int]]
    hidden: bool = False


def grids(raw: bytes, limits: Limits) -> list[Grid]:
    """All worksheets of a workbook, in file order.

    Raises FhirError HUB-SHEET-007 and -034 (too many rows, too long cells), -008 (no
    Excel file), -009 (too large unpacked, entities), -014 (protected, old format).
    """
    if raw.startswith(OLD_EXCEL):
        raise FhirError(issue("HUB-SHEET-014"))
    try:
        _require_safe(raw, limits)
        return list(_worksheets(raw, limits))
    except FhirError:
        raise
    except Exception as error:
        # The readers of ZIP, XML and workbooks each raise errors of their own.
        raise FhirError(issue("HUB-SHEET-008")) from error


def tables(found: list[Grid], layouts: list[Layout]) -> list[tuple[Layout, Table]]:
    """Those worksheets that are one of the forms, each with its layout.

    A sheet with a row that holds most of the labels is wide; one with labels all over
    is the printed form, and is one record. The first table counts the other sheets.
    A hidden worksheet is never taken in: nobody sends a person they do not see.
    """
    known: list[tuple[Layout, Table]] = []
    skipped: list[int] = []
    for number, grid in enumerate(found, 1):
        table = None if grid.hidden else _table(grid, layouts)
        if table:
            known.append(table)
        elif any(text.strip() for row in grid.cells for text in row):
            skipped.append(number)
    if known and skipped:
        layout, first = known[0]
        known[0] = (layout, replace(first, skipped=tuple(skipped)))
    return known


def _require_safe(raw: bytes, limits: Limits) -> None:
    with zipfile.ZipFile(io.BytesIO(raw)) as package:
        parts = package.infolist()
        if any(part.flag_bits & _ENCRYPTED for part in parts):
            _refuse(issue("HUB-SHEET-014"))
        total = sum(part.file_size for part in parts)
        if len(parts) > limits.parts or total > limits.unpacked:
            _refuse(issue("HUB-SHEET-009"))
        if total > _RATIO * max(len(raw), _SMALL):
            _refuse(issue("HUB-SHEET-009"))
        for part in parts:
            if part.filename.endswith((".xml", ".rels", ".vml")):
                _require_plain(package.read(part))


def _require_plain(part: bytes) -> None:
    # Excel writes UTF-8 without a document type; another encoding could hide one.
    if b"<!DOCTYPE" in part or b"<!ENTITY" in part or b"\0" in part:
        _refuse(issue("HUB-SHEET-009"))


def _refuse(found: Issue) -> NoReturn:
    raise FhirError(found)


def _worksheets(raw: bytes, limits: Limits) -> Iterator[Grid]:
    # Imported here: it is heavy, and most files are CSV.
    from openpyxl import load_workbook

    workbook = load_workbook(
        io.BytesIO(raw), read_only=True, data_only=False, keep_links=False
    )
    try:
        for sheet in workbook.worksheets:
            sheet.reset_dimensions()  # what the file says about its size may be wrong
            hidden = sheet.sheet_state != "visible"
            yield replace(_grid(sheet.iter_rows(), limits), hidden=hidden)
    finally:
        workbook.close()


def _grid(rows: Iterator[Any], limits: Limits) -> Grid:
    cells: list[list[str]] = []
    formulas: set[tuple[int, int]] = set()
    for number, row in enumerate(rows):
        if number > limits.rows or len(row) > limits.columns:
            _refuse(issue("HUB-SHEET-007", limit=limits.rows))
        texts = [_text(cell.value) for cell in row]
        if any(len(text) > limits.cell for text in texts):
            _refuse(issue("HUB-SHEET-034", limit=limits.cell))
        cells.append(texts)
        formulas |= {(number, c) for c, cell in enumerate(row) if _is_formula(cell)}
    return Grid(cells, frozenset(formulas))


def _is_formula(cell: Any) -> bool:
    return getattr(cell, "data_type", None) == "f"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time.min:
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _table(grid: Grid, layouts: list[Layout]) -> tuple[Layout, Table] | None:
    texts = [text for row in grid.cells for text in row if text.strip()]
    if not texts:
        return None
    layout, labels = best(layouts, texts)
    if labels < _FEWEST_LABELS:
        return None
    start, most = _header_row(grid, layout)
    if most * 2 > labels and most > 1:
        return layout, _wide(grid, start)
    return layout, _printed(grid, layout)


def _header_row(grid: Grid, layout: Layout) -> tuple[int, int]:
    """The first row with the most labels, and how many: a title may stand above it."""
    counts = [sum(1 for t in row if layout.find(t)) for row in grid.cells]
    most = max(counts)
    return counts.index(most), most


def _wide(grid: Grid, start: int) -> Table:
    headers = tuple(text.strip() for text in grid.cells[start])
    require_once(headers)
    records = []
    for number, row in enumerate(grid.cells[start + 1 :], 1):
        if any(text.strip() for text in row):
            # Formatted but empty rows stand below every real list.
            records.append(_record(number, headers, row, grid.formulas, start))
    return Table(headers, tuple(records))


def _record(
    number: int,
    headers: tuple[str, ...],
    row: list[str],
    formulas: frozenset[tuple[int, int]],
    start: int,
) -> Record:
    padded = row + [""] * (len(headers) - len(row))
    named = [(c, header) for c, header in enumerate(headers) if header]
    inside = {c for c, _ in named}
    stray = [c for c, text in enumerate(padded) if c not in inside and text.strip()]
    if stray:
        count = len(named) + len(stray)
        found = issue("HUB-SHEET-005", row=number, expected=len(named), found=count)
        return Record(number, {}, issues=(found,))
    notes = [_note(number, h) for c, h in named if (number + start, c) in formulas]
    return Record(number, {h: padded[c] for c, h in named}, notes=tuple(notes))


def _printed(grid: Grid, layout: Layout) -> Table:
    """The printed form: each value stands right of its label, in the same row.

    A value may be spread over several cells (an era letter, then the date); the
    first cell of a merged range holds it.
    """
    cells: dict[str, str] = {}
    notes: list[Issue] = []
    for r, row in enumerate(grid.cells):
        label = ""
        for c, text in enumerate(row):
            column = layout.find(text) if text else None
            if column:
                label = column.header
                if label in cells:
                    _refuse(issue("HUB-SHEET-018", label=label))
                cells[label] = ""
            elif text and fold(text) in layout.headings:
                label = ""
            elif text and label:
                cells[label] += text
                notes += [_note(1, label)] if (r, c) in grid.formulas else []
    return Table(tuple(cells), (Record(1, cells, (), tuple(notes)),), printed=True)


def _note(number: int, header: str) -> Issue:
    return issue("HUB-SHEET-030", severity="warning", row=number, column=header)
