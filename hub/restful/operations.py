"""Operations: `HealthcareService/$route` and `EpisodeOfCare/[id]/$explain-access`."""

from typing import Any

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.directory.ask import StoredDirectory
from hub.disclosure import grants
from hub.fhir import dates
from hub.fhir.json import Resource, decode
from hub.fhir.outcome import FhirError, issue
from hub.programmes.choose import choose
from hub.referrals.route import route, to_parameters
from hub.restful import answers
from hub.restful.answers import Answer
from hub.restful.call import Call, require_json, require_scope
from hub.restful.checks import require_valid
from hub.restful.hub import Hub
from hub.restful.read import require_visible


def route_operation(hub: Hub, actor: Actor, call: Call) -> Answer:
    """POST HealthcareService/$route: where would it go? Stores nothing but audit.

    Parameters: `patient` (a Patient resource: address), `request` (a ServiceRequest
    resource, optional: the wish for the nearest centre), `programme` (uri, optional)
    and `source` (Reference to an Organization, optional: the caller's own).
    """
    require_json(call)
    require_scope(actor, "r", "HealthcareService")
    parameters = decode(call.body, hub.settings.max_depth)
    if parameters["resourceType"] != "Parameters":
        raise FhirError(issue("HUB-REST-024", "Parameters", name="Parameters"))
    require_valid(hub.knowledge, parameters)
    with hub.database.transaction(write=False) as session:
        answer = _route(hub, session, actor, parameters)
        audit.record(session, actor, "operation", at=dates.now())
    return answers.of_json(answer)


def explain_access(hub: Hub, actor: Actor, call: Call) -> Answer:
    """GET EpisodeOfCare/[id]/$explain-access: every grant, basis, clause and period."""
    if "privacy" not in actor.roles:
        require_scope(actor, "r", "EpisodeOfCare")
    with hub.database.transaction(write=False) as session:
        if "privacy" not in actor.roles:
            require_visible(session, actor, "EpisodeOfCare", call.id)
        rows = grants.explain(session, call.id)
        if not rows:
            raise FhirError(issue("HUB-REST-001"))
        audit.record(
            session,
            actor,
            "operation",
            targets=[f"EpisodeOfCare/{call.id}"],
            at=dates.now(),
        )
    return answers.of_json(
        {"resourceType": "Parameters", "parameter": [_grant(row) for row in rows]}
    )


def _route(hub: Hub, session: Session, actor: Actor, asked: Resource) -> Resource:
    given = {p.get("name"): p for p in asked.get("parameter", ())}
    patient = (given.get("patient") or {}).get("resource")
    if not patient or patient.get("resourceType") != "Patient":
        raise FhirError(issue("HUB-REST-024", "Parameters.parameter", name="patient"))
    request = (given.get("request") or {}).get("resource") or {
        "resourceType": "ServiceRequest"
    }
    directory = StoredDirectory(session)
    organisation = _source(given) or actor.organisation
    source = directory.organisation(organisation)
    if source is None:
        raise FhirError(issue("HUB-REST-024", "Parameters.parameter", name="source"))
    programme = choose(
        hub.knowledge.programmes,
        _uri(given) or next(iter(request.get("instantiatesCanonical", ())), None),
        None,
        source.programmes,
    )
    return to_parameters(
        route(directory, programme, source, patient, request, dates.today())
    )


def _source(given: dict[Any, Any]) -> str | None:
    value = (given.get("source") or {}).get("valueReference") or {}
    return str(value.get("reference", "")).removeprefix("Organization/") or None


def _uri(given: dict[Any, Any]) -> str | None:
    parameter = given.get("programme") or {}
    return parameter.get("valueCanonical") or parameter.get("valueUri")


def _grant(row: dict[str, Any]) -> dict[str, Any]:
    parts = [
        {
            "name": "organisation",
            "valueReference": {"reference": f"Organization/{row['organisation']}"},
        },
        {"name": "role", "valueCode": row["role"]},
        {"name": "basis", "valueCode": row["basis"]},
        {"name": "consent", "valueString": row["consent"]},
        {"name": "clause", "valueString": row["clause"]},
        *({"name": "class", "valueCode": code} for code in row["classes"]),
    ]
    for name in ("starts", "ends", "closed_at"):
        if row[name] is not None:
            moment = dates.instant(dates.from_micros(row[name]))
            parts.append({"name": name.replace("_", "-"), "valueInstant": moment})
    if row["closed_because"]:
        parts.append({"name": "closed-because", "valueCode": row["closed_because"]})
    return {"name": "grant", "part": parts}
