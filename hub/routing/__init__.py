"""Where a referral goes, and why. Pure: facts in, decision with its trace out."""

from hub.routing.decide import decide
from hub.routing.facts import Agreement, Desk, Facts, Row, Source
from hub.routing.outcome import Decision, Step
from hub.routing.rule import Rule, Section

__all__ = [
    "Agreement",
    "Decision",
    "Desk",
    "Facts",
    "Row",
    "Rule",
    "Section",
    "Source",
    "Step",
    "decide",
]
