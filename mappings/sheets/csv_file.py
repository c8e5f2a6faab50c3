"""CSV files (RFC 4180): CP932, or UTF-8 with or without byte order mark.

CP932, never shift_jis: that fails on ①, 髙 and 﨑. A quoted cell may hold line
breaks, so records are counted, not lines.
"""

import csv
import io
from collections.abc import Iterator, Sequence

from hub.fhir.outcome import FhirError, Issue, issue
from mappings.japanese import fold
from mappings.sheets.layout import Layout
from mappings.sheets.table import Limits, Record, Table

_BOM = b"\xef\xbb\xbf"
_FOREIGN = ("euc_jp", "utf-8")
_TOO_LONG = "field larger"  # how the csv module says that a cell passes its limit
_FORM_CELLS = 3  # label, value, and an empty third cell
# CP932 bytes that Python gives a character although no table has one.
_NOT_CP932 = set("\x80\xa0\uf8f0\uf8f1\uf8f2\uf8f3")


def decode(raw: bytes) -> str:
    """The text of a CSV file. Raises HUB-SHEET-002 for any other encoding."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw or b"\x1b$" in raw:
        raise FhirError(issue("HUB-SHEET-002"))
    for encoding in ("utf-8-sig", "cp932"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "cp932" and (
            raw.startswith(_BOM) or _NOT_CP932.intersection(text)
        ):
            break
        return text
    raise FhirError(issue("HUB-SHEET-002"))


def looks_foreign(raw: bytes, layouts: list[Layout]) -> bool:
    """True when the headers become known in an encoding that is not accepted.

    Text that is sound UTF-8 was read as such: its headers are another sheet's.
    """
    if _is_utf8(raw):
        return False
    for encoding in _FOREIGN:
        head = raw.decode(encoding, errors="ignore").partition("\n")[0]
        cells = [fold(cell) for cell in head.split(",")]
        if any(cell in layout.known for cell in cells for layout in layouts):
            return True
    return False


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def read(text: str, limits: Limits) -> tuple[list[list[str]], Issue | None]:
    """All records of a CSV text, and the error that ended the reading early."""
    records: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for record in reader:
            records.append(record)
            if len(records) > limits.rows + 1:
                raise FhirError(issue("HUB-SHEET-007", limit=limits.rows))
            if len(record) > limits.columns or any(
                len(cell) > limits.cell for cell in record
            ):
                raise FhirError(issue("HUB-SHEET-034", limit=limits.cell))
    except csv.Error as error:
        if str(error).startswith(_TOO_LONG):
            raise FhirError(issue("HUB-SHEET-034", limit=limits.cell)) from error
        # An open quote swallows the rest of the file: nothing after it is trusted.
        return records, issue("HUB-SHEET-006", row=max(len(records), 1))
    return records, None


def is_form(records: list[list[str]]) -> bool:
    """True for the second convention: a title, then one label and value a line."""
    filled = [_trimmed(r) for r in records if any(c.strip() for c in r)]
    return (
        len(filled) > 1
        and len(filled[0]) == 1
        and all(len(r) < _FORM_CELLS for r in filled)
    )


def drop_titles(records: list[list[str]]) -> None:
    """Leave out lines of one cell (a title) and empty ones above the headers."""
    while len(records) > 1 and len(_trimmed(records[0])) <= 1:
        records.pop(0)


def wide(records: list[list[str]], broken: Issue | None) -> Table:
    """One record a line, the headers in the first.

    Raises HUB-SHEET-010 when a header stands there twice: which cell is meant
    cannot be known.
    """
    headers = tuple(h.strip() for h in records[0])
    require_once(headers)
    rows = list(_wide_rows(headers, _without_tail(records[1:])))
    if broken:
        rows.append(Record(broken.row or 1, {}, issues=(broken,)))
    return Table(headers, tuple(rows))


def _without_tail(records: list[list[str]]) -> list[list[str]]:
    """Without the empty rows below the last filled one.

    A spreadsheet writes commas for rows that were formatted and never filled in.
    """
    filled = [n for n, r in enumerate(records, 1) if any(c.strip() for c in r)]
    return records[: filled[-1]] if filled else records


def require_once(headers: Sequence[str]) -> None:
    """Raise HUB-SHEET-010 when a header stands there twice."""
    seen: dict[str, int] = {}
    for number, header in enumerate(headers, 1):
        first = seen.setdefault(fold(header), number) if header else number
        if first != number:
            raise FhirError(issue("HUB-SHEET-010", first=first, second=number))


def _wide_rows(headers: tuple[str, ...], records: list[list[str]]) -> Iterator[Record]:
    for number, record in enumerate(records, 1):
        if not record:
            continue
        if len(record) != len(headers):
            found = issue(
                "HUB-SHEET-005", row=number, expected=len(headers), found=len(record)
            )
            yield Record(number, {}, issues=(found,))
            continue
        yield Record(number, dict(zip(headers, record, strict=True)))


def form(records: list[list[str]], broken: Issue | None) -> Table:
    """One form a file: the title, then label and value a line."""
    pairs = [_trimmed(r) for r in records[1:] if any(c.strip() for c in r)]
    headers = tuple(pair[0].strip() for pair in pairs)
    require_once(headers)
    cells = {p[0].strip(): p[1] if len(p) > 1 else "" for p in pairs}
    record = Record(1, cells)
    if broken:
        record = Record(1, {}, issues=(broken,))
    return Table(headers, (record,))


def _trimmed(record: list[str]) -> list[str]:
    cells = list(record)
    while cells and not cells[-1].strip():
        cells.pop()
    return cells
