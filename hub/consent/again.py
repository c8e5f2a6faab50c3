"""Consent asked again: whatever allows more than before says on which day. Pure.

An update without a new date is a correction, and a correction never widens; a second
Consent without one could not be told from an older one (decide: the last word).
"""

from collections.abc import Iterable
from datetime import date, datetime

from hub.consent.read import ConsentFacts
from hub.fhir.dates import JST
from hub.fhir.outcome import Issue, issue


def new_issues(new: ConsentFacts, known: Iterable[ConsentFacts]) -> list[Issue]:
    """Why a new Consent of a case is refused: a second yes needs its date."""
    permits = new.status == "active" and new.effect == "permit"
    answered = any(
        c.giver == new.giver and c.status in ("active", "inactive", "rejected")
        for c in known
    )
    if permits and answered and new.given_on is None:
        return [issue("HUB-CON-031", "Consent.dateTime")]
    return []


def change_issues(
    before: ConsentFacts, after: ConsentFacts, at: datetime
) -> list[Issue]:
    """Why a changed Consent is refused: it allows more, and no later day is given.

    On the day of the consent itself (in Japan) the sender still mends a slip.
    """
    if not _allows_more(before, after) or _is_later(before, after, at):
        return []
    return [issue("HUB-CON-031", "Consent.dateTime")]


def _allows_more(before: ConsentFacts, after: ConsentFacts) -> bool:
    if after.status != "active" or after.effect != "permit":
        return False
    if before.status != "active" or before.effect != "permit":
        return True
    if before.ends is None:
        return False
    return after.ends is None or after.ends > before.ends


def _is_later(before: ConsentFacts, after: ConsentFacts, at: datetime) -> bool:
    if after.given_on is None:
        return False
    today: date = at.astimezone(JST).date()
    return (
        before.given_on is None
        or after.given_on > before.given_on
        or (after.given_on == before.given_on == today)
    )
