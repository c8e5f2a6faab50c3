"""Which types the hub serves and which interactions it has for each.

The CapabilityStatement is made from this table, and a request is refused by it.
"""

from typing import Literal

from hub.disclosure.classes import DIRECTORY_TYPES as DIRECTORY_NAMES
from hub.disclosure.classes import TERMINOLOGY_TYPES as TERMINOLOGY_NAMES
from hub.fhir.search import Declared
from hub.store.parameters import declared

Interaction = Literal[
    "read",
    "vread",
    "create",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "search-type",
]

_READ: tuple[Interaction, ...] = (
    "read",
    "vread",
    "history-instance",
    "history-type",
    "search-type",
)
_WRITE: tuple[Interaction, ...] = (*_READ, "create", "update", "patch")
_ALL: tuple[Interaction, ...] = (*_WRITE, "delete")
# A document is immutable once assembled (R4 documents.html): another is a new one. A
# Provenance tells of a moment: one that changes later proves nothing.
_ONCE: tuple[Interaction, ...] = (*_READ, "create", "delete")
# R4 gives Binary no parameter of its own, and a page of them, or of versions of one,
# would be their contents at once. A patch of base64 has no meaning.
_CONTENT: tuple[Interaction, ...] = ("read", "vread", "create", "update", "delete")

# Deleted is only what belongs to no case: a draft, an own report (HUB-REF-016).
CASE_TYPES: dict[str, tuple[Interaction, ...]] = {
    "Patient": _ALL,
    "RelatedPerson": _ALL,
    "QuestionnaireResponse": _ALL,
    "Consent": _ALL,
    "DocumentReference": _ALL,
    "ServiceRequest": _ALL,
    "Task": _ALL,
    "EpisodeOfCare": _READ,  # the case itself: the hub alone opens and closes it
    "Encounter": _ALL,
    "Condition": _ALL,
    "Observation": _ALL,
    "RiskAssessment": _ALL,
    "CarePlan": _ALL,
    "CareTeam": _ALL,
    "Communication": _ALL,
    "Appointment": _ALL,
    "FamilyMemberHistory": _ALL,
    "ClinicalImpression": _ALL,
    "Group": _ALL,
    "List": _ALL,
    "MeasureReport": _ALL,
    "Composition": _ALL,
    "Bundle": _ONCE,
    "Provenance": _ONCE,
    "Binary": _CONTENT,
}
# Cases and agreements name them: what ended is marked inactive, and stays.
DIRECTORY_TYPES: dict[str, tuple[Interaction, ...]] = dict.fromkeys(
    DIRECTORY_NAMES, _WRITE
)
# For clients registered with these letters; the hub's own are nobody's (artefacts).
TERMINOLOGY_TYPES: dict[str, tuple[Interaction, ...]] = dict.fromkeys(
    TERMINOLOGY_NAMES, _ALL
)
AUDIT_TYPES: dict[str, tuple[Interaction, ...]] = {
    "AuditEvent": ("read", "search-type")
}
# Visible to the organisation that wrote them, and to nobody else.
OWN_TYPES: dict[str, tuple[Interaction, ...]] = {"Subscription": _ALL}
SERVED: dict[str, tuple[Interaction, ...]] = {
    **CASE_TYPES,
    **DIRECTORY_TYPES,
    **TERMINOLOGY_TYPES,
    **OWN_TYPES,
    **AUDIT_TYPES,
}
LETTERS: dict[Interaction, Literal["c", "r", "u", "d", "s"]] = {
    "read": "r",
    "vread": "r",
    "history-instance": "r",
    "create": "c",
    "update": "u",
    "patch": "u",
    "delete": "d",
    "history-type": "s",
    "search-type": "s",
}


def searchable() -> Declared:
    """The search parameters of what is served: no chain leads anywhere else.

    The log is not in the store: `privacy` searches it, and no other search reaches it.
    """
    known = declared()
    return {
        name: known[name]
        for name, has in SERVED.items()
        if name not in AUDIT_TYPES and "search-type" in has
    }
