"""A monthly report to PDF, through the programme's own typst sheet.

What people typed enters as JSON (`sys_inputs`), never as markup. The same report
gives the same bytes: the time in the file is the report's, the fonts are ours.
"""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import typst

from hub.fhir.outcome import FhirError, Issue, Severity, issue
from hub.reports.characters import missing, missing_variants
from hub.reports.fonts import Fonts, fonts
from hub.reports.monthly import MonthlyReport
from mappings.print import monthly
from mappings.print.monthly import Seal

SHEET = "yoshiki5.typ"
# The mark that Japanese printers set where they lack a character.
GETA = "〓"
# PDF/A-2b for the file, PDF/UA-1 (tagged) for people: one document is both.
_STANDARDS = ["a-2b", "ua-1"]

# What the sheet calls each value; an issue names the field, never the value.
_COVER_FIELDS = {
    "reference": "文書番号",
    "hospital": "宛先",
    "department": "科",
    "centre": "保健所",
    "head": "発信者",
    "contact_section": "連絡先の課",
    "contact_officer": "担当",
    "contact_telephone": "電話",
    "contact_email": "E-mail",
}
_ROW_FIELDS = {
    "name": "氏名",
    "birth": "生年月日",
    "background": "背景・要因",
    "support": "支援内容",
    "plan": "今後の支援計画",
}


def render_pdf(
    report: MonthlyReport,
    sheets: Path,
    seal: Seal = "none",
    *,
    available: Fonts | None = None,
    geta: bool = False,
) -> bytes:
    """The report as one PDF: cover (様式5-①), then the table (様式5-②).

    `sheets` is the programme's `print` folder. Raises FhirError HUB-REP-001 with one
    issue per field that holds characters no font has; with `geta` they are printed
    as 〓 instead, and the caller shows `unprintable`'s issues. HUB-REP-004 and -005
    mean that the sheet is missing or broken. Source: portal.md §8.
    """
    kept = available or fonts()
    value = sheet(report, seal)
    found = [i for i in _judge(value, kept) if i.severity == "error"]
    if found and not geta:
        raise FhirError(*found)
    if found:
        value = _with_geta(value, kept)
    return compiled(sheets / SHEET, value, int(report.issued_at.timestamp()), kept)


def unprintable(report: MonthlyReport, available: Fonts | None = None) -> list[Issue]:
    """HUB-REP-001 (error) and -006 (warning) per field; no row is the cover."""
    return list(_judge(sheet(report), available or fonts()))


def sheet(report: MonthlyReport, seal: Seal = "none") -> dict[str, Any]:
    """The JSON that the typst file reads; `count` is the number of rows (KG-10)."""
    cover = monthly.cover(
        number=report.number,
        reference=report.reference,
        issued_at=report.issued_at,
        hospital=report.hospital.name,
        department=report.hospital.department,
        centre=report.centre.name,
        head=report.centre.signer,
        contact=report.centre.contact,
        month=(report.month.year, report.month.month),
        seal=seal,
    )
    return {**cover, "count": report.count, "rows": monthly.table(report.rows)}


def _fields(value: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any], str, str]]:
    """Row number, holder, key and printed label of every value that people typed."""
    for key, label in _COVER_FIELDS.items():
        yield 0, value, key, label
    for number, row in enumerate(value["rows"], start=1):
        for key, label in _ROW_FIELDS.items():
            yield number, row, key, label


def _judge(value: dict[str, Any], available: Fonts) -> Iterator[Issue]:
    for row, holder, key, label in _fields(value):
        lost = missing(holder[key], available.regular)
        if lost:
            yield _found("HUB-REP-001", "error", row, label, len(lost))
        changed = missing_variants(holder[key], available.regular)
        if changed:
            yield _found("HUB-REP-006", "warning", row, label, len(changed))


def _found(id_: str, severity: Severity, row: int, label: str, count: int) -> Issue:
    where = f"{row}行目" if row else "1枚目"
    return issue(
        id_,
        severity=severity,
        row=row or None,
        column=label,
        field=label,
        where=where,
        count=count,
    )


def _with_geta(value: dict[str, Any], available: Fonts) -> dict[str, Any]:
    changed = {**value, "rows": [dict(row) for row in value["rows"]]}
    for _, holder, key, _ in _fields(changed):
        lost = dict.fromkeys(missing(holder[key], available.regular), GETA)
        holder[key] = holder[key].translate(str.maketrans(lost))
    return changed


def compiled(
    path: Path, value: dict[str, Any], timestamp: int, available: Fonts
) -> bytes:
    """A sheet filled with `value`, as a tagged PDF; `timestamp` is the file's time.

    HUB-REP-004 and -005 mean that the sheet is missing or broken.
    """
    if not path.is_file():
        raise FhirError(issue("HUB-REP-004", sheet=path.name))
    inputs = {
        "data": json.dumps(value, ensure_ascii=False),
        "fonts": json.dumps(available.families),
    }
    compiler = _compiler(path, available.families)
    try:
        return compiler.pdf(inputs, timestamp, available)
    except typst.TypstError:
        # `from None`: typst's message quotes the text it could not set.
        raise FhirError(issue("HUB-REP-005", sheet=path.name)) from None


class _Compiler:
    """One typst compiler, kept: a later sheet takes milliseconds. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._made: Any = None

    def pdf(self, inputs: dict[str, str], timestamp: int, available: Fonts) -> bytes:
        with self._lock:
            if self._made is None:
                self._made = typst.Compiler(
                    str(self._path),
                    root=str(self._path.parent),
                    font_paths=available.loaded,
                    ignore_system_fonts=True,
                )
            made: bytes = self._made.compile(
                format="pdf",
                sys_inputs=inputs,
                pdf_standards=_STANDARDS,
                timestamp=timestamp,
            )
            return made


@lru_cache(maxsize=16)
def _compiler(path: Path, _families: Sequence[str]) -> _Compiler:
    return _Compiler(path)
