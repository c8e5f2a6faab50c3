"""Gate A with what a refusal must tell: the programme's leaflet (KG-04)."""

from hub.changes import By
from hub.database import Session
from hub.directory.ask import StoredDirectory
from hub.fhir.outcome import FhirError
from hub.programmes.choose import choose
from hub.programmes.programme import Programme
from hub.referrals.submission import Parts, Submission, check
from hub.restful import leaflet
from hub.restful.hub import Hub


def judge(hub: Hub, session: Session, by: By, parts: Parts) -> Submission:
    """The submission that may be stored; a refusal for want of consent has the leaflet.

    Raises as `referrals.submission.check`.
    """
    try:
        return check(session, hub.knowledge, by.actor, parts, by.at)
    except FhirError as error:
        if not leaflet.is_due(error.issues):
            raise
        programme = _programme(hub, session, by, parts)
        told = leaflet.to_issue(programme.leaflet)
        raise FhirError(*error.issues, told) from None


def _programme(hub: Hub, session: Session, by: By, parts: Parts) -> Programme:
    """The programme whose consent was asked for: `check` has chosen it already."""
    source = StoredDirectory(session).organisation(by.actor.organisation)
    _, request = parts.of("ServiceRequest")[0]
    forms = parts.of("QuestionnaireResponse")
    return choose(
        hub.knowledge.programmes,
        next(iter(request.get("instantiatesCanonical", ())), None),
        next((form.get("questionnaire") for _, form in forms), None),
        source.programmes if source else (),
    )
