"""What a form says about consent: who gives it, and whether that can be read.

Never guessed: empty, unreadable or contradicting itself is no consent (D-10, KG-04).
"""

from collections.abc import Iterable
from typing import Literal

from hub.fhir.answers import Answers, code_of, key_of, value_of
from hub.fhir.json import Resource
from hub.fhir.outcome import Issue, issue
from hub.questionnaires.enable import Node
from hub.questionnaires.form import PARTY, Form, mark, option

Party = Literal["person", "family"]
_PARTIES: tuple[Party, ...] = ("person", "family")


def given(form: Form, answers: Answers) -> frozenset[Party]:
    """Who consents, by the answers of the item with the role `consent`."""
    link = form.role("consent")
    if link is None:
        return frozenset()
    parties = _parties(form.items[link], answers.get(link, []))
    return frozenset() if parties is None else parties


def told(form: Form, answers: Answers) -> frozenset[Party]:
    """To whom the programme was explained, as far as it is stated."""
    link = form.role("explained")
    if link is None:
        return frozenset()
    return _parties(form.items[link], answers.get(link, [])) or frozenset()


def _parties(item: Resource, answers: Iterable[Resource]) -> frozenset[Party] | None:
    """None when an answer cannot be read or contradicts another."""
    named: set[str] = set()
    for answer in answers:
        value = value_of(answer)
        if isinstance(value, bool):
            named.add("person" if value else "nobody")
        else:
            printed = option(item, code_of(answer)) if value is not None else None
            party = mark(printed, PARTY) if printed else None
            if party is None:
                return None
            named.add(party)
    if "nobody" in named:
        return frozenset() if len(named) == 1 else None
    return frozenset(party for party in _PARTIES if party in named)


def findings(form: Form, nodes: list[Node], base: str) -> list[Issue]:
    """Warnings about the order of asking and what a consent should carry.

    KG-03: a family consent before any attempt to ask the person. A consent without
    an explanation. A family consent without 続柄. A consent that cannot be read.
    """
    link = form.role("consent")
    if link is None:
        return []
    answers: Answers = {n.link: list(n.answers) for n in nodes}
    at = next((n.at for n in nodes if n.link == link), base)
    stated = [a for a in answers.get(link, []) if key_of(a)]
    if _parties(form.items[link], stated) is None:
        return [issue("HUB-FORM-013", at, severity="warning")]
    return [issue(id_, at, severity="warning") for id_ in _doubts(form, answers)]


def _doubts(form: Form, answers: Answers) -> list[str]:
    by, explained = given(form, answers), form.role("explained")
    doubts: list[str] = []
    if not by:
        return doubts
    heard = told(form, answers)
    if explained and by == {"family"} and "person" not in heard:
        doubts.append("HUB-FORM-010")
    if explained and not heard and not _said_told(answers, explained):
        doubts.append("HUB-FORM-011")
    relation = form.role("consent-relationship")
    if "family" in by and relation and not answers.get(relation):
        doubts.append("HUB-FORM-012")
    return doubts


def _said_told(answers: Answers, link: str) -> bool:
    """True when an explanation is recorded without saying to whom (した alone)."""
    return any(value_of(a) is None and key_of(a) for a in answers.get(link, []))
