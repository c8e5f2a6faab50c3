"""Read the directory's CSV files; every fault names file, row and column."""

import csv
import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from hub.fhir.outcome import FhirError, issue


class Line(dict[str, str]):
    """One record: header → trimmed cell, with the place it came from."""

    def __init__(self, cells: dict[str, str], file: str, row: int) -> None:
        super().__init__(cells)
        self.file = file
        self.row = row

    def fault(self, id_: str, column: str, expected: str = "") -> FhirError:
        return FhirError(
            issue(
                id_,
                row=self.row,
                column=column,
                file=self.file,
                number=self.row,
                header=column,
                expected=expected,
            )
        )

    def one_of(self, column: str, choices: Collection[str]) -> str:
        if self[column] not in choices:
            expected = " | ".join(sorted(choices))
            raise self.bad(column, expected)
        return self[column]

    def bad(self, column: str, expected: str) -> FhirError:
        return self.fault("HUB-DIR-004", column, expected=expected)

    def absent(self, column: str) -> FhirError:
        return self.fault("HUB-DIR-006", column)

    def date(self, column: str) -> dt.date | None:
        """The cell as a date, None when it is empty."""
        if not self.get(column):
            return None
        try:
            return dt.date.fromisoformat(self[column])
        except ValueError:
            raise self.bad(column, "YYYY-MM-DD") from None


def read_sheet(path: Path, required: Sequence[str]) -> Iterator[Line]:
    """The records of a UTF-8 CSV; `required` columns exist and are filled.

    Raises FhirError HUB-DIR-001, -002, -003 or -009. Row 1 is the first record
    after the header.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FhirError(issue("HUB-DIR-001", file=path.name)) from None
    except (UnicodeDecodeError, OSError):
        raise FhirError(issue("HUB-DIR-009", file=path.name)) from None
    reader = csv.DictReader(text.splitlines(keepends=True), restval="")
    for column in required:
        if column not in (reader.fieldnames or ()):
            raise FhirError(issue("HUB-DIR-002", file=path.name, header=column))
    for row, cells in enumerate(_records(reader, path), start=1):
        line = Line({k: v.strip() for k, v in cells.items() if k}, path.name, row)
        for column in required:
            if not line[column]:
                raise line.fault("HUB-DIR-003", column)
        yield line


def _records(reader: "csv.DictReader[str]", path: Path) -> Iterator[dict[str, str]]:
    try:
        yield from reader
    except csv.Error:
        raise FhirError(issue("HUB-DIR-009", file=path.name)) from None
