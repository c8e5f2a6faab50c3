"""Which types the hub serves and which interactions it has for each.

The CapabilityStatement is made from this table, and a request is refused by it.
"""

from typing import Literal

from hub.disclosure.classes import DIRECTORY_TYPES as DIRECTORY_NAMES
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
    "search-type",
]

_READ: tuple[Interaction, ...] = ("read", "vread", "history-instance", "search-type")
_WRITE: tuple[Interaction, ...] = (*_READ, "create", "update", "patch")
_ALL: tuple[Interaction, ...] = (*_WRITE, "delete")

CASE_TYPES: dict[str, tuple[Interaction, ...]] = {
    "Patient": _ALL,
    "RelatedPerson": _ALL,
    "QuestionnaireResponse": _ALL,
    "Consent": _ALL,
    "DocumentReference": _ALL,
    "ServiceRequest": _ALL,
    "Task": _ALL,
    "EpisodeOfCare": _READ,
    "Encounter": _ALL,
    "Condition": _ALL,
    "Observation": _ALL,
    "RiskAssessment": _ALL,
    "CarePlan": _ALL,
    "CareTeam": _ALL,
    "Communication": _ALL,
    "Composition": _READ,
    "Provenance": _READ,
}
DIRECTORY_TYPES: dict[str, tuple[Interaction, ...]] = dict.fromkeys(
    DIRECTORY_NAMES, (*_READ, "create", "update")
)
TERMINOLOGY_TYPES: dict[str, tuple[Interaction, ...]] = {
    "Questionnaire": _READ,
    "CodeSystem": _READ,
}
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
    "search-type": "s",
}


def searchable() -> Declared:
    """The search parameters of what is served: no chain leads anywhere else.

    The log is not in the store: `privacy` searches it, and no other search reaches it.
    """
    known = declared()
    return {name: known[name] for name in SERVED if name not in AUDIT_TYPES}
