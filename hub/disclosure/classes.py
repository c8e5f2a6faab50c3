"""Data classes: what part of a case a grant opens. One bit each."""

from enum import IntFlag
from typing import Any


class DataClass(IntFlag):
    """Bits as stored; the code of the data-class system is the lower-case name."""

    PERSON = 1
    REFERRAL = 2
    CONSENT = 4
    STATUS = 8
    RECORD = 16
    FEEDBACK = 32


WHOLE = DataClass(63)
# What the sender sees of a case: what it sent, how it goes, what comes back.
FOR_SOURCE = WHOLE & ~DataClass.RECORD
# What stays with a centre that passed the case on: enough for its own monthly
# report to the hospital (KG-09), nothing of the new centre's record (KG-16).
FOR_FORMER = DataClass.PERSON | DataClass.STATUS | DataClass.FEEDBACK
# What stays with the sender after a withdrawal: that it ended, not about whom.
FOR_WITHDRAWN_SOURCE = DataClass.STATUS
# What a desk still sees of a referral that was sent in error: that it was.
FOR_RECALLED = DataClass.STATUS

_BY_TYPE = {
    "Patient": DataClass.PERSON,
    "RelatedPerson": DataClass.PERSON,
    "Consent": DataClass.CONSENT,
    "Task": DataClass.STATUS,
    "EpisodeOfCare": DataClass.STATUS,
    "Provenance": DataClass.STATUS,
    "Communication": DataClass.FEEDBACK,
    "Composition": DataClass.FEEDBACK,
    "Bundle": DataClass.FEEDBACK,
}


def class_of(resource: dict[str, Any], *, by_recipient: bool) -> DataClass:
    """The class of a resource; a recipient's clinical writings are its record."""
    fixed = _BY_TYPE.get(resource["resourceType"])
    if fixed is not None:
        return fixed
    return DataClass.RECORD if by_recipient else DataClass.REFERRAL


def codes(classes: int) -> list[str]:
    """The data-class codes set in a grant's bits."""
    return [c.name.lower() for c in DataClass if c & classes and c.name]


# Types that are about services and vocabularies, not about a person: every client
# with the scope may read them.
PUBLIC_TYPES = (
    "Organization",
    "OrganizationAffiliation",
    "HealthcareService",
    "PractitionerRole",
    "Practitioner",
    "Location",
    "Endpoint",
    "Questionnaire",
    "CodeSystem",
    "PlanDefinition",
)
DIRECTORY_TYPES = (*PUBLIC_TYPES[:7],)
