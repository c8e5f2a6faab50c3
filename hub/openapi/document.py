"""The OpenAPI 3.1 document: made from the routes, types and parameters that serve.

Nothing here knows what is stored, who is registered or which build is running.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from starlette.routing import BaseRoute

from hub.openapi import administration, operations, own, parameters, responses
from hub.openapi.operations import Facts
from hub.openapi.schemas import schemas
from hub.openapi.words import known, say
from hub.restful.capability import capability_statement
from hub.restful.hub import Hub
from hub.restful.privacy import PARAMETERS
from hub.restful.routes import FhirRoute
from hub.restful.served import SERVED
from hub.smart.roles import scopes_supported

_NAME = "つなぎハブ Tsunagi Hub"


def document(hub: Hub, routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The document of an application with these routes."""
    facts = _facts(hub)
    fhir = [route for route in routes if isinstance(route, FhirRoute)]
    metadata = {"/fhir/R4/metadata": {"get": _capabilities(facts)}}
    paths = metadata | operations.paths(fhir, facts) | own.paths()
    paths |= administration.paths()
    return {
        "openapi": "3.1.0",
        "info": {"title": _NAME, "description": say("info", "about"), "version": "R4"},
        "servers": [{"url": hub.settings.base_url.rstrip("/")}],
        "security": [{"oauth2": []}, {"bearer": []}],
        "tags": _tags(),
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas(SERVED, facts.searches) | administration.schemas(),
            "parameters": parameters.components(facts.searches),
            "headers": responses.headers(),
            "responses": responses.errors(facts.media),
            "securitySchemes": _schemes(hub),
        },
    }


def _facts(hub: Hub) -> Facts:
    """What the CapabilityStatement says; media types stand there and nowhere else."""
    capability = capability_statement(hub, "")
    return Facts(
        base=hub.base,
        media=tuple(name for name in capability["format"] if "/" in name),
        patches=tuple(capability["patchFormat"]),
        searches={
            name: dict(PARAMETERS)
            if name == "AuditEvent"
            else {
                code: one.type
                for code, one in sorted(hub.declared.get(name, {}).items())
            }
            for name in sorted(SERVED)
        },
        compartments=tuple(_compartments(capability)),
    )


def _compartments(capability: dict[str, Any]) -> Iterator[str]:
    """`…/CompartmentDefinition/relatedPerson` is about RelatedPerson."""
    for url in capability["rest"][0].get("compartment", ()):
        name = url.rpartition("/")[2]
        yield name[0].upper() + name[1:]


def _capabilities(facts: Facts) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/CapabilityStatement"}
    refusal = {"$ref": "#/components/responses/E406"}
    return {
        "operationId": "capabilities",
        "tags": ["system"],
        "summary": say("interaction", "capabilities"),
        "security": [],
        "responses": {
            "200": responses.answer(200, facts.media, schema),
            "406": refusal,
        },
    }


def _tags() -> list[dict[str, str]]:
    groups = [{"name": n, "description": say("tag", n)} for n in known("tag")]
    return [*groups, *({"name": name} for name in sorted(SERVED))]


def _schemes(hub: Hub) -> dict[str, Any]:
    scopes = {word: word for word in scopes_supported()}
    flow = {"tokenUrl": hub.settings.token_url, "scopes": scopes}
    flows: dict[str, Any] = {"clientCredentials": flow}
    if hub.settings.has_login:
        url = hub.settings.base_url.rstrip("/") + "/oauth/authorize"
        words = {word: word for word in scopes_supported("user")}
        by_person = {**flow, "authorizationUrl": url, "scopes": words}
        flows["authorizationCode"] = by_person
    return {
        "oauth2": {
            "type": "oauth2",
            "description": say("authorize", "oauth2"),
            "flows": flows,
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": say("authorize", "bearer"),
        },
    }
