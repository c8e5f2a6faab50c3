"""What `decide` is told: the source, the residence and the directory's rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Relation = Literal["statutory", "delegated"]
Confidence = Literal["A", "B", "C"]


@dataclass(frozen=True, slots=True)
class Desk:
    """A HealthcareService (`id`) of an Organization (`organisation`)."""

    id: str
    name: str
    organisation: str


@dataclass(frozen=True, slots=True)
class Row:
    """One jurisdiction row: `desk` answers for `municipality` (JIS X 0402).

    Valid from `valid_from` to `valid_to`, both days included (None: open). With
    `neighbourhoods` it holds only for addresses that name one of them. `confirmed`
    means that a named person confirmed a row of confidence C (handbook D-21).
    `id` and `version` name the row in the trace.
    """

    id: str
    municipality: str
    desk: Desk
    relation: Relation = "statutory"
    confidence: Confidence = "C"
    valid_from: date | None = None
    valid_to: date | None = None
    neighbourhoods: tuple[str, ...] = ()
    confirmed: bool = False
    version: str = ""

    @property
    def is_certain(self) -> bool:
        return self.confidence != "C" or self.confirmed


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement of a counselling provider with a municipality or prefecture.

    `area` is a 5-digit municipality or a 2-digit prefecture. `active` is what the
    directory granted (section, contact and signer are checked there: LL-02, LL-03);
    the validity is checked here, by date.
    """

    id: str
    provider: str
    level: Literal["municipality", "prefecture"]
    area: str
    desk: Desk
    active: bool
    valid_from: date | None = None
    valid_to: date | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The referring organisation: `municipality` is where it stands."""

    code: str
    name: str = ""
    kind: str = ""
    municipality: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a decision rests on.

    `on` is a day in Japan and selects the rows valid then. `municipality` is the
    residence as a 5-digit JIS X 0402 code, None when it could not be decided; then
    `prefecture` (2 digits) may still be known, and `candidates` may propose.
    `locality` is the address after the municipality, for rows that split one.
    `left` are desks that already passed this case on (workflow.md §3: no loops);
    `held_by` the desk that holds it now (district-desk: the next layer is above).
    """

    on: date
    source: Source
    municipality: str | None = None
    prefecture: str | None = None
    candidates: tuple[str, ...] = ()
    locality: str = ""
    wishes_nearest: bool = False
    rows: tuple[Row, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    desks: Mapping[str, Desk] = field(default_factory=dict)
    topics: frozenset[str] = frozenset()
    field: str | None = None
    child_focus: bool = False
    district: str | None = None
    held_by: str | None = None
    left: frozenset[str] = frozenset()
