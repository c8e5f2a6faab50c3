"""The decision: permit or every reason why not, and it never widens (G8, G10)."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.consent.decide import Question, decide
from hub.consent.read import ConsentFacts
from hub.disclosure.classes import WHOLE
from hub.disclosure.grants import Permit
from hub.fhir.dates import JST
from hub.programmes import load

PROFILES = Path(__file__).resolve().parents[2] / "profiles" / "programmes"
PROGRAMMES = load(PROFILES)
RULE = PROGRAMMES["kagoshima"].consent
AT = datetime(2026, 4, 1, 9, tzinfo=JST)
SOON, LONG_AGO = AT + timedelta(days=30), AT - timedelta(days=30)
ASKED = Question(
    patient="Patient/p",
    at=AT,
    recipient="Organization/near",
    desk="HealthcareService/near",
    classes=WHOLE,
    wording_version="2019-03",
)
PERSON = ConsentFacts(
    reference="Consent/person",
    status="active",
    patient="Patient/p",
    giver="person",
    has_relationship=True,
    effect="permit",
    starts=None,
    ends=None,
    purposes=frozenset({"COC"}),
    recipients=frozenset(),
    explanations=None,
    wording_version=None,
)
FAMILY = replace(PERSON, reference="Consent/family", giver="family")


def permit(consents, rule=RULE, asked=ASKED):
    decision = decide(consents, rule, asked)
    assert isinstance(decision, Permit)
    return decision


def ids(decision):
    return [i.id for i in decision] if isinstance(decision, list) else decision


def test_the_persons_consent_is_the_basis_before_the_familys():
    decision = decide([FAMILY, PERSON], RULE, ASKED)
    assert decision == Permit(
        basis="consent-person",
        recipient="near",
        classes=WHOLE,
        consent="Consent/person",
        clause="health-centre",
    )
    assert permit([FAMILY]).basis == "consent-family"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"status": "draft"}, "HUB-CON-002"),
        ({"status": "rejected"}, "HUB-CON-002"),
        ({"status": "entered-in-error"}, "HUB-CON-002"),
        ({"status": ""}, "HUB-CON-002"),
        ({"effect": "unknown"}, "HUB-CON-014"),
        ({"effect": "deny"}, "HUB-CON-006"),
        ({"giver": None}, "HUB-CON-003"),
        ({"starts": SOON}, "HUB-CON-005"),
        ({"ends": LONG_AGO}, "HUB-CON-005"),
        ({"ends": AT}, "HUB-CON-005"),
        ({"purposes": frozenset({"HRESCH"})}, "HUB-CON-009"),
        ({"purposes": frozenset({""})}, "HUB-CON-009"),
        ({"recipients": frozenset({"Organization/far"})}, "HUB-CON-007"),
        ({"recipients": frozenset({"?"})}, "HUB-CON-007"),
        ({"patient": "Patient/other"}, "HUB-CON-013"),
        ({"has_relationship": False}, "HUB-CON-004"),
    ],
)
def test_each_fault_denies_and_is_named(change, found):
    assert ids(decide([replace(PERSON, **change)], RULE, ASKED)) == [found]


def test_KG_04_without_any_consent():
    assert ids(decide([], RULE, ASKED)) == ["HUB-CON-001"]


def test_every_reason_is_reported():
    bad = replace(PERSON, ends=LONG_AGO, purposes=frozenset({"HRESCH"}))
    assert ids(decide([bad], RULE, ASKED)) == ["HUB-CON-005", "HUB-CON-009"]


def test_the_desk_or_its_organisation_may_be_named():
    for named in ("Organization/near", "HealthcareService/near"):
        consent = replace(PERSON, recipients=frozenset({named, "Organization/x"}))
        assert isinstance(decide([consent], RULE, ASKED), Permit)


def test_KG_03_a_person_who_did_not_agree_leaves_it_to_the_family():
    asked = replace(PERSON, status="rejected")
    assert permit([asked, FAMILY]).basis == "consent-family"


def test_D_02_the_person_overrides_the_family():
    for person in (
        replace(PERSON, effect="deny"),
        replace(PERSON, effect="unknown"),
        replace(PERSON, status="inactive"),
    ):
        assert isinstance(decide([person, FAMILY], RULE, ASKED), list)
    replaced = replace(PERSON, status="inactive")
    assert isinstance(decide([replaced, PERSON, FAMILY], RULE, ASKED), Permit)


def test_G10_a_refusal_in_the_family_takes_back_the_familys_consent_alone():
    refusing = replace(FAMILY, effect="deny")
    assert isinstance(decide([FAMILY, refusing], RULE, ASKED), list)
    assert permit([PERSON, FAMILY, refusing]).basis == "consent-person"


def test_a_refusal_by_nobody_known_denies():
    refusing = replace(PERSON, effect="deny", giver=None)
    assert ids(decide([PERSON, refusing], RULE, ASKED)) == ["HUB-CON-006"]


def test_D_01_the_setting_both_needs_both_and_ends_with_the_first():
    both = replace(RULE, rule="both")
    for one in (PERSON, FAMILY):
        assert ids(decide([one], both, ASKED)) == ["HUB-CON-010"]
    ending = replace(FAMILY, ends=SOON)
    decision = permit([PERSON, ending], both)
    assert (decision.consent, decision.ends) == ("Consent/person", SOON)


def test_LL_04_only_the_persons_own_consent_counts_where_the_programme_says_so():
    rule = PROGRAMMES["lifelink"].consent
    assert ids(decide([FAMILY], rule, ASKED)) == ["HUB-CON-011"]
    assert isinstance(decide([PERSON], rule, ASKED), Permit)


ONWARD = replace(
    ASKED, recipient="Organization/far", desk="HealthcareService/far", onward=True
)


def test_KG_14_a_transfer_needs_explanation_item_7():
    assert permit([PERSON], asked=ONWARD).clause == "item 7"
    listed = replace(PERSON, explanations=frozenset({1, 2, 3}))
    assert ids(decide([listed], RULE, ONWARD)) == ["HUB-CON-008"]
    worded = replace(PERSON, wording_version="unknown")
    assert ids(decide([worded], RULE, ONWARD)) == ["HUB-CON-008"]
    unregistered = replace(ONWARD, wording_version=None)
    assert ids(decide([PERSON], RULE, unregistered)) == ["HUB-CON-008"]


CONSENTS = st.builds(
    replace,
    st.sampled_from([PERSON, FAMILY]),
    status=st.sampled_from(["active", "active", "inactive", "rejected", "draft"]),
    giver=st.sampled_from(["person", "family", None]),
    effect=st.sampled_from(["permit", "permit", "deny", "unknown"]),
    has_relationship=st.booleans(),
    starts=st.sampled_from([None, LONG_AGO, SOON]),
    ends=st.sampled_from([None, LONG_AGO, SOON]),
    purposes=st.sampled_from([frozenset(), frozenset({"COC"}), frozenset({"HRESCH"})]),
    recipients=st.sampled_from(
        [frozenset(), frozenset({"Organization/near"}), frozenset({"Organization/x"})]
    ),
    explanations=st.sampled_from([None, frozenset({7}), frozenset({1})]),
)
QUESTIONS = st.sampled_from([ASKED, ONWARD, replace(ASKED, recipient=None, desk=None)])
RULES = st.sampled_from(
    [RULE, replace(RULE, rule="both"), PROGRAMMES["lifelink"].consent]
)


def narrowed(consent, how):
    """The same consent with one provision narrowed."""
    return {
        "ended": replace(consent, ends=LONG_AGO),
        "not begun": replace(consent, starts=SOON),
        "shorter": replace(consent, ends=min(consent.ends or SOON, SOON)),
        "another recipient": replace(
            consent,
            recipients=consent.recipients & {"Organization/y"} or frozenset({"?"}),
        ),
        "another purpose": replace(consent, purposes=frozenset({"HRESCH"})),
        "nothing explained": replace(consent, explanations=frozenset()),
        "not understood": replace(consent, effect="unknown"),
        "refused": replace(consent, effect="deny"),
    }[how]


@given(
    st.lists(CONSENTS.filter(lambda c: c.effect == "permit"), min_size=1, max_size=3),
    RULES,
    QUESTIONS,
    st.data(),
)
def test_G8_a_decision_never_widens_when_a_provision_is_narrowed(
    consents, rule, question, data
):
    before = decide(consents, rule, question)
    index = data.draw(st.integers(0, len(consents) - 1))
    how = data.draw(
        st.sampled_from(
            ["ended", "not begun", "shorter", "another recipient", "another purpose",
             "nothing explained", "not understood", "refused"]
        )
    )  # fmt: skip
    after = decide(
        [narrowed(c, how) if n == index else c for n, c in enumerate(consents)],
        rule,
        question,
    )
    if isinstance(after, Permit):
        assert isinstance(before, Permit)
        assert after.classes == before.classes


@given(st.lists(CONSENTS, max_size=3), CONSENTS, RULES, QUESTIONS)
def test_G8_a_refusal_of_the_person_never_adds_a_permit(
    consents, consent, rule, question
):
    refusing = replace(consent, effect="deny", status="active", giver="person")
    assert isinstance(decide([*consents, refusing], rule, question), list)


@given(st.lists(CONSENTS, max_size=3), RULES, QUESTIONS)
def test_a_permit_rests_on_an_active_consent_of_this_person_now(
    consents, rule, question
):
    decision = decide(consents, rule, question)
    if isinstance(decision, Permit):
        assert any(
            c.status == "active"
            and c.effect == "permit"
            and c.giver in rule.givers
            and (c.ends is None or c.ends > AT)
            for c in consents
        )
