"""The official R4 examples beside the repository; tests skip when they are absent."""

import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from hub.fhir.json import Resource, decode
from hub.fhir.outcome import FhirError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "fhir"
_EXAMPLES = SHARED / "packages" / "hl7.fhir.r4.examples-4.0.1-instances.tgz"

SERVED = frozenset(
    [
        "Patient",
        "RelatedPerson",
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "OrganizationAffiliation",
        "HealthcareService",
        "Location",
        "Endpoint",
        "Questionnaire",
        "QuestionnaireResponse",
        "Consent",
        "DocumentReference",
        "Binary",
        "ServiceRequest",
        "Task",
        "EpisodeOfCare",
        "Encounter",
        "Condition",
        "Observation",
        "RiskAssessment",
        "CarePlan",
        "CareTeam",
        "Appointment",
        "Communication",
        "FamilyMemberHistory",
        "ClinicalImpression",
        "Group",
        "List",
        "Composition",
        "Bundle",
        "Provenance",
        "AuditEvent",
        "Subscription",
        "MeasureReport",
        "Measure",
        "PlanDefinition",
        "CodeSystem",
        "ValueSet",
        "ConceptMap",
        "StructureDefinition",
        "SearchParameter",
        "OperationDefinition",
        "CapabilityStatement",
        "OperationOutcome",
        "Parameters",
    ]
)


def examples() -> Iterator[tuple[str, Resource]]:
    """(file name, resource) of each official example that is JSON of our kind."""
    for name, raw in _read().items():
        try:
            yield name, decode(raw)
        except FhirError:
            continue  # Observation-decimal holds numbers beyond any double (J4, J7)


@cache
def _read() -> dict[str, bytes]:
    if not _EXAMPLES.is_file():
        pytest.skip(f"no {_EXAMPLES.name} in ../shared/fhir/packages")
    found = {}
    with tarfile.open(_EXAMPLES) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            content = archive.extractfile(member)
            if content and name.endswith(".json") and name != "package.json":
                found[name] = content.read()
    return found
