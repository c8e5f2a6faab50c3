"""Excel files (.xlsx), read as data that may be hostile.

The package is looked at before it is opened: sizes, number of parts, encryption,
document types (entity bombs). Formulas are never evaluated: a formula cell is its
own text.
"""

import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from openpyxl import load_workbook
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from hub.fhir.outcome import FhirError, Issue, issue
from mappings.japanese import fold
from mappings.sheets.csv_file import require_once
from mappings.sheets.layout import Layout
from mappings.sheets.table import Limits, Record, Table

MAGIC = b"PK"
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_FEWEST_LABELS = 3
_RATIO = 200  # unpacked to packed bytes; a real workbook stays under 30

Cells = list[list[str]]


def open_workbook(raw: bytes, limits: Limits) -> Workbook:
    """Open a workbook. Raises HUB-SHEET-008 (no Excel file), -009 (too large unpacked
    or with entities) or -014 (encrypted or in the old format)."""
    if raw.startswith(OLD_EXCEL):
        raise FhirError(issue("HUB-SHEET-014"))
    _require_safe(raw, limits)
    try:
        return load_workbook(io.BytesIO(raw), data_only=False, keep_links=False)
    except FhirError:
        raise
    except Exception as error:  # openpyxl raises what its XML and ZIP readers raise
        raise FhirError(issue("HUB-SHEET-008")) from error


def _require_safe(raw: bytes, limits: Limits) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as package:
            parts = package.infolist()
            if any(part.flag_bits & 1 for part in parts):
                raise FhirError(issue("HUB-SHEET-014"))
            total = sum(part.file_size for part in parts)
            if (
                len(parts) > limits.parts
                or total > limits.unpacked
                or total > _RATIO * max(len(raw), 10_000)
            ):
                raise FhirError(issue("HUB-SHEET-009"))
            for part in parts:
                if part.filename.endswith((".xml", ".rels", ".vml")):
                    _require_plain(package.read(part))
    except FhirError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        raise FhirError(issue("HUB-SHEET-008")) from None
    except Exception as error:  # zlib.error and its like: a broken package
        raise FhirError(issue("HUB-SHEET-008")) from error


def _require_plain(part: bytes) -> None:
    # Excel writes UTF-8 without a document type; another encoding could hide one.
    if b"<!DOCTYPE" in part or b"<!ENTITY" in part or b"\0" in part[:200]:
        raise FhirError(issue("HUB-SHEET-009"))


def tables(workbook: Workbook, layouts: list[Layout], limits: Limits) -> Iterator[
    tuple[Layout, Table]
]:  # fmt: skip
    """Each worksheet that is one of the forms, with its layout, in file order.

    A sheet whose first row holds headers is wide; one with labels all over is the
    printed form, and is one record. Other sheets with content are counted in
    the first table's `skipped`.
    """
    found: list[tuple[Layout, Table]] = []
    skipped: list[int] = []
    for number, sheet in enumerate(workbook.worksheets, 1):
        table = _sheet(sheet, layouts, limits)
        if table:
            found.append(table)
        elif sheet.max_row > 1 or sheet.cell(1, 1).value is not None:
            skipped.append(number)
    for index, (layout, table) in enumerate(found):
        names = tuple(skipped) if index == 0 else ()
        yield layout, Table(table.headers, table.records, table.printed, names)


def _sheet(
    sheet: Worksheet, layouts: list[Layout], limits: Limits
) -> tuple[Layout, Table] | None:
    if sheet.max_row > limits.rows + 1 or sheet.max_column > limits.columns:
        raise FhirError(issue("HUB-SHEET-007", limit=limits.rows))
    grid = [[_text(cell.value) for cell in row] for row in sheet.iter_rows()]
    formulas = {
        (r, c)
        for r, row in enumerate(sheet.iter_rows())
        for c, cell in enumerate(row)
        if cell.data_type == "f"
    }
    if any(len(text) > limits.cell for row in grid for text in row):
        raise FhirError(issue("HUB-SHEET-034", limit=limits.cell))
    best = max(layouts, key=lambda one: _labels(grid, one))
    if _labels(grid, best) < _FEWEST_LABELS:
        return None
    first = sum(1 for text in grid[0] if best.find(text))
    if first >= _FEWEST_LABELS and first * 2 > _labels(grid, best):
        return best, _wide(grid, formulas)
    return best, _printed(grid, formulas, best)


def _labels(grid: Cells, layout: Layout) -> int:
    return sum(1 for row in grid for text in row if text and layout.find(text))


def _wide(grid: Cells, formulas: set[tuple[int, int]]) -> Table:
    headers = tuple(text.strip() for text in grid[0])
    used = [h for h in headers if h]
    require_once(headers)
    records = []
    for number, row in enumerate(grid[1:], 1):
        if not any(text.strip() for text in row):
            continue  # formatted but empty rows stand below every real list
        cells = {h: text for h, text in zip(headers, row, strict=False) if h}
        stray = [t for h, t in zip(headers, row, strict=False) if not h and t.strip()]
        wrong: tuple[Issue, ...] = ()
        if stray:
            count = len(used) + len(stray)
            wrong = (
                issue("HUB-SHEET-005", row=number, expected=len(used), found=count),
            )
        notes = tuple(
            issue("HUB-SHEET-030", severity="warning", row=number, column=header)
            for c, header in enumerate(headers)
            if (number, c) in formulas and header
        )
        records.append(Record(number, {} if wrong else cells, wrong, notes))
    return Table(tuple(used), tuple(records))


def _printed(grid: Cells, formulas: set[tuple[int, int]], layout: Layout) -> Table:
    """The printed form: each value stands right of its label, in the same row.

    A value may be spread over several cells (an era letter, then the date); the
    first cell of a merged range holds it.
    """
    cells: dict[str, str] = {}
    notes: list[Issue] = []
    for r, row in enumerate(grid):
        label = ""
        for c, text in enumerate(row):
            column = layout.find(text) if text else None
            if column:
                label = column.header
                if label in cells:
                    raise FhirError(issue("HUB-SHEET-018", label=label))
                cells[label] = ""
            elif text and fold(text) in layout.headings:
                label = ""
            elif text and label:
                cells[label] += text.strip() if cells[label] else text
                if (r, c) in formulas:
                    note = issue(
                        "HUB-SHEET-030", severity="warning", row=1, column=label
                    )
                    notes.append(note)
    return Table(tuple(cells), (Record(1, cells, (), tuple(notes)),), printed=True)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return (value.date() if value.time() == datetime.min.time() else value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = getattr(value, "text", value)  # an array formula or rich text
    return str(text)
