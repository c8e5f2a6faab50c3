"""Who may see which part of a case at a moment, and by which grants (G9).

What is told here is what the predicate lets through: both ask `grants.gives`.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Row, bindparam, literal, select, union_all

from hub.database import Session, flush
from hub.disclosure.classes import DataClass
from hub.disclosure.grants import gives
from hub.disclosure.tables import grant
from hub.fhir import dates


@dataclass(frozen=True, slots=True)
class Access:
    """One organisation may see one class of a case.

    `until` is when the last of its grants ends, None when one of them has no end;
    `grants` are their ids, oldest first.
    """

    organisation: str
    data_class: DataClass
    until: datetime | None
    grants: tuple[str, ...]


def of_case(session: Session, case_id: str, at: datetime | None = None) -> list[Access]:
    """Every (organisation, class) that is open on a case at a moment, in order."""
    flush(session)
    asked = {"case_id": case_id, "at": dates.micros(at or dates.now())}
    rows = session.execute(_OPEN_CLASSES, asked)
    return [
        _access(organisation, DataClass(data_class), list(found))
        for (organisation, data_class), found in groupby(rows, _of_whom_and_what)
    ]


def _of_whom_and_what(row: Row[*tuple[Any, ...]]) -> tuple[str, int]:
    return row.organisation, row.data_class


def _access(
    organisation: str, data_class: DataClass, rows: list[Row[*tuple[Any, ...]]]
) -> Access:
    ends = [row.ends for row in rows]
    until = None if None in ends else dates.from_micros(max(ends))
    return Access(organisation, data_class, until, tuple(row.id for row in rows))


# A case as if it held one resource of each class.
_EACH_CLASS = union_all(
    *(select(literal(int(one)).label("data_class")) for one in DataClass)
).subquery("each_class")
_OPEN_CLASSES = (
    select(grant.c.organisation, _EACH_CLASS.c.data_class, grant.c.id, grant.c.ends)
    .join(_EACH_CLASS, gives(grant, _EACH_CLASS, grant.c.organisation, bindparam("at")))
    .where(grant.c.case_id == bindparam("case_id"))
    .order_by(
        grant.c.organisation, _EACH_CLASS.c.data_class, grant.c.starts, grant.c.id
    )
)
