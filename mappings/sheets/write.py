"""Answers back to the cells of a wide CSV sheet: the inverse of `read`.

A value is written as it was written before, so sheet to answers to sheet changes
nothing; what was not written anywhere is written in the printed words.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from hub.fhir.answers import Answers, code_of, text_of, value_of
from hub.fhir.json import Resource
from mappings.sheets.layout import Column, Layout

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_cells(
    answers: Answers, extras: Mapping[str, Any], layout: Layout
) -> dict[str, str]:
    """The cells of one record by header; items without an answer are empty."""
    own = {column.link for column in layout.columns}
    return {
        column.header: _cell(column, answers, extras, layout, own)
        for column in layout.columns
    }


def to_csv(
    rows: Iterable[tuple[Answers, Mapping[str, Any]]],
    layout: Layout,
    *,
    encoding: str = "utf-8-sig",
) -> bytes:
    """A wide CSV file, CRLF. Cells that a spreadsheet would run are neutralised.

    Raises UnicodeEncodeError when `encoding` (cp932) lacks a character.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(column.header for column in layout.columns)
    for answers, extras in rows:
        writer.writerow(map(_safe, to_cells(answers, extras, layout).values()))
    return out.getvalue().encode(encoding)


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cell(
    column: Column,
    answers: Answers,
    extras: Mapping[str, Any],
    layout: Layout,
    own: set[str | None],
) -> str:
    if column.extra:
        name = column.extra
        return str(extras.get(name) or extras.get(f"{name}Text") or "")
    given = answers.get(column.link or "", [])
    if column.kind == "choice":
        return "・".join(_word(a, column, answers, layout, own) for a in given)
    if column.kind == "municipality":
        return "・".join(_place(a) for a in given)
    return "・".join(text_of(a) for a in given)


def _place(answer: Resource) -> str:
    reference = value_of(answer) or {}
    return str(reference.get("identifier", {}).get("value") or text_of(answer))


def _word(
    answer: Resource,
    column: Column,
    answers: Answers,
    layout: Layout,
    own: set[str | None],
) -> str:
    code = code_of(answer)
    choice = layout.choices[str(column.link)]
    child = choice.bracket.get(code or "")
    if code is None or "extension" in answer["valueCoding"]:
        return text_of(answer)
    word = choice.word(code) or text_of(answer)
    if child is None or child in own or not answers.get(child):
        return word
    inside = "・".join(text_of(a) for a in answers[child])
    return f"{word}({inside})"
