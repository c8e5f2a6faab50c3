"""MeasureReport: of an individual it is case data; of many it is its author's own.

A count tells of no single person only as long as it leads to none: a report that is
not `individual` refers to nothing of a case. It is seen by the organisation that wrote
it alone, and does not expire.
"""

from hub.fhir import references
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.restful.served import CASE_TYPES


def is_own(resource: Resource) -> bool:
    """True for a report that belongs to its author, not to a case."""
    return (
        resource["resourceType"] == "MeasureReport"
        and resource.get("type") != "individual"
    )


def require_nameless(resource: Resource) -> None:
    """422 HUB-REST-064 when a report of many leads to a case."""
    for index, inside in enumerate(resource.get("contained", ())):
        if inside.get("resourceType") in CASE_TYPES:
            here = f"MeasureReport.contained[{index}]"
            raise FhirError(issue("HUB-REST-064", here))
    for path, element in references.walk(resource):
        target = references.split(element["reference"])
        if target is not None and target[0] in CASE_TYPES:
            here = f"MeasureReport.{path}.reference"
            raise FhirError(issue("HUB-REST-064", here))


def require_report_change(before: Resource, after: Resource) -> None:
    """A report never turns from an own one into case data, which needs a grant."""
    if before.get("type") != after.get("type"):
        raise FhirError(issue("HUB-REST-064", "MeasureReport.type"))
    if is_own(after):
        require_nameless(after)
