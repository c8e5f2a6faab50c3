"""How a recall is answered: the moves of its Task, as pure rules.

The holder says what became of its copy, or declines with a reason. The sender records
what it was told by telephone: the same output, and a note of who said so and when.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from hub.fhir.canonical import COPY_DISPOSITION, TASK_INPUT
from hub.fhir.outcome import Issue, issue
from hub.referrals.moves import ENDED, OPEN, Role, changed_elements

_ELEMENTS = frozenset({"status", "statusReason", "note", "output"})
_MOVES: Mapping[Role, Mapping[str, tuple[str, ...]]] = {
    "recipient": {
        "requested": ("received", "completed", "rejected"),
        "received": ("completed", "rejected"),
        "rejected": ("completed",),
    },
    # The sender may be told after a holder declined, and never unsays it.
    "source": {
        "requested": ("completed",),
        "received": ("completed",),
        "rejected": ("completed",),
    },
}


def recall_issues(
    before: Mapping[str, Any], after: Mapping[str, Any], roles: frozenset[Role]
) -> list[Issue]:
    """Every reason why this change of a recall Task is refused; empty = allowed."""
    if not roles & _MOVES.keys():
        return [issue("HUB-REF-002", "Task", who="写しを持つ窓口と送り手")]
    status, wanted = before["status"], after.get("status")
    if not any(wanted in _MOVES[r].get(status, ()) for r in roles & _MOVES.keys()):
        shown = wanted if wanted in (*OPEN, *ENDED) else "?"
        return [issue("HUB-REF-001", "Task.status", before=status, after=shown)]
    found = [
        issue("HUB-REF-004", f"Task.{key}", element=key)
        for key in sorted(changed_elements(before, after) - _ELEMENTS)
    ]
    found += _kept(before, after)
    if wanted == "rejected" and before.get("statusReason") == after.get("statusReason"):
        found.append(issue("HUB-REF-003", "Task.statusReason"))
    if wanted == "completed":
        found += _said(before, after, by_telephone="recipient" not in roles)
    return found


def _kept(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Issue]:
    """What was noted or put out stays: a confirmation is evidence."""
    for key in ("note", "output"):
        if any(one not in after.get(key, ()) for one in before.get(key, ())):
            yield issue("HUB-REF-004", f"Task.{key}", element=key)


def _said(
    before: Mapping[str, Any], after: Mapping[str, Any], *, by_telephone: bool
) -> Iterator[Issue]:
    new = [
        one for one in after.get("output", ()) if one not in before.get("output", ())
    ]
    if len(new) != 1 or not _is_disposition(new[0]):
        yield issue("HUB-REF-040", "Task.output")
    if by_telephone and len(after.get("note", ())) <= len(before.get("note", ())):
        yield issue("HUB-REF-041", "Task.note")


def _is_disposition(output: Mapping[str, Any]) -> bool:
    """An output `copy-disposition` with a code that says what became of the copy."""
    named = {
        c.get("code")
        for c in (output.get("type") or {}).get("coding", ())
        if c.get("system") == TASK_INPUT
    }
    said = [
        c.get("code")
        for c in (output.get("valueCodeableConcept") or {}).get("coding", ())
        if c.get("system") == COPY_DISPOSITION
    ]
    return named == {"copy-disposition"} and len(said) == 1
