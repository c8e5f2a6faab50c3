"""The moves of a child Task: workflow.md §3 as a table, and the pure check of one.

No other move exists. A move is found by the status before and after and by the
business status it carries; who may make it and what it must carry stand beside it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hub.fhir.canonical import BUSINESS_STATUS
from hub.fhir.outcome import Issue, issue

Role = Literal["recipient", "source", "hub"]
Gate = Literal["B", "C"]

OPEN = ("requested", "received", "accepted", "in-progress", "on-hold")
ENDED = ("rejected", "cancelled", "failed", "completed", "entered-in-error")
REASON_NEEDED = ("rejected", "cancelled", "failed", "on-hold", "entered-in-error")
IN_PROGRESS = frozenset(
    {
        "contact-attempted",
        "scheduled",
        "visited",
        "no-show",
        "event-cancelled",
        "monitoring",
    }
)
# Rows that carry a reason although their status alone does not ask for one: an
# acceptance undone, and one body more that sees the case (KG-16).
_REASON_NEEDED_BY_ROW = frozenset({9, 19})
# What each side may change; everything else of the Task belongs to the hub.
MAY_CHANGE: Mapping[Role, frozenset[str]] = {
    "recipient": frozenset(
        {
            "status",
            "businessStatus",
            "statusReason",
            "note",
            "output",
            "executionPeriod",
            "owner",
        }
    ),
    "source": frozenset({"status", "businessStatus", "statusReason", "note", "input"}),
    "hub": frozenset(),
}
# The sender adds to a Task; what others wrote there it neither alters nor removes.
_SOURCE_ADDS = frozenset({"note", "input"})
# Inputs that only the hub writes: they say where the case goes (handbook D-19).
HUB_INPUTS = frozenset({"routing-trace", "onward-desk", "onward-desk-unconfirmed"})
_NEVER_COMPARED = frozenset({"meta", "lastModified"})
# Of `meta` what tells others how to treat the resource; the rest are stamps.
_LABELS = ("security", "tag")


@dataclass(frozen=True, slots=True)
class Move:
    """One row: `number` is workflow.md §3's, `business` the codes it may carry.

    None among them: the row needs no business status; one carried over is dropped.
    """

    number: int
    before: frozenset[str]
    after: str
    by: frozenset[Role]
    business: frozenset[str | None] = frozenset({None})
    gate: Gate | None = None
    transfers: bool = False


def _move(
    number: int,
    before: str,
    after: str,
    by: str,
    business: frozenset[str | None] = frozenset({None}),
    gate: Gate | None = None,
    *,
    transfers: bool = False,
) -> Move:
    actors: frozenset[Role] = frozenset(by.split())  # type: ignore[arg-type] # literals
    return Move(
        number, frozenset(before.split()), after, actors, business, gate, transfers
    )


_WAITING: frozenset[str | None] = frozenset({None, "address-unknown", "awaiting-phone"})
_ENDS: frozenset[str | None] = frozenset(
    {"unreachable", "person-declined", "provider-unable"}
)
_WITHDRAWN: frozenset[str | None] = frozenset({"consent-withdrawn"})

MOVES: tuple[Move, ...] = (
    _move(2, "requested", "received", "recipient hub", _WAITING),
    _move(
        3,
        "requested received",
        "received",
        "recipient",
        frozenset({"awaiting-information"}),
    ),
    _move(4, "requested received", "accepted", "recipient", _WAITING, "B"),
    _move(
        5, "requested received", "rejected", "recipient", frozenset({None, "declined"})
    ),
    _move(
        6,
        "requested received",
        "rejected",
        "recipient",
        frozenset({"transferred"}),
        "C",
        transfers=True,
    ),
    _move(
        7,
        "accepted in-progress on-hold",
        "failed",
        "recipient hub",
        frozenset({"transferred"}),
        "C",
        transfers=True,
    ),
    *(
        _move(
            9,
            status,
            status,
            "recipient",
            frozenset({"transferring"}),
            "C",
            transfers=True,
        )
        for status in ("received", "accepted", "in-progress", "on-hold")
    ),
    _move(
        10,
        "accepted",
        "in-progress",
        "recipient",
        frozenset({None, "contact-attempted"}),
    ),
    _move(11, "in-progress", "in-progress", "recipient", frozenset(IN_PROGRESS)),
    _move(12, "in-progress", "on-hold", "recipient", frozenset({None, *IN_PROGRESS})),
    _move(12, "on-hold", "in-progress", "recipient", frozenset({None, *IN_PROGRESS})),
    _move(
        13,
        "in-progress on-hold",
        "completed",
        "recipient",
        frozenset({None, *IN_PROGRESS}),
    ),
    _move(14, "in-progress on-hold", "failed", "recipient", _ENDS),
    _move(15, "requested received accepted", "cancelled", "source", _WAITING),
    _move(17, "requested received accepted", "cancelled", "hub", _WITHDRAWN),
    _move(17, "in-progress on-hold", "failed", "hub", _WITHDRAWN),
    _move(
        18,
        " ".join((*OPEN, *ENDED[:-1])),
        "entered-in-error",
        "source",
        frozenset({None}),
    ),
    _move(19, "accepted", "received", "recipient", _WAITING),
)


def business_status(task: Mapping[str, Any]) -> str | None:
    """The code of the business status; a second `overdue-…` coding is not it."""
    return next(
        (c for c in _business_codes(task) if not c.startswith("overdue-")), None
    )


def _business_codes(task: Mapping[str, Any]) -> Iterator[str]:
    for coding in (task.get("businessStatus") or {}).get("coding", ()):
        if coding.get("system") in (BUSINESS_STATUS, None) and coding.get("code"):
            yield coding["code"]


def find_move(before: Mapping[str, Any], after: Mapping[str, Any]) -> Move | None:
    """The row of the table for this change, None when no such move exists.

    A business status carried over unchanged counts as none.
    """
    code = business_status(after)
    carried = code is not None and code == business_status(before)
    for move in MOVES:
        if before["status"] in move.before and after.get("status") == move.after:
            if code in move.business:
                return move
            if carried and None in move.business:
                return move
    return None


def check_move(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    roles: frozenset[Role],
    *,
    has_records: bool = False,
) -> list[Issue]:
    """Every reason why this change of a child Task is refused; empty = allowed.

    `roles` are those the actor has towards this Task. `has_records` says that the
    recipient already recorded something in the case (move 19).
    """
    if not roles:
        return [issue("HUB-REF-002", "Task", who="送り手と受け手")]
    if _is_annotation(before, after):
        return _annotation_issues(before, after, roles)
    move = find_move(before, after)
    if move is None:
        return [_no_such_move(before, after)]
    if not roles & move.by:
        return [issue("HUB-REF-002", "Task.status", who=_who(move))]
    found = _fields(before, after, roles & move.by)
    needs_reason = move.after in REASON_NEEDED or move.number in _REASON_NEEDED_BY_ROW
    if needs_reason and not after.get("statusReason"):
        found.append(issue("HUB-REF-003", "Task.statusReason"))
    if move.number == 3 and not _asks(before, after):  # noqa: PLR2004
        found.append(issue("HUB-REF-009", "Task.note"))
    if move.number == 19 and has_records:  # noqa: PLR2004
        found.append(issue("HUB-REF-008", "Task.status"))
    return found


def as_stored(before: Mapping[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The changed Task with its business status made plain.

    One carried over that the new state does not know is dropped (a question that was
    open, an attempt before the end), and a rejection without any is a decline.
    """
    move = None if _is_annotation(before, after) else find_move(before, after)
    if move is None:
        return after
    known = {code for code in move.business if code}
    codings = [
        coding
        for coding in (after.get("businessStatus") or {}).get("coding", ())
        if coding.get("code") in known
        or str(coding.get("code", "")).startswith("overdue-")
    ]
    if not codings and move.number == 5:  # noqa: PLR2004 - the row of a decline
        codings = [{"system": BUSINESS_STATUS, "code": "declined"}]
    stored = {k: v for k, v in after.items() if k != "businessStatus"}
    if codings:
        stored["businessStatus"] = {"coding": codings}
    return stored


def _no_such_move(before: Mapping[str, Any], after: Mapping[str, Any]) -> Issue:
    named = sorted(
        {
            code
            for move in MOVES
            if before["status"] in move.before and after.get("status") == move.after
            for code in move.business
            if code and move.by != {"hub"}
        }
    )
    if named:
        return issue("HUB-REF-024", "Task.businessStatus", codes=", ".join(named))
    return issue(
        "HUB-REF-001", "Task.status", before=_state(before), after=_state(after)
    )


def _who(move: Move) -> str:
    if move.by == {"source"}:
        return "送り手"
    return "ハブ" if move.by == {"hub"} else "受け手の窓口"


def _is_annotation(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Nothing but notes, outputs or inputs added while the Task stays as it is."""
    return (
        before["status"] in OPEN
        and before["status"] == after.get("status")
        and business_status(before) == business_status(after)
    )


def _annotation_issues(
    before: Mapping[str, Any], after: Mapping[str, Any], roles: frozenset[Role]
) -> list[Issue]:
    if "recipient" in roles or "hub" in roles:
        return _fields(before, after, roles)
    return [*_elements(before, after, _SOURCE_ADDS), *additions_only(before, after)]


def additions_only(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Issue]:
    """Issues where the sender altered or removed a note or an input (move 3).

    Nor does it add what only the hub writes.
    """
    spoiled = {
        key
        for key in _SOURCE_ADDS
        if any(one not in after.get(key, ()) for one in before.get(key, ()))
    }
    added = [
        one for one in after.get("input", ()) if one not in before.get("input", ())
    ]
    if any(is_hub_input(one) for one in added):
        spoiled.add("input")
    return [issue("HUB-REF-004", f"Task.{key}", element=key) for key in sorted(spoiled)]


def is_hub_input(entry: Mapping[str, Any]) -> bool:
    """True for an input that says where the case goes: the hub's own word."""
    codings = (entry.get("type") or {}).get("coding", ())
    return any(coding.get("code") in HUB_INPUTS for coding in codings)


def _fields(
    before: Mapping[str, Any], after: Mapping[str, Any], roles: frozenset[Role]
) -> list[Issue]:
    allowed: frozenset[str] = frozenset().union(*(MAY_CHANGE[r] for r in roles))
    return _elements(before, after, allowed)


def _elements(
    before: Mapping[str, Any], after: Mapping[str, Any], allowed: frozenset[str]
) -> list[Issue]:
    return [
        issue("HUB-REF-004", f"Task.{key}", element=key)
        for key in sorted(changed_elements(before, after) - allowed)
    ]


def changed_elements(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The elements that differ, apart from those the hub writes itself."""
    changed = {
        key
        for key in before.keys() | after.keys()
        if key not in _NEVER_COMPARED and before.get(key) != after.get(key)
    }
    old, new = before.get("meta", {}), after.get("meta", {})
    if any(old.get(key) != new.get(key) for key in _LABELS):
        changed.add("meta")
    return changed


def with_unsaid(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The changed Task with the narrative and labels that its writer left unsaid."""
    kept = {key: before[key] for key in ("text", "meta") if key in before}
    said = {**kept, **after}
    labels = {k: v for k, v in kept.get("meta", {}).items() if k in _LABELS}
    if "meta" in after and labels:
        said["meta"] = {**labels, **after["meta"]}
    return said


def _asks(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return _added(before, after, "note") or _added(before, after, "output")


def _added(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> bool:
    return len(after.get(key, ())) > len(before.get(key, ()))


def _state(task: Mapping[str, Any]) -> str:
    # The received status may be any text: only known words are said back.
    status = task.get("status")
    shown = status if status in (*OPEN, *ENDED) else "?"
    code = business_status(task)
    known = any(code in move.business for move in MOVES)
    return f"{shown} ({code})" if code and known else str(shown)
