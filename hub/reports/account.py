"""The account of one person's data: who may see it now, who saw it, and why.

Made from grants and audit rows, for the person to read. Whoever asks is told of the
data classes it may know of: of a recipient's own record not even that it exists.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select

from hub.audit.acts import Act, Way, acts
from hub.database import Session, flush
from hub.disclosure import access, grants
from hub.disclosure.cases import Case
from hub.disclosure.classes import FOR_FORMER, WHOLE, DataClass
from hub.disclosure.tables import case_resource
from hub.fhir import dates
from hub.fhir.dates import JST

# What each kind of message brings to its receiver.
_BROUGHT = {
    "status": DataClass.STATUS,
    "retraction": DataClass.STATUS,
    "report": FOR_FORMER,
}
_NOTHING = DataClass(0)


@dataclass(frozen=True, slots=True)
class Opening:
    """An organisation may see these classes at present; `until` None = no end."""

    organisation: str
    classes: DataClass
    until: datetime | None
    basis: str
    clause: str


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What an organisation saw on one day of Japan in one way, and on what basis.

    `count` acts between `first` and `last`; basis and clause are empty for who looked
    without a grant: a privacy officer.
    """

    day: date
    organisation: str
    way: Way
    classes: DataClass
    basis: str
    clause: str
    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Account:
    """`name` is None when who asks does not see the person's name (any more)."""

    patient: str
    name: str | None
    numbers: tuple[str, ...]
    openings: tuple[Opening, ...]
    disclosures: tuple[Disclosure, ...]
    since: date | None
    until: date | None
    issued_at: datetime

    @property
    def number(self) -> str:
        """Digits only, so that it may stand in a file name."""
        digest = hashlib.sha256(self.patient.encode()).digest()
        return f"{int.from_bytes(digest[:8]) % 10**8:08d}"

    @property
    def file_name(self) -> str:
        return f"record-{self.number}.pdf"


@dataclass(frozen=True, slots=True)
class Asked:
    """About whom, which cases and classes, and which days (both included)."""

    patient: str
    cases: Sequence[Case]
    classes: DataClass = WHOLE
    since: date | None = None
    until: date | None = None


def account(session: Session, asked: Asked, name: str | None, at: datetime) -> Account:
    """Put the account together; `at` is the moment of the present openings."""
    return Account(
        patient=asked.patient,
        name=name,
        numbers=tuple(case.correlation for case in asked.cases),
        openings=tuple(_openings(session, asked, at)),
        disclosures=tuple(_disclosures(session, asked)),
        since=asked.since,
        until=asked.until,
        issued_at=at,
    )


@dataclass(frozen=True, slots=True)
class _Given:
    """A grant as it was: its period is what it was open for."""

    organisation: str
    classes: DataClass
    starts: int
    over: int | None
    basis: str
    clause: str

    def held(self, organisation: str, at: int) -> bool:
        return (
            self.organisation == organisation
            and self.starts <= at
            and (self.over is None or at < self.over)
        )


def _openings(session: Session, asked: Asked, at: datetime) -> Iterator[Opening]:
    """One line a grant that is open, with the classes that may be told of."""
    for case in asked.cases:
        rows = {row["id"]: row for row in grants.explain(session, case.id)}
        found: dict[str, DataClass] = {}
        for one in access.of_case(session, case.id, at):
            for id in one.grants:
                found[id] = found.get(id, _NOTHING) | one.data_class
        for id, row in rows.items():
            classes = found.get(id, _NOTHING) & asked.classes
            if classes:
                ends = dates.from_micros(row["ends"]) if row["ends"] else None
                yield Opening(
                    row["organisation"], classes, ends, row["basis"], row["clause"]
                )


def _disclosures(session: Session, asked: Asked) -> list[Disclosure]:
    given = [one for case in asked.cases for one in _grants_of(session, case)]
    placed = _placed(session, asked.cases)
    made: dict[tuple[object, ...], Disclosure] = {}
    since, until = _bounds(asked)
    for act in acts(session, asked.patient, since, until):
        found = _disclosure(act, given, placed, asked.classes)
        if found is None:
            continue
        key = (
            found.day,
            found.organisation,
            found.way,
            found.classes,
            found.basis,
            found.clause,
        )
        first = made.get(key)
        if first is not None:
            found = _joined(first, found)
        made[key] = found
    return sorted(made.values(), key=lambda one: (one.first, one.organisation))


def _joined(first: Disclosure, next_: Disclosure) -> Disclosure:
    return Disclosure(
        first.day,
        first.organisation,
        first.way,
        first.classes,
        first.basis,
        first.clause,
        first.first,
        next_.last,
        first.count + 1,
    )


def _disclosure(
    act: Act,
    given: Sequence[_Given],
    placed: Mapping[tuple[str, str], DataClass],
    allowed: DataClass,
) -> Disclosure | None:
    """One act as a line; None when it is of nothing that may be told of."""
    at = dates.micros(act.at)
    held = [one for one in given if one.held(act.organisation, at)]
    open_then = _NOTHING
    for one in held:
        open_then |= one.classes
    classes = _classes(act, placed, open_then) & allowed
    if not classes:
        return None
    by = next((one for one in held if one.classes & classes), None)
    return Disclosure(
        day=act.at.astimezone(JST).date(),
        organisation=act.organisation,
        way=act.way,
        classes=classes,
        basis=by.basis if by else "",
        clause=by.clause if by else "",
        first=act.at,
        last=act.at,
        count=1,
    )


def _classes(
    act: Act, placed: Mapping[tuple[str, str], DataClass], open_then: DataClass
) -> DataClass:
    """The data classes that an act showed; none for what is of no case asked for."""
    if act.way in ("sent", "perhaps-sent"):
        # A referral brings what its grant opened; that may have closed meanwhile.
        return _BROUGHT.get(act.message, open_then or WHOLE)
    if act.way == "report":
        return FOR_FORMER & open_then
    if act.way == "account":
        return DataClass.STATUS
    found = _NOTHING
    for key, data_class in placed.items():
        if key in act.targets or (act.way == "search" and key[0] in act.types):
            found |= data_class
    return found & open_then if act.way == "search" else found


def _grants_of(session: Session, case: Case) -> Iterator[_Given]:
    for row in grants.explain(session, case.id):
        over = [end for end in (row["ends"], row["closed_at"]) if end is not None]
        yield _Given(
            row["organisation"],
            _bits(row["classes"]),
            row["starts"],
            min(over, default=None),
            row["basis"],
            row["clause"],
        )


def _bits(codes: Sequence[str]) -> DataClass:
    found = _NOTHING
    for code in codes:
        found |= DataClass[code.upper()]
    return found


def _placed(
    session: Session, cases: Sequence[Case]
) -> dict[tuple[str, str], DataClass]:
    flush(session)
    rows = session.execute(
        select(
            case_resource.c.type, case_resource.c.id, case_resource.c.data_class
        ).where(case_resource.c.case_id.in_([case.id for case in cases]))
    )
    found: dict[tuple[str, str], DataClass] = {}
    for row in rows:
        key = (row.type, row.id)
        found[key] = found.get(key, _NOTHING) | DataClass(row.data_class)
    return found


def _bounds(asked: Asked) -> tuple[int | None, int | None]:
    """Midnights of Japan around the days asked for, in microseconds UTC."""
    since = _midnight(asked.since) if asked.since else None
    after = date.fromordinal(asked.until.toordinal() + 1) if asked.until else None
    return since, _midnight(after) if after else None


def _midnight(day: date) -> int:
    return dates.micros(datetime(day.year, day.month, day.day, tzinfo=JST))
