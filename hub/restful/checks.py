"""What every written resource must pass: structure and codes, then its form's rules."""

from hub.fhir.json import Resource
from hub.fhir.outcome import Issue, require_none
from hub.questionnaires.check import check
from hub.referrals.knowledge import Knowledge
from hub.restful.documents import document_issues
from hub.validation import validate


def require_valid(knowledge: Knowledge, resource: Resource) -> None:
    """Raise with every error of a resource or a whole Bundle."""
    require_none(validate(resource, packages=knowledge.packages))


def require_rules(
    knowledge: Knowledge, resource: Resource, base: str | None = None
) -> None:
    """Raise with every error of a form's answers."""
    require_none(form_issues(knowledge, resource, base))


def form_issues(
    knowledge: Knowledge, resource: Resource, base: str | None = None
) -> list[Issue]:
    """Errors and warnings of answers, and what else is wrong with a type's content.

    `base` is the FHIRPath of the resource.
    """
    if resource["resourceType"] == "Bundle":
        return document_issues(resource, base or "Bundle")
    if resource["resourceType"] != "QuestionnaireResponse":
        return []
    canonical = str(resource.get("questionnaire", "")).partition("|")[0]
    questionnaire = knowledge.packages.questionnaire(canonical)
    if questionnaire is None:
        return []
    return check(resource, questionnaire, base or resource["resourceType"])
