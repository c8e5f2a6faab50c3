"""The decision as a pure function: examples of each rule, then properties."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from hub.routing import (
    Agreement,
    Decision,
    Desk,
    Facts,
    Row,
    Rule,
    Section,
    Source,
    decide,
)

ON = date(2026, 4, 1)
NEAR = Desk("near", "架空保健所", "near")
FAR = Desk("far", "見本保健所", "far")
RULE = Rule(
    "source-jurisdiction",
    then="residence-transfer",
    out_of_prefecture="nearest-on-request",
    version="test",
)
HOSPITAL = Source("4619999917", "架空総合病院", "emergency-hospital", "99201")
ROWS = (
    Row("near-row", "99201", NEAR, confidence="A", version="7"),
    Row("far-row", "99202", FAR, confidence="B", version="7"),
)
FACTS = Facts(on=ON, source=HOSPITAL, municipality="99202", rows=ROWS)


def test_KG_11_a_resident_of_another_district_is_received_near_and_passed_on():
    decision = decide(RULE, FACTS)
    assert (decision.initial, decision.onward) == (NEAR, FAR)
    assert {(s.row, s.version, s.confidence) for s in decision.trace} >= {
        ("near-row", "7", "A"),
        ("far-row", "7", "B"),
    }


def test_KG_11_a_resident_of_the_same_district_is_not_passed_on():
    decision = decide(RULE, replace(FACTS, municipality="99201"))
    assert (decision.initial, decision.onward) == (NEAR, None)


def test_KG_12_without_a_wish_a_resident_of_another_prefecture_is_advised_only():
    decision = decide(RULE, replace(FACTS, municipality="98201"))
    assert decision.advise
    assert decision.initial is decision.onward is None


def test_KG_12_with_the_wish_the_source_centre_receives_and_passes_nothing_on():
    facts = replace(FACTS, municipality="98201", wishes_nearest=True)
    decision = decide(RULE, facts)
    assert (decision.initial, decision.onward, decision.advise) == (NEAR, None, False)


def test_KG_12_a_rule_that_only_advises_does_not_hear_the_wish():
    rule = replace(RULE, out_of_prefecture="advise")
    facts = replace(FACTS, municipality="98201", wishes_nearest=True)
    assert decide(rule, facts).advise


def test_KG_12_a_known_prefecture_is_enough_to_be_outside():
    assert decide(RULE, replace(FACTS, municipality=None, prefecture="98")).advise


def test_an_unknown_address_goes_to_the_source_centre_with_its_candidates():
    facts = replace(FACTS, municipality=None, candidates=("99201", "99202"))
    decision = decide(RULE, facts)
    assert decision.initial == NEAR
    assert decision.business_status == "address-unknown"
    assert decision.candidates == ("99201", "99202")
    assert decision.missing == ("municipality",)


def test_D_21_an_unconfirmed_row_is_shown_and_waits_for_a_person():
    rows = (ROWS[0], replace(ROWS[1], confidence="C"))
    decision = decide(RULE, replace(FACTS, rows=rows))
    assert decision.onward == FAR
    assert decision.needs_confirmation
    confirmed = (ROWS[0], replace(rows[1], confirmed=True))
    assert not decide(RULE, replace(FACTS, rows=confirmed)).needs_confirmation


def test_D_21_an_unconfirmed_row_of_the_source_is_marked_too():
    rows = (replace(ROWS[0], confidence="C"), ROWS[1])
    assert decide(RULE, replace(FACTS, rows=rows)).unconfirmed == ("initial",)


def test_delegated_work_goes_before_the_statutory_district():
    working = Row("working", "99202", NEAR, relation="delegated", confidence="A")
    facts = replace(FACTS, rows=(*ROWS, working))
    decision = decide(RULE, facts)
    assert decision.onward is None
    assert "far-row" in {s.row for s in decision.trace}


def test_rows_count_from_their_first_to_their_last_day():
    old = replace(ROWS[1], valid_to=date(2026, 3, 31))
    new = Row("new", "99202", NEAR, confidence="A", valid_from=date(2026, 4, 1))
    facts = replace(FACTS, rows=(ROWS[0], old, new))
    assert decide(RULE, facts).onward is None
    assert decide(RULE, replace(facts, on=date(2026, 3, 31))).onward == FAR


def test_a_row_for_a_neighbourhood_holds_only_where_the_address_names_it():
    island = replace(ROWS[1], id="island", desk=NEAR, neighbourhoods=("離島",))
    facts = replace(FACTS, rows=(*ROWS, island))
    assert decide(RULE, replace(facts, locality="離島1")).onward is None
    assert decide(RULE, facts).onward == FAR


def test_a_desk_that_passed_the_case_on_is_not_proposed_again():
    decision = decide(RULE, replace(FACTS, left=frozenset({"far"})))
    assert decision.onward is None
    assert decision.missing == ("human-choice",)


def test_a_source_nobody_answers_for_names_what_is_missing():
    assert decide(RULE, replace(FACTS, rows=())).missing == ("source-jurisdiction",)
    nowhere = replace(FACTS, source=replace(HOSPITAL, municipality=None))
    assert decide(RULE, nowhere).missing == ("source-municipality",)


AGREED = Rule("residence-with-agreement", prefecture_fallback=True)
OWN = Agreement("own", HOSPITAL.code, "municipality", "99202", FAR, active=True)
WIDE = Agreement("wide", HOSPITAL.code, "prefecture", "99", NEAR, active=True)


def test_D_16_the_municipality_agreement_wins_over_the_prefecture_one():
    decision = decide(AGREED, replace(FACTS, agreements=(WIDE, OWN)))
    assert decision.initial == FAR


def test_LL_01_an_expired_agreement_falls_back_to_the_prefecture():
    expired = replace(OWN, valid_to=date(2026, 3, 31))
    facts = replace(FACTS, agreements=(expired, WIDE))
    assert decide(AGREED, facts).initial == NEAR
    alone = replace(AGREED, prefecture_fallback=False)
    assert decide(alone, facts).missing == ("agreement",)


def test_LL_04_no_active_agreement_of_this_provider_means_no_hand_over():
    for agreement in (
        replace(OWN, active=False),
        replace(OWN, provider="other"),
        replace(OWN, area="99203"),
    ):
        decision = decide(AGREED, replace(FACTS, agreements=(agreement,)))
        assert decision.initial is None
        assert decision.missing == ("agreement",)


def test_LL_04_an_unknown_residence_is_asked_for():
    decision = decide(AGREED, replace(FACTS, municipality=None, agreements=(OWN,)))
    assert decision.missing == ("municipality",)
    assert decision.business_status == "address-unknown"


def test_NG_08_child_centred_cases_have_their_own_section():
    rule = Rule(
        "section-by-topic", sections=(Section("near", child_focus=True), Section("far"))
    )
    facts = replace(FACTS, desks={"near": NEAR, "far": FAR})
    assert decide(rule, replace(facts, child_focus=True)).initial == NEAR
    assert decide(rule, facts).initial == FAR
    assert decide(replace(rule, sections=()), facts).missing == ("section",)


def test_HM_04_a_district_desk_is_followed_by_the_layers_above():
    rule = Rule("district-desk", districts={"第一": "near"}, layers=("far",))
    facts = replace(FACTS, desks={"near": NEAR, "far": FAR}, district="第一")
    assert decide(rule, facts).initial == NEAR
    assert decide(rule, replace(facts, held_by="near")).initial == FAR
    assert decide(rule, replace(facts, held_by="far")).missing == ("next-layer",)
    assert decide(rule, replace(facts, district=None)).missing == ("district",)


codes = st.sampled_from(["99201", "99202", "99203", "98201", "", "x"])
days = st.none() | st.dates(date(2025, 1, 1), date(2027, 1, 1))
desks = st.sampled_from([NEAR, FAR, Desk("third", "第三保健所", "third")])
rows = st.builds(
    Row,
    id=st.text(max_size=3),
    municipality=codes,
    desk=desks,
    relation=st.sampled_from(["statutory", "delegated"]),
    confidence=st.sampled_from(["A", "B", "C"]),
    valid_from=days,
    valid_to=days,
    neighbourhoods=st.lists(st.sampled_from(["離島", "本島"]), max_size=1).map(tuple),
    confirmed=st.booleans(),
)
pacts = st.builds(
    Agreement,
    id=st.text(max_size=3),
    provider=st.sampled_from([HOSPITAL.code, "other"]),
    level=st.sampled_from(["municipality", "prefecture"]),
    area=codes | st.just("99"),
    desk=desks,
    active=st.booleans(),
    valid_from=days,
    valid_to=days,
)
facts = st.builds(
    Facts,
    on=st.dates(date(2025, 1, 1), date(2027, 1, 1)),
    source=st.builds(
        Source, code=st.just(HOSPITAL.code), municipality=st.none() | codes
    ),
    municipality=st.none() | codes,
    prefecture=st.none() | st.sampled_from(["99", "98"]),
    candidates=st.lists(codes, max_size=3).map(tuple),
    locality=st.sampled_from(["", "離島", "本島2"]),
    wishes_nearest=st.booleans(),
    rows=st.lists(rows, max_size=5).map(tuple),
    agreements=st.lists(pacts, max_size=4).map(tuple),
    desks=st.dictionaries(st.sampled_from(["near", "far"]), desks, max_size=2),
    topics=st.frozensets(st.sampled_from(["t1", "t2"])),
    child_focus=st.booleans(),
    district=st.none() | st.just("第一"),
    held_by=st.none() | st.sampled_from(["near", "far"]),
    left=st.frozensets(st.sampled_from(["near", "far"])),
)
rules = st.builds(
    Rule,
    kind=st.sampled_from(
        [
            "source-jurisdiction",
            "residence-with-agreement",
            "section-by-topic",
            "district-desk",
        ]
    ),
    then=st.sampled_from([None, "residence-transfer"]),
    out_of_prefecture=st.sampled_from(["accept", "advise", "nearest-on-request"]),
    prefecture_fallback=st.booleans(),
    sections=st.lists(
        st.builds(Section, st.sampled_from(["near", "far"]), topic=st.just("t1")),
        max_size=2,
    ).map(tuple),
    districts=st.just({"第一": "near"}),
    layers=st.just(("far",)),
)


@given(rules, facts)
def test_a_decision_always_explains_itself_and_never_raises(rule, known):
    decision = decide(rule, known)
    assert decision.trace
    assert all(step.ja and step.en for step in decision.trace)
    assert decision.initial or decision.advise or decision.missing


@given(rules, facts)
def test_D_21_nothing_rests_unmarked_on_an_unconfirmed_row(rule, known):
    decision = decide(rule, known)
    for part, desk in (("initial", decision.initial), ("onward", decision.onward)):
        if desk is None or rule.kind != "source-jurisdiction":
            continue
        certain = [r for r in known.rows if r.desk == desk and r.is_certain]
        assert certain or part in decision.unconfirmed


@given(rules, facts)
def test_the_same_facts_in_another_order_decide_the_same(rule, known):
    turned = replace(known, rows=known.rows[::-1], agreements=known.agreements[::-1])
    first, second = decide(rule, known), decide(rule, turned)
    if len({r.id for r in known.rows}) == len(known.rows) and len(
        {a.id for a in known.agreements}
    ) == len(known.agreements):
        assert (first.initial, first.onward) == (second.initial, second.onward)


@given(facts)
def test_KG_12_nothing_is_sent_about_someone_outside_who_did_not_wish_it(known):
    decision = decide(RULE, replace(known, wishes_nearest=False))
    residence = (known.municipality or known.prefecture or "")[:2]
    home = (known.source.municipality or "")[:2]
    if residence and home and residence != home:
        assert decision == Decision(advise=True, trace=decision.trace)
