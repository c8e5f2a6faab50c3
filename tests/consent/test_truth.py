"""The consent decision against an independent model: every kind, in all mixtures."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.consent.decide import Question, decide
from hub.consent.read import ConsentFacts
from hub.disclosure.classes import WHOLE
from hub.disclosure.grants import Permit
from hub.fhir.dates import JST
from hub.programmes.programme import ConsentRule
from tests.consent.test_decide import PROGRAMMES

AT = datetime(2026, 4, 1, 9, tzinfo=JST)
TODAY = date(2026, 4, 1)
HOUR = timedelta(hours=1)
SUPPORT = {"TREAT", "ETREAT", "CAREMGT", "COC", "PATRQT"}
PURPOSES = (
    (), ("COC",), ("TREAT", "HRESCH"), ("HRESCH",), ("HMARKT",), ("HPAYMT",),
    ("ETREAT",), ("PATRQT",), ("CAREMGT",), ("",), ("FRAUD", "SAFETY"),
)  # fmt: skip
NEAR, FAR = "Organization/near", "Organization/far"
KAGOSHIMA, LIFELINK = PROGRAMMES["kagoshima"].consent, PROGRAMMES["lifelink"].consent


def consents() -> st.SearchStrategy[ConsentFacts]:
    moments = st.sampled_from([None, AT - HOUR, AT, AT + HOUR])
    return st.builds(
        ConsentFacts,
        reference=st.uuids(version=4).map(lambda one: f"Consent/{one}"),
        status=st.sampled_from(
            [
                *["active"] * 4,
                "inactive",
                "rejected",
                "draft",
                "proposed",
                "entered-in-error",
                "",
            ]
        ),
        patient=st.sampled_from([*["Patient/p"] * 9, "Patient/q"]),
        giver=st.sampled_from([*["person", "family"] * 4, None]),
        has_relationship=st.sampled_from([True, True, True, False]),
        effect=st.sampled_from([*["permit"] * 5, "deny", "unknown"]),
        starts=moments,
        ends=moments,
        purposes=st.sampled_from(PURPOSES).map(frozenset),
        recipients=st.sampled_from([(), (), (NEAR,), (FAR,), ("?",)]).map(frozenset),
        explanations=st.sampled_from([None, frozenset({7}), frozenset({1})]),
        wording_version=st.sampled_from([None, "2019-03", "unknown"]),
        is_for_support=st.sampled_from([True, True, True, False]),
        given_on=st.sampled_from(
            [None, *(TODAY + timedelta(days=n) for n in (-2, -1, 0, 1))]
        ),
    )


QUESTIONS = st.builds(
    Question,
    patient=st.just("Patient/p"),
    at=st.just(AT),
    recipient=st.sampled_from([NEAR, NEAR, None]),
    desk=st.just("HealthcareService/near"),
    classes=st.just(WHOLE),
    wording_version=st.sampled_from([None, "2019-03"]),
    onward=st.booleans(),
)
RULES = st.sampled_from([KAGOSHIMA, LIFELINK])


@dataclass
class Model:
    """The rules of workflow.md §5 and security.md G10, read plainly and anew."""

    given_: list[ConsentFacts]
    rule: ConsentRule
    question: Question

    def reaches(self, one: ConsentFacts) -> bool:
        """It names this recipient, or the class; a transfer needs its clause."""
        if self.question.recipient is None:
            return True
        if self.question.onward:
            item = self.rule.transfer_item
            if item is None:
                return True
            explained = one.explanations
            if explained is None:
                version = one.wording_version or self.question.wording_version
                explained = self.rule.items(version)
            return item in explained
        asked = {self.question.recipient, self.question.desk}
        return not one.recipients or bool(one.recipients & asked)

    def speaks(self, one: ConsentFacts) -> bool:
        return all(
            (
                one.status in ("active", "inactive", "rejected"),
                one.patient == "Patient/p",
                one.has_relationship,
                one.is_for_support,
                not one.purposes or bool(one.purposes & SUPPORT),
                one.starts is None or one.starts <= AT,
                one.given_on is None or one.given_on <= TODAY,
                self.reaches(one),
            )
        )

    def by(self, giver: str) -> list[ConsentFacts]:
        """The consents of a giver that count: those of the last day, if all agree."""
        said = [c for c in self.given_ if c.giver == giver and self.speaks(c)]
        said.sort(key=lambda c: c.given_on or date.min)
        if giver not in self.rule.givers or not said:
            return []
        last = [c for c in said if c.given_on == said[-1].given_on]
        over = [c for c in last if c.status == "active" and c.ends and c.ends <= AT]
        if over:
            return []
        return [c for c in last if c.status == "active" and c.effect == "permit"]

    def is_overridden(self) -> bool:
        inert = ("draft", "proposed", "rejected", "inactive", "entered-in-error")
        live = [c for c in self.given_ if c.status not in inert]
        return any(
            c.patient != "Patient/p" or (c.giver != "family" and c.effect != "permit")
            for c in live
        )

    def family_refuses(self) -> bool:
        inert = ("draft", "proposed", "rejected", "inactive", "entered-in-error")
        return any(
            c.giver == "family" and c.effect != "permit" and c.status not in inert
            for c in self.given_
        )

    def person_took_back(self) -> bool:
        own = [
            c for c in self.given_ if (c.giver, c.patient) == ("person", "Patient/p")
        ]
        yes = [c.given_on or date.min for c in own if c.status == "active"]
        no = [c.given_on or date.min for c in own if c.status == "rejected"]
        later_no = bool(yes and no and max(no) > min(yes))
        return later_no or any(c.status == "inactive" for c in own)

    def answer(self) -> tuple[str, datetime | None] | None:
        """(giver, end) of the permit; None = deny."""
        if not self.given_ or self.is_overridden():
            return None
        person = self.by("person")
        family = [] if self.family_refuses() else self.by("family")
        if not person and (not family or self.person_took_back()):
            return None
        if self.rule.rule == "both" and not (person and family):
            return None
        counted = [*person, *family] if self.rule.rule == "both" else person or family
        ends = min((c.ends for c in counted if c.ends), default=None)
        return ("person" if person else "family"), ends


@settings(max_examples=400)
@given(st.lists(consents(), max_size=4), RULES, st.booleans(), QUESTIONS)
def test_the_decision_is_the_model(given_, rule, both, question):
    asked = replace(rule, rule="both") if both and len(rule.givers) > 1 else rule
    decided = decide(given_, asked, question)
    expected = Model(given_, asked, question).answer()
    if expected is None:
        assert isinstance(decided, list)
        assert decided, "a denial has a reason"
        return
    giver, ends = expected
    assert isinstance(decided, Permit), decided
    assert (decided.basis, decided.ends) == (asked.basis[giver], ends)
    chosen = next(c for c in given_ if c.reference == decided.consent)
    assert (chosen.giver, chosen.status) == (giver, "active")


@given(st.lists(consents(), max_size=4), RULES, QUESTIONS, st.randoms())
def test_the_order_in_which_consents_are_read_changes_nothing(
    given_, rule, question, random
):
    shuffled = list(given_)
    random.shuffle(shuffled)
    one, other = decide(given_, rule, question), decide(shuffled, rule, question)
    if isinstance(one, Permit):
        assert one == other
    else:
        assert isinstance(other, list)


@given(st.lists(consents(), min_size=1, max_size=4), RULES, QUESTIONS)
def test_KG_15_no_purpose_but_contact_and_support_ever_permits(given_, rule, question):
    for purposes in PURPOSES:
        if purposes and not {*purposes} & SUPPORT:
            other = [replace(c, purposes=frozenset(purposes)) for c in given_]
            assert isinstance(decide(other, rule, question), list)


@given(st.lists(consents(), min_size=1, max_size=4), RULES, QUESTIONS, st.data())
def test_time_alone_never_turns_a_denial_for_its_end_into_a_permit(
    given_, rule, question, data
):
    """Nothing that ended comes back without a new word: C-checks rest on it."""
    dated = [replace(c, starts=None, given_on=TODAY) for c in given_]
    later = replace(question, at=AT + data.draw(st.integers(1, 90)) * HOUR)
    now, then = decide(dated, rule, question), decide(dated, rule, later)
    if isinstance(then, Permit):
        assert isinstance(now, Permit)
