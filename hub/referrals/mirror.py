"""How the parent Task follows its children (workflow.md §4): it never moves back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hub.fhir.canonical import BUSINESS_STATUS, TASK_REPLACES
from hub.referrals.moves import OPEN, business_status

_RANK = {"requested": 0, "received": 1, "accepted": 2, "on-hold": 3, "in-progress": 3}
_PASSED_ON = "transferred"


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What the parent becomes; None leaves an element as it is, "" removes it."""

    status: str
    business: str
    reason: dict[str, Any] | None = None
    outputs: tuple[dict[str, Any], ...] = ()


def mirror(
    parent: dict[str, Any],
    children: Sequence[dict[str, Any]],
    changed: dict[str, Any],
    *,
    another_candidate: bool = False,
) -> Mirrored:
    """The parent after one child changed.

    `children` are all children as they now are, `changed` is the one that moved
    (also among them). `another_candidate` says that the hub is about to ask
    another desk after a decline.
    """
    status = parent["status"]
    code = business_status(changed) or ""
    if code == _PASSED_ON and changed["status"] in ("rejected", "failed"):
        return _with_open_children(status, children, otherwise="transferring")
    if changed["status"] == "rejected" and another_candidate:
        ahead = _RANK.get(status, 0) > _RANK["received"]
        return Mirrored(status if ahead else "received", "rerouting")
    if any(child["status"] in OPEN for child in children):
        return _with_open_children(status, children, otherwise="")
    if changed["status"] == "rejected":
        accepted_once = _RANK.get(status, 0) >= _RANK["accepted"]
        ended = "failed" if accepted_once else "rejected"
        return Mirrored(ended, code or "declined", changed.get("statusReason"))
    outputs = (
        tuple(changed.get("output", ())) if changed["status"] != "cancelled" else ()
    )
    return Mirrored(changed["status"], code, changed.get("statusReason"), outputs)


def _with_open_children(
    status: str, children: Sequence[dict[str, Any]], otherwise: str
) -> Mirrored:
    open_children = [c for c in children if c["status"] in OPEN]
    if not open_children:
        return Mirrored(status, otherwise)
    lead = max(open_children, key=lambda c: _RANK[c["status"]])
    code = business_status(lead) or ""
    on_its_way = lead["status"] in ("requested", "received") and _replaces(lead)
    if on_its_way and not code:
        code = "transferring"
    further = _RANK[lead["status"]] >= _RANK.get(status, 0)
    return Mirrored(
        lead["status"] if further else status, code, lead.get("statusReason")
    )


def _replaces(task: dict[str, Any]) -> bool:
    return any(e.get("url") == TASK_REPLACES for e in task.get("extension", ()))


def apply(parent: dict[str, Any], mirrored: Mirrored) -> dict[str, Any]:
    """A copy of the parent Task with the mirrored elements."""
    after = {k: v for k, v in parent.items() if k not in ("businessStatus", "meta")}
    after["status"] = mirrored.status
    if mirrored.business:
        after["businessStatus"] = coded(mirrored.business)
    after.pop("statusReason", None)
    if mirrored.reason:
        after["statusReason"] = mirrored.reason
    known = after.get("output", [])
    added = [one for one in mirrored.outputs if one not in known]
    if known or added:
        after["output"] = [*known, *added]
    return after


def coded(*codes: str) -> dict[str, Any]:
    """Business statuses as one CodeableConcept."""
    return {"coding": [{"system": BUSINESS_STATUS, "code": code} for code in codes]}
