"""The routes of the FHIR API. Each handler gets an authenticated actor and a Call.

Starlette routes, not FastAPI ones: the body is read once, as bytes, by the strict
reader, and a hot read costs half (dependencies.md §5).
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from hub.actor import Actor
from hub.audit.caller import enter
from hub.disclosure.classes import PUBLIC_TYPES
from hub.faults import retried
from hub.fhir import dates
from hub.fhir.outcome import FhirError, issue
from hub.restful import (
    admin,
    answers,
    contents,
    disclosures,
    explain,
    operations,
    read,
    search,
    subscription,
    write,
)
from hub.restful.answers import Answer
from hub.restful.call import Call, read_call
from hub.restful.capability import capability_statement
from hub.restful.coding import compressed, is_compressible, read_body
from hub.restful.formats import (
    FHIR,
    PRINTED,
    Format,
    in_xml,
    is_xml,
    rendered,
    require_acceptable,
)
from hub.restful.history import history, history_system, history_type
from hub.restful.hub import Hub
from hub.restful.intake import intake
from hub.restful.provenance import require_speakable
from hub.restful.refusals import of_call, refused
from hub.restful.served import AUDIT_TYPES, SERVED
from hub.restful.transaction import batch_or_transaction
from hub.smart.actors import authenticate

Handler = Callable[[Hub, Actor, Call], Answer]
logging.getLogger("uvicorn.access").disabled = True


class Way(NamedTuple):
    """What answers one method of a path, and the interaction it is audited as."""

    handler: Handler
    interaction: str
    formats: tuple[Format, ...] = FHIR


Ways = Mapping[str, Way]
_WRITING = ("create", "update", "patch", "delete", "transaction")


class FhirRoute(Route):
    """A route that knows its ways: the OpenAPI document is made from them."""

    ways: Ways


def routes(hub: Hub) -> list[Route]:
    """Every route of the API and of intake; a path has all its methods in one route."""
    base, type_, id_ = "/fhir/R4", "/{type:str}", "/{id:str}"
    door = {
        "POST": Way(batch_or_transaction, "transaction"),
        "GET": Way(search.search_system, "search-system"),
    }
    within = Way(search.search_compartment, "search-type")
    table: list[tuple[str, dict[str, Way]]] = [
        (base, door),
        (f"{base}/", door),
        (
            f"{base}/HealthcareService/$route",
            {"POST": Way(operations.route_operation, "operation")},
        ),
        (
            f"{base}/EpisodeOfCare{id_}/$explain-access",
            {"GET": Way(explain.explain_access, "operation")},
        ),
        (
            f"{base}/Patient{id_}/$disclosures",
            {"GET": Way(disclosures.disclosures, "operation", PRINTED)},
        ),
        (f"{base}/_search", {"POST": Way(search.search_system, "search-system")}),
        *_subscription_routes(f"{base}/Subscription", id_),
        (f"{base}{type_}{id_}/{{within:str}}/_search", {"POST": within}),
        (f"{base}{type_}/_search", {"POST": Way(search.search_type, "search-type")}),
        (f"{base}{type_}{id_}/_history/{{version:str}}", {"GET": _way(read.vread)}),
        (
            f"{base}{type_}{id_}/_history",
            {"GET": Way(history, "history-instance")},
        ),
        (f"{base}{type_}/_history", {"GET": Way(history_type, "history-type")}),
        (f"{base}/_history", {"GET": Way(history_system, "history-system")}),
        (
            f"{base}{type_}{id_}",
            {
                "GET": _way(read.read),
                "PUT": _way(write.update),
                "PATCH": _way(write.patch),
                "DELETE": _way(write.delete),
            },
        ),
        (
            f"{base}{type_}",
            {
                "GET": Way(search.search_type, "search-type"),
                "POST": _way(write.create),
                "PUT": Way(write.conditional_update, "update"),
                "PATCH": Way(write.conditional_patch, "patch"),
                "DELETE": Way(write.conditional_delete, "delete"),
            },
        ),
        # Last of the base's paths: `_history` and operations are more special.
        (f"{base}{type_}{id_}/{{within:str}}", {"GET": within}),
        ("/intake/{mapping:str}", {"POST": Way(intake, "transaction")}),
    ]
    return [
        _metadata_route(hub, f"{base}/metadata"),
        *(_route(hub, path, ways) for path, ways in table),
        *(_admin_route(hub, path) for path in admin.WAYS),
    ]


def _subscription_routes(path: str, id_: str) -> list[tuple[str, dict[str, Way]]]:
    one = f"{path}{id_}"
    status, statuses, events, fire, secret = (
        Way(handler, "operation")
        for handler in (
            subscription.status_of_one,
            subscription.status_of_many,
            subscription.events_of_one,
            subscription.fire,
            subscription.secret,
        )
    )
    return [
        (f"{path}/$status", {"GET": statuses, "POST": statuses}),
        (f"{one}/$status", {"GET": status, "POST": status}),
        (f"{one}/$events", {"GET": events, "POST": events}),
        (f"{one}/$fire", {"POST": fire}),
        (f"{one}/$secret", {"GET": secret}),
    ]


def _way(handler: Handler) -> Way:
    return Way(handler, handler.__name__)


def _route(hub: Hub, path: str, ways: Ways) -> Route:
    async def endpoint(request: Request) -> Response:
        return await _answer(hub, request, ways)

    made = FhirRoute(path, endpoint, methods=_EVERY)
    made.ways = ways
    return made


def _admin_route(hub: Hub, path: str) -> Route:
    """Not a FhirRoute: the OpenAPI document tells of it in its own words."""
    ways = {method: Way(*one) for method, one in admin.WAYS[path].items()}

    async def endpoint(request: Request) -> Response:
        return await _answer(hub, request, ways)

    return Route(path, endpoint, methods=_EVERY)


_WITHIN = re.compile(r"\*|[A-Z][A-Za-z]*")
# Every method reaches the endpoint, which answers 405 as an OperationOutcome.
_EVERY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


async def _answer(hub: Hub, request: Request, ways: Ways) -> Response:
    body, refusal = b"", None
    try:
        body = await read_body(request, hub.settings.max_body_bytes)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    except FhirError as error:
        refusal = answers.of_issues(error.issues, error.status)
    call = read_call(request, body)
    enter(request.client.host if request.client else None, call.request_id)
    method = "GET" if request.method == "HEAD" else request.method
    if refusal is not None:
        answer = refusal
    elif method == "OPTIONS":
        answer = Answer(204, headers={"Allow": _allow(ways, call)})
    elif _is_unknown(call):
        answer = answers.of_issues([issue("HUB-REST-003")], 404)
    elif method not in ways:
        answer = _not_allowed(ways, call)
    else:
        answer = await run_in_threadpool(_handled, hub, ways, ways[method], call)
        return await _sent(answer, call)
    return await _sent(rendered(answer, replace(call, body=b"")), call)


async def _sent(answer: Answer, call: Call) -> Response:
    if is_compressible(answer, call.headers):
        answer = await run_in_threadpool(compressed, answer)
    return answers.to_response(answer, call.request_id, call.correlation_id)


def _handled(hub: Hub, ways: Ways, way: Way, call: Call) -> Answer:
    return rendered(_handle(hub, ways, way, call), call)


def _handle(hub: Hub, ways: Ways, way: Way, call: Call) -> Answer:
    """Authenticate, act, and turn what goes wrong into an audited OperationOutcome."""
    actor: Actor | None = None
    try:
        actor = authenticate(
            hub.database, call.authorization, call.request_id, call.correlation_id
        )
        if wait := hub.allowance.wait(actor.client_id):
            # Not audited: a client that runs wild would fill the log.
            return answers.throttled(wait)
        if not contents.wants_native(call):
            require_acceptable(call, way.formats)
        require_speakable(call, way.interaction)
        _require_open(hub, way, call)
        actor = replace(actor, sees_cases=not hub.is_read_only)
        # A handler reads the bytes anew and, before its commit, touches nothing but
        # the database: it may be run again.
        return retried(partial(way.handler, hub, actor, call))
    except Exception as error:  # noqa: BLE001 - the last line of defence (F18)
        issues = refused(hub, actor, of_call(call, way.interaction), error)
        answer = answers.of_issues(issues, FhirError(*issues).status)
    if answer.status == 405:  # noqa: PLR2004 - RFC 9110 §15.5.6: Allow is a must
        allow = {"Allow": _allow(ways, call, but=call.method)}
        return Answer(answer.status, answer.body, {**answer.headers, **allow})
    return answer


def _require_open(hub: Hub, way: Way, call: Call) -> None:
    """What a hub that was set back still does until somebody has reconciled it (K7).

    A consent may have been withdrawn after the backup, and stands in it as given. Its
    store of consents is as good as unreadable: no case data (security.md §1.5, G10).
    The directory, vocabularies and the log are open, for whoever reconciles.
    """
    if not hub.is_read_only:
        return
    if way.interaction in _WRITING:
        raise FhirError(issue("HUB-REST-082"))
    if way.handler is not operations.route_operation and not _is_of_no_case(call):
        raise FhirError(issue("HUB-CON-032"))


def _is_of_no_case(call: Call) -> bool:
    """True when all that a path can answer with is of no person."""
    open_types = (*PUBLIC_TYPES, *AUDIT_TYPES)
    return call.path.get("type") in open_types and "within" not in call.path


def _is_unknown(call: Call) -> bool:
    """An operation this server does not have looks like an id, but is none."""
    # A place below a resource is a type or `*`.
    below = call.path.get("within", "*")
    return call.path.get("id", "").startswith("$") or not _WITHIN.fullmatch(below)


def _not_allowed(ways: Ways, call: Call) -> Answer:
    answer = answers.of_issues([issue("HUB-REST-004")], 405)
    return Answer(405, answer.body, {**answer.headers, "Allow": _allow(ways, call)})


def _allow(ways: Ways, call: Call, but: str = "") -> str:
    """The methods of a path, those its type has no interaction for left out."""
    served = SERVED.get(call.path.get("type", ""))
    found = [
        method
        for method, way in ways.items()
        if method != but and (served is None or way.interaction in served)
    ]
    if "GET" in found:
        found.append("HEAD")
    return ", ".join([*found, "OPTIONS"])


def _metadata_route(hub: Hub, path: str) -> Route:
    """`GET /metadata`: no token, not audited, readable from any web page (D10)."""
    cors = {"Access-Control-Allow-Origin": "*"}
    made = answers.of_json(capability_statement(hub, dates.instant(dates.now())))
    statement = replace(made, headers=cors)
    statement_in_xml = in_xml(statement)

    async def endpoint(request: Request) -> Response:
        call = read_call(request, b"")
        answer = statement
        allow = {"Allow": "GET, HEAD, OPTIONS"}
        try:
            require_acceptable(call)
        except FhirError as error:
            answer = answers.of_issues(error.issues, error.status)
        if request.method == "OPTIONS":
            answer = Answer(204, headers={**cors, **allow})
        elif request.method not in ("GET", "HEAD"):
            refusal = answers.of_issues([issue("HUB-REST-004")], 405)
            answer = Answer(405, refusal.body, allow)
        if is_xml(call):
            is_whole = answer is statement
            answer = statement_in_xml if is_whole else rendered(answer, call)
        return await _sent(answer, call)

    return Route(path, endpoint, methods=_EVERY, name="capabilities")
