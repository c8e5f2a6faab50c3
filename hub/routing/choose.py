"""Choose among rows: valid on the day, delegated before statutory, surest first."""

from collections.abc import Iterable
from datetime import date

from hub.routing.facts import Agreement, Facts, Row
from hub.routing.outcome import Step

_RELATION = {"delegated": 0, "statutory": 1}


def is_valid(row: Row | Agreement, on: date) -> bool:
    """True from `valid_from` to `valid_to`, both days included (FHIR Period)."""
    return (row.valid_from is None or row.valid_from <= on) and (
        row.valid_to is None or on <= row.valid_to
    )


def jurisdiction(
    facts: Facts, municipality: str, locality: str = ""
) -> tuple[Row | None, tuple[Step, ...]]:
    """The row that counts for a municipality on the day, and every row looked at."""
    rows = [row for row in facts.rows if row.municipality == municipality]
    fitting = [row for row in rows if _fits(row, facts.on, locality)]
    chosen = min(fitting, key=_rank, default=None)
    return chosen, tuple(_step(row, chosen, facts, locality) for row in rows)


def agreements(facts: Facts) -> Iterable[Agreement]:
    """This provider's agreements, the municipality's before the prefecture's (D-16)."""
    own = [a for a in facts.agreements if a.provider == facts.source.code]
    return sorted(own, key=lambda a: (a.level != "municipality", a.id))


def _fits(row: Row, on: date, locality: str) -> bool:
    return is_valid(row, on) and (
        not row.neighbourhoods or any(n in locality for n in row.neighbourhoods)
    )


def _rank(row: Row) -> tuple[bool, int, bool, str, int, str]:
    # A row for the named neighbourhood says more than one for the whole municipality.
    begin = row.valid_from.toordinal() if row.valid_from else 0
    return (
        not row.neighbourhoods,
        _RELATION[row.relation],
        not row.is_certain,
        row.confidence,
        -begin,
        row.id,
    )


def _step(row: Row, chosen: Row | None, facts: Facts, locality: str) -> Step:
    ja, en = _verdict(row, chosen, facts, locality)
    return Step(
        "jurisdiction",
        f"管轄表：{row.desk.name}（{_RELATION_JA[row.relation]}・確度{row.confidence}）"
        f"{ja}",
        f"jurisdiction row: {row.desk.name} ({row.relation}, confidence "
        f"{row.confidence}) {en}",
        row=row.id,
        version=row.version or None,
        confidence=row.confidence,
    )


_RELATION_JA = {"statutory": "法定", "delegated": "受託"}


def _verdict(
    row: Row, chosen: Row | None, facts: Facts, locality: str
) -> tuple[str, str]:
    if row is chosen:
        return "を採用", "is used"
    if not is_valid(row, facts.on):
        return "は基準日に有効でないため不採用", "is not valid on that day"
    if not _fits(row, facts.on, locality):
        return "は対象地区が住所にないため不採用", "is for other neighbourhoods"
    return "はほかの行が優先するため不採用", "gives way to another row"
