"""create_app(settings): the routers and the error handlers, nothing else."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub import audit
from hub.database import Database
from hub.delivery.fetch import Fetcher
from hub.fhir.outcome import issue
from hub.metrics import Metrics
from hub.packages import Packages
from hub.programmes.load import load
from hub.referrals.knowledge import Knowledge
from hub.restful import answers
from hub.restful.call import read_call
from hub.restful.formats import rendered
from hub.restful.hub import Hub
from hub.restful.routes import routes as fhir_routes
from hub.restful.served import searchable
from hub.settings import Settings
from hub.smart.routes import routes as oauth_routes
from hub.smart.signing import signing_keys


def create_app(
    settings: Settings,
    database: Database,
    wake: Callable[[], None] = lambda: None,
    anchor: Callable[[], None] = lambda: None,
) -> FastAPI:
    """The ASGI application over a migrated database.

    `wake` is called after a commit that may have queued a message, `anchor` after one
    that may have withdrawn a consent.
    """
    keys = signing_keys(settings)
    hub = make_hub(settings, database, wake, anchor)
    fetcher = make_fetcher(settings)
    app = FastAPI(
        title="つなぎハブ Tsunagi Hub",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "logs": False, "metrics": False},
        exception_handlers={HTTPException: _not_found, Exception: _broken},
    )
    app.router.routes.extend(oauth_routes(settings, database, fetcher, keys))
    app.router.routes.extend(_own_routes(database))
    app.router.routes.extend(fhir_routes(hub))
    return app


def make_hub(
    settings: Settings,
    database: Database,
    wake: Callable[[], None] = lambda: None,
    anchor: Callable[[], None] = lambda: None,
) -> Hub:
    """The hub's parts without its routes: for the app and for the command line."""
    audit.observe(database, settings.organization, settings.base_url)
    key = signing_keys(settings)[0].as_pem(private=True)
    return Hub(
        settings=settings,
        database=database,
        knowledge=know(settings),
        declared=searchable(),
        link_key=hashlib.sha256(key + b"links").digest(),
        wake=wake,
        anchor=anchor,
    )


def know(settings: Settings) -> Knowledge:
    """Profiles and programmes of the settings; raises with file and key when broken."""
    more = (settings.programmes,) if settings.programmes else ()
    return Knowledge(
        packages=Packages.load(settings.profiles, *more),
        programmes=load(settings.profiles / "programmes", *more),
        organisation=settings.organization,
        base=settings.fhir_base,
    )


def make_fetcher(settings: Settings) -> Fetcher:
    """The guarded outbound client as the settings want it."""
    hosts = [h.strip() for h in settings.delivery_allowed_hosts.split(",") if h.strip()]
    return Fetcher(
        dev=settings.dev, allowed_hosts=hosts, timeout=settings.delivery_timeout
    )


def _own_routes(database: Database) -> list[Route]:
    def live(_request: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    def ready(_request: Request) -> Response:
        try:
            with database.transaction(write=False) as session:
                session.exec_driver_sql("SELECT 1")
        except Exception:  # noqa: BLE001 - whatever it is, we are not ready
            return Response("not ready\n", 503, media_type="text/plain")
        return Response("ready\n", media_type="text/plain")

    measured = Metrics(database)

    def metrics(_request: Request) -> Response:
        return Response(measured.render(), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/livez", live),
        Route("/readyz", ready),
        Route("/metrics", metrics),
    ]


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    found = issue("HUB-REST-004" if status == 405 else "HUB-REST-003")  # noqa: PLR2004
    answer = answers.of_issues([found], status)
    if isinstance(error, HTTPException) and error.headers:
        answer = replace(answer, headers={**answer.headers, **error.headers})
    return _answered(request, answer)


async def _broken(request: Request, _error: Exception) -> Response:
    return _answered(request, answers.of_issues([issue("HUB-REST-002")], 500))


def _answered(request: Request, answer: answers.Answer) -> Response:
    call = read_call(request, b"")
    answer = rendered(answer, call)
    return answers.to_response(answer, call.request_id, call.correlation_id)
