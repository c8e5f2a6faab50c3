"""About whom a case resource is: never about another person than its case."""

from collections.abc import Iterable

from hub.fhir import references
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue

_ELEMENT = {
    "Task": "for",
    "RelatedPerson": "patient",
    "Consent": "patient",
    "EpisodeOfCare": "patient",
    "FamilyMemberHistory": "patient",
}
# What they are about may stand anywhere: members, participants, targets, items.
_ANYWHERE = (
    "Appointment",
    "Binary",
    "CareTeam",
    "ClinicalImpression",
    "Composition",
    "FamilyMemberHistory",
    "Group",
    "List",
    "MeasureReport",
    "Provenance",
)


def require_about(resource: Resource, patient: str, path: str | None = None) -> None:
    """422 HUB-REF-017 when a resource names another Patient than `patient` (an id).

    A contained Patient is always another: the case's own stands for itself.

    What is stored under a grant for one person must not tell of somebody else.
    """
    kind = resource["resourceType"]
    for index, inside in enumerate(resource.get("contained", ())):
        if inside.get("resourceType") == "Patient":
            raise FhirError(issue("HUB-REF-017", f"{path or kind}.contained[{index}]"))
    if kind in _ANYWHERE:
        _require_nobody_else(resource, patient, path or kind)
    element = _ELEMENT.get(kind, "subject")
    about = resource.get(element)
    if not isinstance(about, dict):
        return
    target = references.split(str(about.get("reference", "")))
    if target and target[0] == "Patient" and target[1] != patient:
        raise FhirError(issue("HUB-REF-017", f"{path or kind}.{element}"))


def _require_nobody_else(resource: Resource, patient: str, path: str) -> None:
    for where, element in references.walk(resource):
        target = references.split(element["reference"])
        if target and target[0] == "Patient" and target[1] != patient:
            raise FhirError(issue("HUB-REF-017", f"{path}.{where}.reference"))


def require_one_person(
    resources: Iterable[tuple[str, str, Resource]], patient: str
) -> None:
    """`require_about` for a whole referral of (reference, path, resource).

    A second Patient in it would be stored without a consent of that person.
    """
    for reference, path, resource in resources:
        if resource["resourceType"] == "Patient" and reference != f"Patient/{patient}":
            raise FhirError(issue("HUB-REF-017", path))
        require_about(resource, patient, path)
