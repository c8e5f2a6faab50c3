"""`residence-with-agreement` (LL-01, LL-04, handbook D-16).

The municipality of residence receives, only under its own active agreement with
this provider; else the prefecture, when it has one and the rule allows that.
"""

from hub.routing.choose import agreements, is_valid
from hub.routing.facts import Agreement, Facts
from hub.routing.outcome import Decision, Step
from hub.routing.rule import Rule


def residence_with_agreement(rule: Rule, facts: Facts) -> Decision:
    residence = facts.municipality or facts.prefecture
    if residence is None:
        return _no_residence(rule, facts)
    trace: list[Step] = []
    for agreement in agreements(facts):
        fault = _fault(rule, facts, agreement)
        trace.append(_step(agreement, fault))
        if fault is None:
            return Decision(initial=agreement.desk, trace=tuple(trace))
    trace.append(
        Step(
            "residence-with-agreement",
            "居住地の自治体との有効な協定がないため、つなぐことができません",
            "no active agreement covers the residence: no hand-over",
            version=rule.version or None,
        )
    )
    missing = ("agreement",) if facts.municipality else ("municipality", "agreement")
    return Decision(missing=missing, candidates=facts.candidates, trace=tuple(trace))


def _fault(rule: Rule, facts: Facts, agreement: Agreement) -> tuple[str, str] | None:
    if not _covers(agreement, facts):
        return "は居住地の協定ではありません", "covers another area"
    if agreement.level == "prefecture" and not rule.prefecture_fallback:
        return "は都道府県の協定のため使いません", "is a prefecture's: not used"
    if not agreement.active:
        return "は有効化されていません", "is not active"
    if not is_valid(agreement, facts.on):
        return "は基準日に有効ではありません", "is not valid on that day"
    if agreement.desk.id in facts.left:
        return "はすでに引き受けられないと答えています", "already declined or left it"
    return None


def _covers(agreement: Agreement, facts: Facts) -> bool:
    if agreement.level == "municipality":
        return agreement.area == facts.municipality
    return agreement.area == (facts.municipality or facts.prefecture or "")[:2]


def _step(agreement: Agreement, fault: tuple[str, str] | None) -> Step:
    ja, en = fault or ("により、この窓口につなぎます", "is used: its desk receives")
    return Step(
        "agreement",
        f"協定：{agreement.desk.name}{ja}",
        f"agreement of {agreement.desk.name} {en}",
        row=agreement.id,
        version=agreement.version or None,
    )


def _no_residence(rule: Rule, facts: Facts) -> Decision:
    return Decision(
        business_status="address-unknown",
        missing=("municipality",),
        candidates=facts.candidates,
        trace=(
            Step(
                "residence-with-agreement",
                "居住地の市区町村が決まらないため、つなぎ先を選べません。"
                "市区町村を確かめてください",
                "the municipality of residence is not known: ask for it",
                version=rule.version or None,
            ),
        ),
    )
