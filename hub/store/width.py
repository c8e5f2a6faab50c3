"""How the visibility predicate is said in a search: from the grants, or row by row.

Where the criteria leave much (a status, a date, a name), the query has to begin with
what the caller may see, or it looks at everybody's rows. Where they leave little (an
identifier, a patient, a chain), each row left is asked who may see it: PostgreSQL
takes the set of a caller's resources for smaller than it is and would go through it
again for every row (measured among 10,000 cases: 27 s against 0.4 s for
`Task?patient.name=`).

How much a text leaves, no planner knows: a range of texts counts as one row, however
common the name (measured among 1,000,000 cases, a name of 50,000 people: not in 60 s
against 90 ms). So it is asked first whether a text is common.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from sqlalchemy import ColumnElement, FromClause

from hub.fhir.search import Criterion, Match
from hub.fhir.search_values import Reference
from hub.store.visibility import Visible, among

_NARROW_CODES = frozenset({"_id", "identifier", "group-identifier", "phone", "telecom"})
_WIDE_TARGETS = frozenset(
    {
        "Organization",
        "HealthcareService",
        "Location",
        "Practitioner",
        "PractitionerRole",
    }
)


@dataclass(frozen=True, slots=True)
class View:
    """What a search may see, and whether a text is one that many rows have."""

    visible: Visible
    is_common: Callable[[tuple[str, ...], Match], bool]


def seen(
    view: View,
    rows: FromClause,
    types: tuple[str, ...],
    criteria: Sequence[Criterion],
) -> ColumnElement[bool]:
    """The predicate over `rows` of `types` which also meet the criteria."""
    if any(_is_narrow(view, types, criterion) for criterion in criteria):
        return view.visible(rows)
    return among(view.visible, rows, types)


def begins_with_text(view: View, types: tuple[str, ...], criterion: Criterion) -> bool:
    """True for a text that few rows have: the search may begin with those."""
    return is_text(criterion) and not view.is_common(types, criterion)


def is_text(criterion: Criterion) -> TypeGuard[Match]:
    """True for a match of texts, which an index of texts answers."""
    if not isinstance(criterion, Match) or criterion.modifier == "missing":
        return False
    return criterion.parameter.type == "string" or criterion.modifier == "text"


def _is_narrow(view: View, types: tuple[str, ...], criterion: Criterion) -> bool:
    if not isinstance(criterion, Match):
        return True  # a chain or `_has`: its inner query begins with what is seen
    if criterion.modifier in ("not", "missing"):
        return False
    if is_text(criterion):
        return begins_with_text(view, types, criterion)
    if criterion.parameter.code in _NARROW_CODES:
        return True
    return criterion.parameter.type == "reference" and all(
        isinstance(value, Reference) and _is_narrow_target(criterion, value)
        for value in criterion.values
    )


def _is_narrow_target(criterion: Match, value: Reference) -> bool:
    """A person or a resource of a case is pointed to by few; a desk by thousands."""
    possible = {value.type} if value.type else {*criterion.parameter.targets}
    return "*" not in possible and not possible & _WIDE_TARGETS
