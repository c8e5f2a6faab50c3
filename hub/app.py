"""create_app(settings): the routers and the error handlers, nothing else."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hub import audit, sealing
from hub.allowance import Allowance
from hub.database import Database
from hub.delivery.fetch import Fetcher
from hub.fhir.outcome import issue
from hub.guarded import Guarded, safe_headers
from hub.metrics import Metrics
from hub.migrations import is_current
from hub.openapi.routes import routes as openapi_routes
from hub.packages import Packages
from hub.programmes.load import load
from hub.proxied import Proxied, proxy_secret
from hub.referrals.knowledge import Knowledge
from hub.restful import answers
from hub.restful.call import read_call
from hub.restful.formats import rendered
from hub.restful.hub import Hub
from hub.restful.routes import FhirRoute
from hub.restful.routes import routes as fhir_routes
from hub.restful.served import searchable
from hub.sealing.body import is_readable
from hub.sealing.keys import content_keys
from hub.settings import NOWHERE, Settings
from hub.smart.routes import routes as oauth_routes
from hub.smart.signing import signing_keys
from hub.subscriptions import secrets
from hub.subscriptions.judge import Rules
from hub.subscriptions.topic import topics
from hub.traffic import Traffic


def create_app(
    settings: Settings,
    database: Database,
    wake: Callable[[], None] = lambda: None,
    anchor: Callable[[], None] = lambda: None,
    *,
    is_read_only: bool = False,
    is_sealing: Callable[[], bool] = lambda: True,
) -> FastAPI:
    """The ASGI application over a migrated database.

    `wake` is called after a commit that may have queued a message, `anchor` after one
    that may have withdrawn a consent. `is_read_only` after a restore (K7); `is_sealing`
    says whether the audit log is being sealed and anchored, for readiness.
    """
    keys = signing_keys(settings)
    hub = make_hub(settings, database, wake, anchor)
    hub = replace(hub, is_read_only=is_read_only)
    fetcher = make_fetcher(settings)
    app = FastAPI(
        title="つなぎハブ Tsunagi Hub",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "logs": False, "metrics": False},
        exception_handlers={
            HTTPException: _not_found,
            Exception: partial(_broken, safe_headers(settings)),
        },
    )
    measured = Metrics(database)
    # With `--dev` a person reads the log: only what went wrong.
    tells = not settings.dev
    app.add_middleware(Guarded, settings=settings)
    if secret := proxy_secret(settings):
        app.add_middleware(Proxied, secret=secret)
    app.add_middleware(Traffic, requests=measured.requests, tells=tells)
    provider = make_provider_fetcher(settings)
    app.router.routes.extend(oauth_routes(settings, database, fetcher, keys, provider))
    app.router.routes.extend(_own_routes(database, measured, is_sealing))
    app.router.routes.extend(fhir_routes(hub))
    app.router.routes.extend(openapi_routes(hub, lambda: app.router.routes))
    require_policy(app.router.routes)
    return app


# Who asks for these needs no token: nothing behind them is about a case.
OPEN = (
    *("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/{asset}"),
    *("/fhir/R4/metadata", "/fhir/R4/.well-known/", "/.well-known/", "/oauth/"),
)


def require_policy(routes: Iterable[BaseRoute]) -> None:
    """Refuse to start with a route that is neither open nor answered to an Actor.

    LookupError names it (security.md AB35): only `hub.restful.routes` authenticates.
    """
    for route in routes:
        path = str(getattr(route, "path", route))
        is_open = any(path == o or (o[-1] == "/" and path.startswith(o)) for o in OPEN)
        made_in = getattr(getattr(route, "endpoint", None), "__module__", "")
        if not is_open and made_in != FhirRoute.__module__:
            raise LookupError(f"the route {path} has no policy")


def make_hub(
    settings: Settings,
    database: Database,
    wake: Callable[[], None] = lambda: None,
    anchor: Callable[[], None] = lambda: None,
) -> Hub:
    """The hub's parts without its routes: for the app and for the command line."""
    audit.observe(database, settings.organization, settings.base_url)
    sealing.keep(database, content_keys(settings))
    keys = signing_keys(settings)
    key = keys[0].as_pem(private=True)
    knowledge = know(settings)
    return Hub(
        settings=settings,
        database=database,
        knowledge=knowledge,
        declared=searchable(),
        link_key=hashlib.sha256(key + b"links").digest(),
        wake=wake,
        anchor=anchor,
        allowance=Allowance(settings.rate_per_second, settings.rate_burst),
        subscribable=Rules(
            base=settings.fhir_base,
            dev=settings.dev,
            hosts=_allowed_hosts(settings),
            topics=topics(knowledge.packages.all()),
            keys=secrets.keys(keys),
        ),
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
    return Fetcher(
        dev=settings.dev,
        allowed_hosts=_allowed_hosts(settings),
        timeout=settings.delivery_timeout,
    )


def make_provider_fetcher(settings: Settings) -> Fetcher:
    """The guarded client for the OpenID provider: its host is allowed by naming it."""
    issuer = settings.oidc_issuer.partition("://")[2].partition("/")[0]
    return Fetcher(dev=settings.dev, allowed_hosts=(*_allowed_hosts(settings), issuer))


def _allowed_hosts(settings: Settings) -> tuple[str, ...]:
    hosts = settings.delivery_allowed_hosts.split(",")
    found = tuple(host.strip() for host in hosts if host.strip())
    return () if found == (NOWHERE,) else found


def _own_routes(
    database: Database, measured: Metrics, is_sealing: Callable[[], bool]
) -> list[Route]:
    def live(_request: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    def ready(_request: Request) -> Response:
        try:
            if not is_current(database):
                return Response("not migrated\n", 503, media_type="text/plain")
            with database.transaction(write=False) as session:
                is_open = is_readable(session)
            is_ready = is_open and database.has_room()
        except Exception:  # noqa: BLE001 - whatever it is, we are not ready
            is_ready = False
        if is_ready and not is_sealing():
            return Response("audit log not sealed\n", 503, media_type="text/plain")
        if not is_ready:
            return Response("not ready\n", 503, media_type="text/plain")
        return Response("ready\n", media_type="text/plain")

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


async def _broken(
    safe: Mapping[str, str], request: Request, _error: Exception
) -> Response:
    # Starlette answers this outside of every middleware.
    answer = answers.of_issues([issue("HUB-REST-002")], 500)
    return _answered(request, replace(answer, headers={**safe, **answer.headers}))


def _answered(request: Request, answer: answers.Answer) -> Response:
    call = read_call(request, b"")
    answer = rendered(answer, call)
    return answers.to_response(answer, call.request_id, call.correlation_id)
