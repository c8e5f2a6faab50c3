"""The decision: one function per kind of rule, chosen by a table."""

from collections.abc import Callable

from hub.routing.agreement import residence_with_agreement
from hub.routing.facts import Facts
from hub.routing.jurisdiction import source_jurisdiction
from hub.routing.layers import district_desk
from hub.routing.outcome import Decision
from hub.routing.rule import Kind, Rule
from hub.routing.sections import section_by_topic

_KINDS: dict[Kind, Callable[[Rule, Facts], Decision]] = {
    "source-jurisdiction": source_jurisdiction,
    "residence-with-agreement": residence_with_agreement,
    "section-by-topic": section_by_topic,
    "district-desk": district_desk,
}


def decide(rule: Rule, facts: Facts) -> Decision:
    """Choose the desk that receives a referral, and the one it is passed on to.

    `facts.municipality` is a 5-digit JIS X 0402 code without check digit; `facts.on`
    is a date in JST and selects the directory rows valid that day. The trace lists
    every row looked at, in order, with its version. Never raises: a referral that
    cannot be routed gives a Decision without desk whose `missing` names what to ask
    for. Source: workflow.md §6; IHE mCSD, Jurisdiction.
    """
    return _KINDS[rule.kind](rule, facts)
