"""A programme's routing rule: data that `decide` reads (workflow.md §6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "source-jurisdiction",
    "residence-with-agreement",
    "section-by-topic",
    "district-desk",
]


@dataclass(frozen=True, slots=True)
class Section:
    """One line of `section-by-topic`: the queue for a topic, a field, an age.

    None means "any". The first line that fits decides, so a general line stands
    last. `child_focus` is for programmes that part the cases about a child.
    """

    desk: str
    topic: str | None = None
    field: str | None = None
    child_focus: bool | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """How a programme chooses the desk.

    `then` and `out_of_prefecture` belong to `source-jurisdiction`: what the first
    centre does with a resident of another district, and what happens to a resident
    of another prefecture (`accept`: like everyone; `advise`: never taken in;
    `nearest-on-request`: taken in only when the nearest centre is wished for).
    `prefecture_fallback` belongs to `residence-with-agreement`, `sections` to
    `section-by-topic`, `districts` (district → desk) and `layers` (the desks above,
    lowest first) to `district-desk`. `version` is the programme's, for the trace.
    """

    kind: Kind
    then: Literal["residence-transfer"] | None = None
    out_of_prefecture: Literal["accept", "advise", "nearest-on-request"] = "accept"
    prefecture_fallback: bool = False
    sections: tuple[Section, ...] = ()
    districts: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    version: str = ""
