"""The operation `HealthcareService/$route`."""

from hub import audit
from hub.actor import Actor
from hub.database import Session
from hub.directory.ask import StoredDirectory
from hub.fhir import dates, references
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.programmes.choose import choose
from hub.referrals.route import route, to_parameters
from hub.restful import answers
from hub.restful.answers import Answer
from hub.restful.call import (
    Call,
    require_parameters,
    require_scope,
)
from hub.restful.checks import require_valid
from hub.restful.formats import read_resource
from hub.restful.hub import Hub

# Parameters of `$route`: what each must carry.
_ROUTE = {
    "patient": "resource",
    "request": "resource",
    "programme": "value",
    "source": "valueReference",
}


def route_operation(hub: Hub, actor: Actor, call: Call) -> Answer:
    """POST HealthcareService/$route: where would it go? Stores nothing but audit.

    Parameters: `patient` (a Patient resource: address), `request` (a ServiceRequest
    resource, optional: the wish for the nearest centre), `programme` (uri, optional)
    and `source` (Reference to an Organization, optional: the caller's own).
    """
    require_scope(actor, "r", "HealthcareService")
    require_parameters(call)
    parameters = read_resource(hub, call)
    if parameters["resourceType"] != "Parameters":
        raise FhirError(issue("HUB-REST-024", "Parameters", name="Parameters"))
    require_valid(hub.knowledge, parameters)
    with hub.database.transaction(write=False) as session:
        answer = _route(hub, session, actor, _given(parameters))
        audit.record(session, actor, "operation", at=dates.now())
    return answers.of_json(answer)


def _given(parameters: Resource) -> dict[str, Resource]:
    """The parameters by name; 400 for an unknown, a second, or one of another kind."""
    given: dict[str, Resource] = {}
    for index, one in enumerate(parameters.get("parameter", ())):
        name, path = str(one.get("name")), f"Parameters.parameter[{index}]"
        carries = _ROUTE.get(name)
        if carries is None:
            raise FhirError(issue("HUB-REST-035", path))
        if name in given or not any(key.startswith(carries) for key in one):
            raise FhirError(issue("HUB-REST-024", path, name=name))
        given[name] = one
    return given


def _route(
    hub: Hub, session: Session, actor: Actor, given: dict[str, Resource]
) -> Resource:
    patient = _resource(given, "patient", "Patient")
    if patient is None:
        raise FhirError(issue("HUB-REST-024", "Parameters.parameter", name="patient"))
    request = _resource(given, "request", "ServiceRequest")
    request = request or {"resourceType": "ServiceRequest"}
    directory = StoredDirectory(session)
    source = directory.organisation(_source(given) or actor.organisation)
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


def _resource(given: dict[str, Resource], name: str, kind: str) -> Resource | None:
    if name not in given:
        return None
    resource: Resource = given[name]["resource"]
    if resource.get("resourceType") != kind:
        raise FhirError(issue("HUB-REST-024", "Parameters.parameter", name=name))
    return resource


def _source(given: dict[str, Resource]) -> str | None:
    """The Organization id of `source`; None when it is not given."""
    if "source" not in given:
        return None
    target = references.split(str(given["source"]["valueReference"].get("reference")))
    if target is None or target[0] != "Organization":
        raise FhirError(issue("HUB-REST-024", "Parameters.parameter", name="source"))
    return target[1]


def _uri(given: dict[str, Resource]) -> str | None:
    """The PlanDefinition of `programme`; None when it is not given."""
    if "programme" not in given:
        return None
    one = given["programme"]
    found = one.get("valueCanonical") or one.get("valueUri")
    if not found:
        raise FhirError(issue("HUB-REST-024", "Parameters.parameter", name="programme"))
    return str(found)
