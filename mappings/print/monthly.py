"""A monthly report to the flat JSON of its sheet (様式5-①, 様式5-②)."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal, Protocol

from hub.fhir.dates import JST
from mappings.japanese import to_era
from mappings.print.words import (
    age,
    era_month,
    era_short,
    era_time,
    gender_word,
    printable,
)

Seal = Literal["none", "omitted", "box"]


class PrintedRow(Protocol):
    """One person as the table shows it."""

    @property
    def received_on(self) -> date | None: ...
    @property
    def name(self) -> str: ...
    @property
    def birth_date(self) -> date | None: ...
    @property
    def birth_text(self) -> str: ...
    @property
    def sex(self) -> str | None: ...
    @property
    def background(self) -> str: ...
    @property
    def support(self) -> str: ...
    @property
    def plan(self) -> str: ...


class PrintedContact(Protocol):
    """Whom the hospital may ask."""

    @property
    def section(self) -> str: ...
    @property
    def officer(self) -> str: ...
    @property
    def telephone(self) -> str: ...
    @property
    def email(self) -> str: ...


def cover(
    *,
    number: str,
    reference: str,
    issued_at: datetime,
    hospital: str,
    department: str,
    centre: str,
    head: str,
    contact: PrintedContact,
    month: tuple[int, int],
    seal: Seal,
) -> dict[str, Any]:
    """What 様式5-① reads. `month` (year, month) is the month of provision (KG-10).

    `head` signs, for example `〇〇保健所長`; `reference` is the office's own document
    number, the report's `number` stands in when there is none.
    """
    return {
        "number": number,
        "reference": printable(reference) or number,
        "issued": to_era(issued_at.astimezone(JST).date()),
        "issued_at": era_time(issued_at),
        "hospital": printable(hospital),
        "department": printable(department),
        "centre": printable(centre),
        "head": printable(head),
        "contact_section": printable(contact.section),
        "contact_officer": printable(contact.officer),
        "contact_telephone": printable(contact.telephone),
        "contact_email": printable(contact.email),
        "month": era_month(*month),
        "seal": seal,
    }


def table(rows: Sequence[PrintedRow]) -> list[dict[str, str]]:
    """What 様式5-② reads: one object a person, every value a string, in print order."""
    return [_row(row) for row in rows]


def _row(row: PrintedRow) -> dict[str, str]:
    return {
        "received": era_short(row.received_on) if row.received_on else "",
        "name": printable(row.name),
        "birth": _birth(row),
        "age": _age(row),
        "sex": gender_word(row.sex),
        "background": printable(row.background),
        "support": printable(row.support),
        "plan": printable(row.plan),
    }


def _birth(row: PrintedRow) -> str:
    if row.birth_date is not None:
        return era_short(row.birth_date)
    return printable(row.birth_text)


def _age(row: PrintedRow) -> str:
    # The age on the day of acceptance: a reprint years later says the same.
    if row.birth_date is None or row.received_on is None:
        return ""
    years = age(row.birth_date, row.received_on)
    return f"{years}歳" if years >= 0 else ""
