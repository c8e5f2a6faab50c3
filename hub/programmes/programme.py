"""A support programme as a frozen value (architecture.md §4.3)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

from hub.routing import Rule
from hub.routing.outcome import Priority

Giver = Literal["person", "family"]


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages."""

    ja: str
    en: str


@dataclass(frozen=True, slots=True)
class State:
    """The words of one state; `source` where the source reads another word.

    `next` says who acts next: source, recipient, hub; None when nobody.
    """

    word: Words
    source: Words | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Forms:
    """Form ids (`k1`); their canonicals are `canonical.questionnaire(id)`."""

    intake: str
    consent: str | None = None
    request: str | None = None
    record: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        single = (self.intake, self.consent, self.request)
        return (*(f for f in single if f), *self.record, *self.feedback)


@dataclass(frozen=True, slots=True)
class Recipients:
    """The class of recipient a consent form names."""

    code: str
    text: Words


@dataclass(frozen=True, slots=True)
class ConsentRule:
    """Who consents, to what, and what opens the gate (handbook §3, D-01, D-11).

    `wordings` gives the explained items of each version of the consent wording;
    `transfer_item` is the item that covers an onward transfer (KG-14), None when
    the programme has no such item.
    """

    givers: tuple[Giver, ...]
    rule: Literal["either", "both"]
    person_first: bool
    accept_sheet_mark: bool
    paper_first: bool
    basis: Mapping[Giver, str]
    recipients: Recipients
    purposes: tuple[str, ...]
    family_needs_second_basis: bool = False
    transfer_item: int | None = None
    wordings: Mapping[str, frozenset[int]] = field(default_factory=dict)
    statutory_bases: tuple[str, ...] = ()

    def items(self, wording_version: str | None) -> frozenset[int]:
        """The items explained with a wording version; none when it is unknown."""
        return self.wordings.get(wording_version or "", frozenset())

    def covers_transfer(self, items: Iterable[int]) -> bool:
        """KG-14: True when the items explained include the onward notice."""
        return self.transfer_item is None or self.transfer_item in items

    def mark_opens_gate(self, wording_version: str | None) -> bool:
        """D-11: True when a sheet's mark suffices for a source of this wording."""
        return (
            self.accept_sheet_mark
            and not self.paper_first
            and wording_version in self.wordings
            and self.covers_transfer(self.items(wording_version))
        )


@dataclass(frozen=True, slots=True)
class PriorityRule:
    """A coding that gives a referral its priority (LL-08)."""

    system: str
    code: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class Report:
    """The report to the source: `period` is `month-of-provision` or `none`.

    `background` are the linkIds of the intake form that tell 背景・要因.
    """

    forms: tuple[str, ...] = ()
    excluded_kinds: frozenset[str] = frozenset()
    period: str = "none"
    columns: tuple[str, ...] = ()
    background: tuple[str, ...] = ()
    printed_rows: int = 0


@dataclass(frozen=True, slots=True)
class HelpDesk:
    name: Words
    telephone: str | None = None


@dataclass(frozen=True, slots=True)
class Leaflet:
    """What a refused submission answers with (KG-04)."""

    title: Words
    text: Words
    desks: tuple[HelpDesk, ...] = ()


@dataclass(frozen=True, slots=True)
class Programme:
    """A support programme; every field comes from its `programme.toml`.

    `states` is keyed by `status` or `status/businessStatus`; `clocks` gives days by
    overdue code, empty when no source states a deadline. `folder` holds its sheets.
    """

    id: str
    title: Words
    version: str
    valid_from: date
    valid_to: date | None
    plan_definition: str
    forms: Forms
    source_kinds: frozenset[str]
    statement_kinds: frozenset[str]
    consent: ConsentRule
    routing: Rule
    advice: Words | None
    default_priority: Priority
    priorities: tuple[PriorityRule, ...]
    phone_call: Literal["required", "noted", "off"]
    states: Mapping[str, State]
    clocks: Mapping[str, int]
    report: Report
    leaflet: Leaflet
    max_transfers: int
    folder: Path

    def is_valid(self, on: date) -> bool:
        """True from `valid_from` to `valid_to`, both days included."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)

    def needs_statement(self, kind: str) -> bool:
        """KG-01: this kind of source must state `needs-community-support`."""
        return kind in self.statement_kinds

    def reports_to(self, kind: str) -> bool:
        """D-03: whether sources of this kind receive the periodic report."""
        return bool(self.report.forms) and kind not in self.report.excluded_kinds

    def priority(self, codings: Iterable[tuple[str, str]]) -> Priority:
        """The priority that (system, code) pairs of a referral give it (LL-08)."""
        stated = set(codings)
        return next(
            (r.priority for r in self.priorities if (r.system, r.code) in stated),
            self.default_priority,
        )

    def state(self, status: str, business_status: str | None = None) -> State | None:
        """The words of a Task's state; None when the programme has none for it."""
        keys = (
            (f"{status}/{business_status}", f"*/{business_status}", status)
            if business_status
            else (status,)
        )
        return next((self.states[k] for k in keys if k in self.states), None)
