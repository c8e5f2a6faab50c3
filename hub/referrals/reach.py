"""Which desks a programme's consent can mean: the class of recipients it names.

The class is what the routing rule could choose (workflow.md §5): the centres of the
kind the form names, the desks under an agreement with the sender, or the programme's
own sections. A desk outside it needs a new consent, whoever proposes it.
"""

from datetime import date

from hub.directory.ask import Directory
from hub.directory.values import KINDS
from hub.programmes.programme import Programme
from hub.routing.choose import is_valid
from hub.routing.facts import Desk


def is_in_class(
    directory: Directory, programme: Programme, source: str, desk: Desk, on: date
) -> bool:
    """True when the desk is one of those the consent of this programme names.

    `source` is the sender's organisation code; agreements count on the day `on`.
    """
    rule = programme.routing
    if rule.kind == "residence-with-agreement":
        return _has_agreement(directory, source, desk, on)
    if rule.kind == "source-jurisdiction":
        organisation = directory.organisation(desk.organisation)
        kind = programme.consent.recipients.code
        return kind not in KINDS or (
            organisation is not None and organisation.kind == kind
        )
    named = {*(s.desk for s in rule.sections), *rule.districts.values(), *rule.layers}
    return desk.id in named


def _has_agreement(directory: Directory, source: str, desk: Desk, on: date) -> bool:
    organisation = directory.organisation(desk.organisation)
    if organisation is None or organisation.municipality is None:
        return False
    return any(
        agreement.active and agreement.desk.id == desk.id and is_valid(agreement, on)
        for agreement in directory.agreements(organisation.municipality, source)
    )
