"""The monthly report (連絡票) as a value: one centre, one hospital, one month.

The month is the month of provision, when the hospital handed the persons over, not
the month of the report (handbook §4). Rules KG-09, KG-10.
"""

import hashlib
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from hub.fhir.dates import JST
from hub.fhir.outcome import FhirError, issue

PlanStatus = Literal["active", "on-hold", "completed", "revoked"]


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month of Japan."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """`2026-04`. Raises FhirError HUB-REP-003 for anything else."""
        try:
            # A day is added, so that exactly year and month are taken.
            first = datetime.strptime(f"{text}-01", "%Y-%m-%d").date()  # noqa: DTZ007
        except ValueError:
            raise FhirError(issue("HUB-REP-003")) from None
        if text != f"{first:%Y-%m}":
            raise FhirError(issue("HUB-REP-003"))
        return cls(first.year, first.month)

    @property
    def first(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        return date(self.year, self.month, monthrange(self.year, self.month)[1])

    def holds(self, moment: datetime) -> bool:
        """True when the aware moment lies in the month by Japan's calendar."""
        local = moment.astimezone(JST)
        return (local.year, local.month) == (self.year, self.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


@dataclass(frozen=True, slots=True)
class Contact:
    """【連絡先】 of the centre; what is empty is printed as an empty line."""

    section: str = ""
    officer: str = ""
    telephone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Centre:
    """Who reports. `id` is its Organization id; `desks` its HealthcareService ids.

    `head` signs; when empty it is the name with 長 (〇〇保健所長).
    """

    id: str
    name: str
    desks: frozenset[str] = frozenset()
    contact: Contact = field(default_factory=Contact)
    head: str = ""

    @property
    def signer(self) -> str:
        return self.head or f"{self.name}長"


@dataclass(frozen=True, slots=True)
class Hospital:
    """Who receives the report. `kind` is a code of ORGANIZATION_KIND."""

    id: str
    name: str
    kind: str = ""
    department: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One person of 様式5-②.

    `sex` is a FHIR administrative gender. `birth_text` is what was written when
    `birth_date` could not be read. `correlation` is the number of the hospital's
    own referral; `patient` the id of the hub's Patient.
    """

    name: str
    received_on: date | None = None
    birth_date: date | None = None
    birth_text: str = ""
    sex: str | None = None
    background: str = ""
    support: str = ""
    plan: str = ""
    correlation: str = ""
    patient: str = ""
    plan_status: PlanStatus = "active"


@dataclass(frozen=True, slots=True)
class MonthlyReport:
    """One report. No rows is a report too: nothing to report (該当なし).

    `issued_at` is aware; `reference` the centre's own document number, if any;
    `forms` the programme's ids of cover and table.
    """

    centre: Centre
    hospital: Hospital
    month: Month
    rows: tuple[Row, ...]
    issued_at: datetime
    reference: str = ""
    forms: tuple[str, str] = ("k5-1", "k5-2")

    @property
    def count(self) -> int:
        """対象者数: always the number of rows (KG-10)."""
        return len(self.rows)

    @property
    def number(self) -> str:
        """`202604-12345678`: the same for the same centre, hospital and month.

        Digits only, so that it may stand in file names and subjects.
        """
        named = f"{self.centre.id}\n{self.hospital.id}\n{self.month}"
        digest = hashlib.sha256(named.encode()).digest()
        serial = int.from_bytes(digest[:8]) % 10**8
        return f"{self.month.year:04d}{self.month.month:02d}-{serial:08d}"

    @property
    def file_name(self) -> str:
        return f"report-{self.number}.pdf"
