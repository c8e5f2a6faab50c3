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
    RECALL = 64


# What a recipient sees. A recall is between the sender and who is asked.
WHOLE = DataClass(63)
# What the sender sees of a case: what it sent, how it goes, what comes back.
FOR_SOURCE = (WHOLE & ~DataClass.RECORD) | DataClass.RECALL
# What stays with a centre that passed the case on: enough for its own monthly
# report to the hospital (KG-09), nothing of the new centre's record (KG-16).
FOR_FORMER = DataClass.PERSON | DataClass.STATUS | DataClass.FEEDBACK
# What stays with the sender after a withdrawal: that it ended, not about whom.
FOR_WITHDRAWN_SOURCE = DataClass.STATUS | DataClass.RECALL
# What a desk still sees of a referral that was sent in error: that its copy must go.
FOR_RECALLED = DataClass.RECALL

_BY_TYPE = {
    "Patient": DataClass.PERSON,
    "RelatedPerson": DataClass.PERSON,
    "Consent": DataClass.CONSENT,
    "Task": DataClass.STATUS,
    "EpisodeOfCare": DataClass.STATUS,
    "Communication": DataClass.FEEDBACK,
}
# What a centre assembles is a report to the sender. What a sender assembles is part of
# its referral: as feedback it would reach a former recipient too.
_DOCUMENTS = ("Composition", "Bundle")


def class_of(resource: dict[str, Any], *, by_recipient: bool) -> DataClass:
    """The class of what a client writes; a recipient's writings are its record.

    So is its Provenance, which tells of these; the hub's own, of moves, is status.
    """
    fixed = _BY_TYPE.get(resource["resourceType"])
    if fixed is not None:
        return fixed
    if by_recipient and resource["resourceType"] in _DOCUMENTS:
        return DataClass.FEEDBACK
    return DataClass.RECORD if by_recipient else DataClass.REFERRAL


def codes(classes: int) -> list[str]:
    """The data-class codes set in a grant's bits."""
    return [c.name.lower() for c in DataClass if c & classes and c.name]


# Services and those who offer them.
DIRECTORY_TYPES = (
    "Organization",
    "OrganizationAffiliation",
    "HealthcareService",
    "PractitionerRole",
    "Practitioner",
    "Location",
    "Endpoint",
)
# Artefacts with a canonical URL: forms, vocabularies, definitions, conformance.
TERMINOLOGY_TYPES = (
    "Questionnaire",
    "CodeSystem",
    "ValueSet",
    "ConceptMap",
    "StructureDefinition",
    "SearchParameter",
    "OperationDefinition",
    "CapabilityStatement",
    "Measure",
    "PlanDefinition",
)
# About no person: every client with the scope may read them. Whoever may write them
# publishes to all, so none may name or hold case data (restful.artefacts).
PUBLIC_TYPES = (*DIRECTORY_TYPES, *TERMINOLOGY_TYPES)
