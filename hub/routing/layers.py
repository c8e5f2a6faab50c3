"""`district-desk`, then layer by layer upward (HM-04)."""

from hub.routing.facts import Facts
from hub.routing.outcome import Decision, Step
from hub.routing.rule import Rule


def district_desk(rule: Rule, facts: Facts) -> Decision:
    """The desk of the district; for a case already held, the next layer above."""
    wanted = _next(rule, facts)
    desk = facts.desks.get(wanted) if wanted else None
    if desk is None:
        missing = "district" if facts.held_by is None else "next-layer"
        return Decision(
            missing=(missing,),
            trace=(
                Step(
                    "district-desk",
                    "地区の窓口、または次の層の窓口が決まりません",
                    "the desk of the district or of the next layer is not known",
                    version=rule.version or None,
                ),
            ),
        )
    return Decision(
        initial=desk,
        trace=(
            Step(
                "district-desk",
                f"{desk.name}が受けます",
                f"{desk.name} receives",
                row=desk.id,
                version=rule.version or None,
            ),
        ),
    )


def _next(rule: Rule, facts: Facts) -> str | None:
    if facts.held_by is None:
        return rule.districts.get(facts.district or "")
    if facts.held_by in rule.layers:
        above = rule.layers[rule.layers.index(facts.held_by) + 1 :]
    else:
        above = rule.layers
    return next((desk for desk in above if desk not in facts.left), None)
