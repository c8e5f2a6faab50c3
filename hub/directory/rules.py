"""What a directory resource must say before it is stored (LL-02, LL-03)."""

from hub.directory.resources import (
    agreement_of,
    is_agreement,
    organisation_of,
    rows_of,
)
from hub.directory.values import KINDS, SIGNERS, AgreementTerms
from hub.fhir.json import Resource
from hub.fhir.outcome import Issue, issue

TYPES = frozenset(
    {"Organization", "HealthcareService", "OrganizationAffiliation", "Endpoint"}
)
_MUNICIPALITY_DIGITS = 5


def check(resource: Resource) -> list[Issue]:
    """Every directory rule the resource breaks; other types have none.

    HUB-DIR-007, -008 for agreements, -013 for kinds, codes and dates.
    """
    rules = {
        "Organization": _organization,
        "HealthcareService": _healthcare_service,
        "OrganizationAffiliation": _affiliation,
    }
    rule = rules.get(resource.get("resourceType", ""))
    if rule is None:
        return []
    try:
        return rule(resource)
    except ValueError:
        return [_invalid(resource, "period", "YYYY-MM-DD")]


def check_agreement(terms: AgreementTerms) -> list[Issue]:
    """LL-03: no active agreement without section and contact; LL-02: its signer."""
    if not terms.active:
        return []
    found: list[Issue] = []
    if not (terms.section and terms.contact):
        found.append(issue("HUB-DIR-007", "OrganizationAffiliation.active"))
    if terms.signer_role not in SIGNERS and not terms.exception:
        found.append(issue("HUB-DIR-008", "OrganizationAffiliation.extension"))
    return found


def _organization(resource: Resource) -> list[Issue]:
    kind = organisation_of(resource).kind
    # An Organization of no kind of ours is somebody's own record, not an actor.
    if kind and kind not in KINDS:
        return [_invalid(resource, "type", " | ".join(KINDS))]
    return []


def _healthcare_service(resource: Resource) -> list[Issue]:
    rows = rows_of(resource)
    if all(_is_municipality(row.municipality) for row in rows):
        return []
    return [_invalid(resource, "extension", "JIS X 0402, 5 digits")]


def _affiliation(resource: Resource) -> list[Issue]:
    if not is_agreement(resource):
        return []
    terms = agreement_of(resource)
    found = check_agreement(terms)
    prefecture = terms.level == "prefecture"
    fits = (
        len(terms.area) == 2 and terms.area.isdigit()  # noqa: PLR2004 - 01 to 47
        if prefecture
        else _is_municipality(terms.area)
    )
    if not fits:
        found.append(_invalid(resource, "extension", "area"))
    if not terms.desk:
        found.append(_invalid(resource, "healthcareService", "1..1"))
    return found


def _is_municipality(code: str) -> bool:
    return len(code) == _MUNICIPALITY_DIGITS and code.isdigit()


def _invalid(resource: Resource, element: str, expected: str) -> Issue:
    path = f"{resource['resourceType']}.{element}"
    return issue("HUB-DIR-013", path, element=path, expected=expected)
