"""`source-jurisdiction` then `residence-transfer` (KG-11 to KG-13).

The centre that answers for the source receives; it passes a resident of another
district of the same prefecture on to that district's centre. A resident of another
prefecture is advised, or taken in by the source's centre on request.
"""

from dataclasses import replace

from hub.routing.choose import jurisdiction
from hub.routing.facts import Facts
from hub.routing.outcome import Decision, Step
from hub.routing.rule import Rule


def source_jurisdiction(rule: Rule, facts: Facts) -> Decision:
    if _lives_outside(facts) and rule.out_of_prefecture != "accept":
        return _outside(rule, facts)
    first = _first(rule, facts)
    if first.initial is None or _lives_outside(facts):
        return first
    if facts.municipality is None:
        return _address_unknown(facts, first)
    if rule.then is None:
        return first
    return _onward(rule, facts, first, facts.municipality)


def _lives_outside(facts: Facts) -> bool:
    # Without knowing where the source stands, nothing can be called outside.
    home = (facts.source.municipality or "")[:2]
    residence = (facts.municipality or facts.prefecture or "")[:2]
    return bool(home and residence) and home != residence


def _outside(rule: Rule, facts: Facts) -> Decision:
    wished = rule.out_of_prefecture == "nearest-on-request" and facts.wishes_nearest
    if not wished:
        return Decision(
            advise=True,
            trace=(
                _step(
                    rule,
                    "out-of-prefecture",
                    "住所は県外で、最寄りの保健所への相談の希望が示されていないため、"
                    "居住地の保健所への相談を案内します（情報は送りません）",
                    "the person lives outside the prefecture and no wish for the "
                    "nearest centre is stated: advise only, nothing is sent",
                ),
            ),
        )
    asked = _step(
        rule,
        "out-of-prefecture",
        "住所は県外ですが、最寄りの保健所への相談の希望があるため、"
        "情報提供元を管轄する窓口が受けます",
        "the person lives outside the prefecture but wishes for the nearest centre: "
        "the source's own centre receives",
    )
    first = _first(rule, facts)
    return replace(first, trace=(asked, *first.trace))


def _first(rule: Rule, facts: Facts) -> Decision:
    home = facts.source.municipality
    row, looked = jurisdiction(facts, home) if home else (None, ())
    if row is None:
        missing = "source-jurisdiction" if home else "source-municipality"
        gap = _step(
            rule,
            "source-jurisdiction",
            "情報提供元を管轄する窓口が管轄表にありません",
            "no desk in the table answers for the source",
        )
        return Decision(missing=(missing,), trace=(*looked, gap))
    chosen = Step(
        "source-jurisdiction",
        f"情報提供元を管轄する{row.desk.name}が受けます",
        f"{row.desk.name} answers for the source and receives",
        row=row.id,
        version=rule.version or None,
        confidence=row.confidence,
    )
    return Decision(
        initial=row.desk,
        unconfirmed=() if row.is_certain else ("initial",),
        trace=(*looked, chosen),
    )


def _address_unknown(facts: Facts, first: Decision) -> Decision:
    count = len(facts.candidates)
    step = Step(
        "address-unknown",
        "住所から市区町村が決まらないため、情報提供元を管轄する窓口が住所を確かめます"
        + (f"（候補{count}件）" if count else ""),
        "the address does not decide a municipality: the source's centre finds out"
        + (f" ({count} candidates)" if count else ""),
    )
    return replace(
        first,
        business_status="address-unknown",
        missing=("municipality",),
        candidates=facts.candidates,
        trace=(*first.trace, step),
    )


def _onward(rule: Rule, facts: Facts, first: Decision, residence: str) -> Decision:
    row, looked = jurisdiction(facts, residence, facts.locality)
    trace = (*first.trace, *looked)
    if row is None:
        gap = _step(
            rule,
            "residence-transfer",
            "居住地を管轄する窓口が管轄表にありません。受けた窓口が確かめます",
            "no desk in the table answers for the residence: the first desk finds out",
        )
        return replace(first, missing=("residence-jurisdiction",), trace=(*trace, gap))
    if first.initial and row.desk.id == first.initial.id:
        same = _step(
            rule,
            "residence-transfer",
            "居住地も同じ窓口の管轄のため、引き継ぎはありません",
            "the same desk answers for the residence: nothing is passed on",
        )
        return replace(first, trace=(*trace, same))
    if row.desk.id in facts.left:
        loop = _step(
            rule,
            "residence-transfer",
            f"{row.desk.name}は一度引き継いだ窓口のため、自動では候補にしません",
            f"{row.desk.name} already passed this case on: a person decides",
        )
        return replace(first, missing=("human-choice",), trace=(*trace, loop))
    step = Step(
        "residence-transfer",
        f"居住地を管轄する{row.desk.name}へ引き継ぎます"
        + ("" if row.is_certain else "（確度Cのため、受けた窓口が確かめてから）"),
        f"to be passed on to {row.desk.name}, which answers for the residence"
        + ("" if row.is_certain else " (confidence C: the first desk confirms)"),
        row=row.id,
        version=rule.version or None,
        confidence=row.confidence,
    )
    return replace(
        first,
        onward=row.desk,
        unconfirmed=first.unconfirmed + (() if row.is_certain else ("onward",)),
        trace=(*trace, step),
    )


def _step(rule: Rule, name: str, ja: str, en: str) -> Step:
    return Step(name, ja, en, version=rule.version or None)
