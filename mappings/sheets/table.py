"""What every file format is turned into first: records of cells by header."""

from collections.abc import Mapping
from dataclasses import dataclass

from hub.fhir.outcome import Issue


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a file may hold; beyond it the file is refused as a whole.

    `size` is bytes of the file, `unpacked` bytes of an Excel file's parts together,
    `cell` characters.
    """

    size: int = 10_000_000
    unpacked: int = 20_000_000
    parts: int = 500
    rows: int = 5_000
    columns: int = 500
    cell: int = 20_000


@dataclass(frozen=True, slots=True)
class Record:
    """One record: `number` counts from 1 after the header; cells by header text.

    `issues` are errors of the record as a whole (half-filled, cut off); then `cells`
    is empty. `notes` are warnings about single cells.
    """

    number: int
    cells: Mapping[str, str]
    issues: tuple[Issue, ...] = ()
    notes: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A file's headers in order and its records. `printed` when it is the form.

    `skipped` counts the worksheets (from 1) that are not this form.
    """

    headers: tuple[str, ...]
    records: tuple[Record, ...]
    printed: bool = False
    skipped: tuple[int, ...] = ()
