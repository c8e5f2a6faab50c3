"""The routes of the FHIR API. Each handler gets an authenticated actor and a Call.

Starlette routes, not FastAPI ones: the body is read once, as bytes, by the strict
reader, and a hot read costs half (dependencies.md §5).
"""

import logging
from collections.abc import Callable
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.actor import Actor
from hub.fhir import dates
from hub.fhir.outcome import FhirError, Issue, issue
from hub.restful import answers, operations, read, search, write
from hub.restful.answers import Answer
from hub.restful.call import Call, read_call, require_acceptable
from hub.restful.capability import capability_statement
from hub.restful.hub import Hub
from hub.restful.intake import intake
from hub.restful.refusals import audit_refusal
from hub.restful.transaction import batch_or_transaction
from hub.smart.actors import authenticate

Handler = Callable[[Hub, Actor, Call], Answer]
log = structlog.get_logger(__name__)
logging.getLogger("uvicorn.access").disabled = True

_FULL = ("database or disk is full", "disk i/o error", "no space left", "disk full")


def routes(hub: Hub) -> list[Route]:
    """Every route of the API and of intake; a path has all its methods in one route."""
    base, type_, id_ = "/fhir/R4", "/{type:str}", "/{id:str}"
    table: list[tuple[str, dict[str, Handler]]] = [
        (base, {"POST": batch_or_transaction}),
        (f"{base}/", {"POST": batch_or_transaction}),
        (f"{base}/HealthcareService/$route", {"POST": operations.route_operation}),
        (
            f"{base}/EpisodeOfCare{id_}/$explain-access",
            {"GET": operations.explain_access},
        ),
        (f"{base}{type_}/_search", {"POST": search.search_type}),
        (f"{base}{type_}{id_}/_history/{{version:str}}", {"GET": read.vread}),
        (f"{base}{type_}{id_}/_history", {"GET": read.history}),
        (
            f"{base}{type_}{id_}",
            {
                "GET": read.read,
                "PUT": write.update,
                "PATCH": write.patch,
                "DELETE": write.delete,
            },
        ),
        (f"{base}{type_}", {"GET": search.search_type, "POST": write.create}),
        ("/intake/{mapping:str}", {"POST": intake}),
    ]
    started = dates.instant(dates.now())
    metadata = Route(
        f"{base}/metadata",
        partial(_metadata, hub, started),
        methods=["GET"],
        name="capabilities",
    )
    return [metadata, *(_route(hub, path, methods) for path, methods in table)]


def _route(hub: Hub, path: str, methods: dict[str, Handler]) -> Route:
    async def endpoint(request: Request) -> Response:
        return await _answer(hub, request, methods)

    # Every method reaches the endpoint, which answers 405 as an OperationOutcome.
    every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Route(path, endpoint, methods=every)


async def _answer(hub: Hub, request: Request, methods: dict[str, Handler]) -> Response:
    method = "GET" if request.method == "HEAD" else request.method
    handler = methods.get(method)
    limit = hub.settings.max_body_bytes
    body = await _body(request, limit)
    if body is None:
        found = issue("HUB-REST-007", limit=limit)
        return _plain(answers.of_issues([found], 413))
    if request.method == "OPTIONS":
        return _plain(Answer(204, headers={"Allow": ", ".join(methods)}))
    if handler is None:
        answer = answers.of_issues([issue("HUB-REST-004")], 405)
        allowed = {**answer.headers, "Allow": ", ".join(methods)}
        return _plain(Answer(405, answer.body, allowed))
    try:
        call = read_call(request, body)
    except FhirError as error:
        return _plain(answers.of_issues(error.issues, error.status))
    answer = await run_in_threadpool(_handle, hub, handler, call)
    return answers.to_response(answer, call.request_id, call.correlation_id)


def _handle(hub: Hub, handler: Handler, call: Call) -> Answer:
    """Authenticate, act, and turn what goes wrong into an audited OperationOutcome."""
    actor: Actor | None = None
    try:
        actor = authenticate(
            hub.database, call.authorization, call.request_id, call.correlation_id
        )
        require_acceptable(call)
        return handler(hub, actor, call)
    except FhirError as error:
        return _refused(hub, actor, call, error.issues, error.status)
    except OperationalError as error:
        full = any(sign in str(error.orig).lower() for sign in _FULL)
        found = issue("HUB-REST-025" if full else "HUB-REST-017")
        log.error("database", request_id=call.request_id, full=full)  # noqa: TRY400 - the text holds SQL
        return answers.of_issues([found], found.kind.status)
    except Exception as error:  # noqa: BLE001 - the last line of defence (F18)
        # Without `--dev` no traceback: its values may be personal data.
        say = log.exception if hub.settings.dev else log.error
        say("internal error", request_id=call.request_id, kind=type(error).__name__)
        return answers.of_issues([issue("HUB-REST-002")], 500)


def _refused(
    hub: Hub,
    actor: Actor | None,
    call: Call,
    issues: tuple[Issue, ...],
    status: int,
) -> Answer:
    try:
        audit_refusal(hub, actor, call.method, issues)
    except DBAPIError:
        # No audit row, no answer (security.md §4).
        log.error("refusal not audited", request_id=call.request_id)  # noqa: TRY400
        return answers.of_issues([issue("HUB-REST-017")], 503)
    return answers.of_issues(issues, status)


async def _body(request: Request, limit: int) -> bytes | None:
    """The whole body; None when it exceeds the limit, counted on the stream (J6)."""
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            return None
        parts.append(chunk)
    return b"".join(parts)


async def _metadata(hub: Hub, started: str, _request: Request) -> Response:
    answer = answers.of_json(capability_statement(hub, started))
    cors = {"Access-Control-Allow-Origin": "*"}
    return _plain(Answer(200, answer.body, cors))


def _plain(answer: Answer) -> Response:
    return answers.to_response(answer, "", "")
