"""Layouts, sheets and rows for the tests of the mappings."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl

from hub.fhir import canonical
from hub.packages import Packages
from mappings.sheets.layout import Layout, layout
from mappings.sheets.read import Sheet, read

REPOSITORY = Path(__file__).parent.parent.parent
DATA = Path(__file__).parent / "data"
PACKAGES = Packages.load(REPOSITORY / "profiles")
LAYOUTS: dict[str, Layout] = {
    name: layout(
        table, PACKAGES.questionnaire(canonical.questionnaire(table["form"])) or {}
    )
    for name, table in PACKAGES.layouts().items()
}
YOSHIKI1 = LAYOUTS["yoshiki1"]
HEADERS = [column.header for column in YOSHIKI1.columns if not column.optional]
RECORDS = (DATA / "yoshiki1_wide_cp932.csv").read_bytes()
EXCEL = (DATA / "yoshiki1_layout.xlsx").read_bytes()


def a_csv(*rows: dict[str, str], headers: list[str] | None = None) -> bytes:
    """A wide CSV file in UTF-8 of these cells by header."""
    headers = headers or HEADERS
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(headers)
    for row in rows:
        writer.writerow(row.get(header, "") for header in headers)
    return out.getvalue().encode()


def an_excel(rows: Sequence[Any]) -> bytes:
    """An Excel file with one worksheet of these cells."""
    workbook = openpyxl.Workbook()
    sheet = workbook.create_sheet("a", 0)
    del workbook["Sheet"]
    for row in rows:
        sheet.append(list(row))
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def a_sheet(raw: bytes, **options: object) -> Sheet:
    return read(raw, LAYOUTS, **options)  # type: ignore[arg-type]
