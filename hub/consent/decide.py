"""The consent decision: facts in, a Permit or the reasons of refusal out. Pure.

Implicit policy is deny (IHE PCF): only an active Consent, given by someone the
programme accepts, for contact and support, in its period, for this recipient,
permits. An active refusal by the person, a consent the person withdrew, and one that
cannot be understood override a family's consent (D-02, security.md G10); that the
person was asked and did not agree does not (KG-03). Whoever in the family refuses
takes the family's consent back, not the person's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hub.consent.read import ConsentFacts
from hub.disclosure.classes import DataClass
from hub.disclosure.grants import Permit
from hub.fhir.dates import JST
from hub.fhir.outcome import Issue, issue
from hub.programmes.programme import ConsentRule

# Purposes that contact and support fall under (v3-ActReason); 様式2 item 6.
SUPPORT_PURPOSES = frozenset({"TREAT", "ETREAT", "CAREMGT", "COC", "PATRQT"})
# What somebody said when asked; the others were never said, or by mistake.
_ANSWERS = frozenset({"active", "inactive", "rejected"})
_INERT = frozenset({"draft", "proposed", "rejected", "inactive", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class Question:
    """May this recipient have these classes of data about this patient, now?

    `recipient` and `desk` are an Organization and a HealthcareService reference,
    None at gate A before routing. `wording_version` is the consent wording the
    source is registered with (D-11). `onward` is true when the
    case moves to the desk of the place of residence (gate C, KG-14).
    """

    patient: str
    at: datetime
    recipient: str | None = None
    desk: str | None = None
    classes: DataClass = DataClass.STATUS
    wording_version: str | None = None
    onward: bool = False


def decide(
    consents: Sequence[ConsentFacts], rule: ConsentRule, question: Question
) -> Permit | list[Issue]:
    """Permit with its basis, or every reason why not."""
    live = [c for c in consents if c.status not in _INERT]
    if overriding := _overriding(consents, live, question):
        return [overriding]
    judged = [(c, _refusals(c, rule, question)) for c in live]
    good = [c for c, reasons in judged if not reasons]
    if any(c.effect != "permit" and c.giver == "family" for c in live):
        good = [c for c in good if c.giver == "person"]
    good, contradictions = _last_word(consents, good, rule, question)
    if not good:
        return (
            contradictions
            or [r for _, reasons in judged for r in reasons]
            or [issue("HUB-CON-002", "Consent.status")]
        )
    if doubt := _doubt(consents, good, rule, question):
        return [doubt]
    # The person's own consent is the stronger basis when both are there.
    chosen = min(good, key=lambda c: (c.giver != "person", c.reference))
    counted = [c for c in good if rule.rule == "both" or c.giver == chosen.giver]
    return _permit(chosen, _first_end(counted), rule, question)


def _last_word(
    consents: Sequence[ConsentFacts],
    good: list[ConsentFacts],
    rule: ConsentRule,
    question: Question,
) -> tuple[list[ConsentFacts], list[Issue]]:
    """Of each giver the consents of the last day on which this was asked.

    What has no date is older than all that has one: so it never lengthens another.
    Of two of one day, one of them run out, nobody knows which holds (G10).
    """
    kept: list[ConsentFacts] = []
    found: list[Issue] = []
    for giver in ("person", "family"):
        asked = [
            c for c in consents if c.giver == giver and _concerns(c, rule, question)
        ]
        last = max((_day(c) for c in asked), default=date.min)
        newest = [c for c in good if c.giver == giver and _day(c) == last]
        if newest and any(_ran_out(c, question) and _day(c) == last for c in asked):
            found.append(issue("HUB-CON-030", "Consent.dateTime"))
            continue
        kept += newest
    return kept, found


def _concerns(consent: ConsentFacts, rule: ConsentRule, question: Question) -> bool:
    """True when it answers this question, be the answer no longer valid."""
    return (
        consent.status in _ANSWERS
        and consent.patient == question.patient
        and consent.giver in rule.givers
        and consent.has_relationship
        and _is_given(consent, question.at)
        and not _has_other_purpose(consent)
        and not _recipient_refusals(consent, rule, question)
    )


def _ran_out(consent: ConsentFacts, question: Question) -> bool:
    return (
        consent.status == "active"
        and consent.ends is not None
        and consent.ends <= question.at
    )


def _day(consent: ConsentFacts) -> date:
    return consent.given_on or date.min


def _overriding(
    consents: Sequence[ConsentFacts], live: list[ConsentFacts], question: Question
) -> Issue | None:
    """What denies whatever else was agreed."""
    if not consents:
        return issue("HUB-CON-001", "Bundle")
    if any(c.patient != question.patient for c in live):
        return issue("HUB-CON-013", "Consent.patient")
    if any(c.effect == "deny" and c.giver != "family" for c in live):
        return issue("HUB-CON-006", "Consent.provision.type")
    if any(c.effect == "unknown" and c.giver != "family" for c in live):
        return issue("HUB-CON-014", "Consent.provision")
    return None


def _doubt(
    consents: Sequence[ConsentFacts],
    good: list[ConsentFacts],
    rule: ConsentRule,
    question: Question,
) -> Issue | None:
    """Why the good consents do not suffice together."""
    givers = {c.giver for c in good}
    if "person" not in givers and _person_withdrew(consents, question):
        return issue("HUB-CON-015", "Consent.status")
    if rule.rule == "both" and givers != {"person", "family"}:
        return issue("HUB-CON-010", "Consent.performer")
    return None


def _person_withdrew(consents: Sequence[ConsentFacts], question: Question) -> bool:
    """Withdrew what was agreed, or said no on a later day than yes."""
    own = [c for c in consents if c.giver == "person" and c.patient == question.patient]
    first_yes = min((_day(c) for c in own if c.status == "active"), default=date.max)
    return any(
        c.status == "inactive" or (c.status == "rejected" and _day(c) > first_yes)
        for c in own
    )


def _first_end(consents: Sequence[ConsentFacts]) -> datetime | None:
    return min((c.ends for c in consents if c.ends is not None), default=None)


def _refusals(
    consent: ConsentFacts, rule: ConsentRule, question: Question
) -> list[Issue]:
    found: list[Issue] = []
    if consent.status != "active" or consent.effect != "permit":
        found.append(issue("HUB-CON-002", "Consent.provision.type"))
    if consent.giver is None:
        found.append(issue("HUB-CON-003", "Consent.performer"))
    elif consent.giver not in rule.givers:
        found.append(issue("HUB-CON-011", "Consent.performer"))
    elif not consent.has_relationship:
        found.append(issue("HUB-CON-004", "RelatedPerson.relationship"))
    if not _in_period(consent, question.at):
        found.append(issue("HUB-CON-005", "Consent.provision.period"))
    if _has_other_purpose(consent):
        found.append(issue("HUB-CON-009", "Consent.provision.purpose"))
    return [*found, *_recipient_refusals(consent, rule, question)]


def _has_other_purpose(consent: ConsentFacts) -> bool:
    """KG-15: contact and support, and nothing else, is what may be agreed here."""
    other = bool(consent.purposes) and not consent.purposes & SUPPORT_PURPOSES
    return other or not consent.is_for_support


def _recipient_refusals(
    consent: ConsentFacts, rule: ConsentRule, question: Question
) -> list[Issue]:
    if question.recipient is None:
        return []
    named = {question.recipient, question.desk}
    if consent.recipients and not consent.recipients & named and not question.onward:
        return [issue("HUB-CON-007", "Consent.provision.actor")]
    if question.onward and not rule.covers_transfer(
        _explained(consent, rule, question)
    ):
        item = rule.transfer_item
        return [issue("HUB-CON-008", "Consent.extension", item=item)]
    return []


def _explained(
    consent: ConsentFacts, rule: ConsentRule, question: Question
) -> frozenset[int]:
    """Items the Consent lists, else those of its wording, else of the source's."""
    if consent.explanations is not None:
        return consent.explanations
    if consent.wording_version is not None:
        return rule.items(consent.wording_version)
    return rule.items(question.wording_version)


def _in_period(consent: ConsentFacts, at: datetime) -> bool:
    return _is_given(consent, at) and (consent.ends is None or at < consent.ends)


def _is_given(consent: ConsentFacts, at: datetime) -> bool:
    """True when it was given by then, and has begun."""
    is_given = consent.given_on is None or consent.given_on <= at.astimezone(JST).date()
    return is_given and (consent.starts is None or consent.starts <= at)


def _permit(
    consent: ConsentFacts,
    ends: datetime | None,
    rule: ConsentRule,
    question: Question,
) -> Permit:
    onward = question.onward and rule.transfer_item is not None
    clause = f"item {rule.transfer_item}" if onward else rule.recipients.code
    return Permit(
        basis=rule.basis[consent.giver or "family"],
        recipient=(question.recipient or "").removeprefix("Organization/"),
        classes=question.classes,
        consent=consent.reference,
        clause=clause,
        ends=ends,
    )
