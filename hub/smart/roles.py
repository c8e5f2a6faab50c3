"""The scopes a client gets by its role (security.md §2.2)."""

from hub.actor import Scope
from hub.smart import scopes
from hub.smart.scopes import Context

_DIRECTORY = {
    "rs": "Organization OrganizationAffiliation HealthcareService PractitionerRole "
    "Location Endpoint",
}
_SOURCE = {
    "cruds": "ServiceRequest Subscription",
    "crus": "Patient RelatedPerson Task Consent",
    "crs": "QuestionnaireResponse DocumentReference Communication",
    "rs": "EpisodeOfCare Composition Provenance Questionnaire",
}
_RECIPIENT = {
    "rus": "Task",
    "crus": "QuestionnaireResponse Consent Encounter Condition Observation "
    "RiskAssessment CarePlan CareTeam Communication",
    "rs": "ServiceRequest Patient RelatedPerson EpisodeOfCare Provenance Questionnaire",
    "crs": "DocumentReference Composition MeasureReport",
    "cruds": "Subscription",
}
_PRIVACY = {"rs": "AuditEvent"}
# Not FHIR types: the records of the admin API.
_ADMIN = {"crus": "SmartClient SmartPerson"}


def _words(*tables: dict[str, str]) -> str:
    return " ".join(
        sorted(
            f"system/{resource_type}.{letters}"
            for table in tables
            for letters, types in table.items()
            for resource_type in types.split()
        )
    )


ROLES: dict[str, str] = {
    "source": _words(_SOURCE, _DIRECTORY),
    "recipient": _words(_RECIPIENT, _DIRECTORY),
    "directory": _words(_DIRECTORY),
    "privacy": _words(_PRIVACY),
    "admin": _words(_ADMIN),
}


def scopes_of(roles: frozenset[str], *contexts: Context) -> str:
    """The union of the presets of several roles, one v2 word a type, sorted.

    `contexts` are `system` (the default) and `user`.
    """
    letters: dict[str, frozenset[str]] = {}
    for role in roles:
        for scope in scopes.parse(ROLES[role]):
            had = letters.get(scope.resource_type, frozenset())
            letters[scope.resource_type] = had | scope.letters
    return scopes.render_all(
        Scope(context, resource_type, found)
        for context in contexts or ("system",)
        for resource_type, found in letters.items()
    )


def scopes_supported(*contexts: Context) -> list[str]:
    """Every scope word that some role grants: what discovery lists."""
    return sorted(
        {
            f"{context}/{word.partition('/')[2]}"
            for context in contexts or ("system",)
            for preset in ROLES.values()
            for word in preset.split()
        }
    )
