"""The HTTP face of the authorization server. Answers are RFC 6749, never FHIR."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import orjson
import structlog
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from joserfc.jwk import ECKey
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.audit.caller import enter
from hub.database import Database
from hub.delivery.fetch import Fetcher
from hub.fhir.outcome import FhirError, issue
from hub.settings import Settings
from hub.smart.authorize import Authorize
from hub.smart.discovery import authorization_server, smart_configuration
from hub.smart.door import Door
from hub.smart.keys import ClientKeys
from hub.smart.persons import is_issuer
from hub.smart.provider import Provider
from hub.smart.server import Answer, Server
from hub.smart.signing import login_key, public_jwks, signing_keys

MAX_BODY_BYTES = 64 * 1024
_MAX_FIELDS = 20
_ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}

log = structlog.get_logger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(
    settings: Settings,
    database: Database,
    fetcher: Fetcher,
    keys: Sequence[ECKey] | None = None,
    provider_fetcher: Fetcher | None = None,
) -> list[Route]:
    """All OAuth and discovery routes; none of them needs a token.

    `keys` are the hub's own (`signing_keys`), read from their file when not given;
    `provider_fetcher` may also call the OpenID provider. Raises FhirError HUB-AUTH-022
    to -026, -037, -038 when the settings are not safe to start.
    """
    require_safe(settings)
    own_keys = signing_keys(settings) if keys is None else keys
    server = Server(settings, database, ClientKeys(fetcher))
    door = Door(settings)
    smart = _document(smart_configuration(settings))
    posts = {
        "/oauth/token": server.token,
        "/oauth/introspect": server.introspect,
        "/oauth/revoke": server.revoke,
    }
    gets = {
        "/oauth/jwks": _document(public_jwks(own_keys)),
        "/.well-known/oauth-authorization-server": _document(
            authorization_server(settings)
        ),
        "/.well-known/smart-configuration": smart,
        "/fhir/R4/.well-known/smart-configuration": smart,
        "/.well-known/openid-configuration": _not_found,
        "/fhir/R4/.well-known/openid-configuration": _not_found,
        "/oauth/authorize": _not_found,
        "/oauth/callback": _not_found,
    }
    if settings.has_login:
        key = login_key(settings, own_keys)
        provider = Provider(settings, provider_fetcher or fetcher, key)
        is_secure = settings.base_url.startswith("https://")
        browser = Authorize(server, provider, is_secure=is_secure)
        gets["/oauth/authorize"] = _visit(server, browser.begin)
        gets["/oauth/callback"] = _visit(server, browser.finish)
    return [
        *(_route(path, _post(server, door, handle)) for path, handle in posts.items()),
        *(_route(path, endpoint) for path, endpoint in gets.items()),
    ]


def require_safe(settings: Settings) -> None:
    """Refuse to start where tokens could travel in clear text.

    Raises FhirError HUB-AUTH-025 (AUTHLIB_INSECURE_TRANSPORT), -026 (base URL), -037
    (OpenID provider).
    """
    if os.environ.get("AUTHLIB_INSECURE_TRANSPORT"):
        raise FhirError(issue("HUB-AUTH-025"))
    try:
        base = urlsplit(settings.base_url)
        base.port  # noqa: B018 - reading it raises when it is no number
    except ValueError:
        raise FhirError(issue("HUB-AUTH-026")) from None
    is_local = base.scheme == "http" and base.hostname in _LOOPBACK
    if not (base.scheme == "https" and base.hostname) and not is_local:
        raise FhirError(issue("HUB-AUTH-026"))
    if base.username or base.query or base.fragment:
        raise FhirError(issue("HUB-AUTH-026"))
    issuer, client_id = settings.oidc_issuer, settings.oidc_client_id
    if bool(issuer) != bool(client_id) or (issuer and not is_issuer(issuer)):
        raise FhirError(issue("HUB-AUTH-037"))


def _route(path: str, endpoint: Endpoint) -> Route:
    # All methods come here, so that 405 too is answered in OAuth's words.
    return Route(path, endpoint, methods=_ALL_METHODS, include_in_schema=False)


def _post(
    server: Server, door: Door, handle: Callable[[dict[str, str]], Answer]
) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if request.method != "POST":
            return _error(405, "invalid_request", {"Allow": "POST"})
        enter(request.client.host if request.client else None)
        address = request.client.host if request.client else ""
        try:
            form = await _form(request)
            act = handle
        except InvalidRequestError as error:
            # Through the same door: refusals are recorded, and must not fill the log.
            form, act = {}, partial(_refused, server, error)
        return await run_in_threadpool(_handled, door.handled, address, form, act)

    return endpoint


def _refused(server: Server, error: OAuth2Error, _form: dict[str, str]) -> Answer:
    return server.refuse_unread(error)


def _visit(
    server: Server, handle: Callable[[dict[str, str], Mapping[str, str]], Answer]
) -> Endpoint:
    """A page that a browser is sent to: parameters in the query, maybe cookies."""

    async def endpoint(request: Request) -> Response:
        if request.method != "GET":
            return _error(405, "invalid_request", {"Allow": "GET"})
        try:
            parameters = _fields(request.scope["query_string"])
        except InvalidRequestError as error:
            return _respond(server.refuse(error))
        return await run_in_threadpool(_handled, handle, parameters, request.cookies)

    return endpoint


def _handled(handle: Callable[..., Answer], *asked: object) -> Response:
    """The answer; what nobody foresaw in OAuth's words too, without a reason."""
    try:
        return _respond(handle(*asked))
    except (OperationalError, InterfaceError, PoolTimeoutError):
        # RFC 6749 §4.1.2.1 has the word; here it says that a retry may do.
        log.error("token-endpoint-busy")  # noqa: TRY400 - values may be secrets
        return _error(503, "temporarily_unavailable", {"Retry-After": "2"})
    except Exception as error:  # noqa: BLE001 - the last line of defence
        log.error("token-endpoint-failed", kind=type(error).__name__)  # noqa: TRY400
        return _error(500, "server_error", {})


async def _form(request: Request) -> dict[str, str]:
    """The form fields of the body, each at most once."""
    if request.url.query:
        # Query strings end in logs and histories.
        raise InvalidRequestError("Send parameters in the body, not in the URL.")
    media_type = request.headers.get("content-type", "").split(";")[0].strip()
    if media_type.lower() != "application/x-www-form-urlencoded":
        raise InvalidRequestError(
            "Content-Type must be application/x-www-form-urlencoded."
        )
    return _fields(await _body(request))


def _fields(raw: bytes) -> dict[str, str]:
    """Form or query fields, each at most once; raises InvalidRequestError."""
    try:
        fields = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(raw),
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        raise InvalidRequestError("The form cannot be read.") from None
    form = dict(fields)
    if len(form) != len(fields):
        raise InvalidRequestError("A parameter is repeated.")
    return form


async def _body(request: Request) -> bytes:
    # Counted on the stream: Content-Length may be absent or a lie.
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            raise InvalidRequestError("The body is too large.")
    return bytes(received)


def _document(value: object) -> Endpoint:
    body = orjson.dumps(value)

    async def endpoint(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _error(405, "invalid_request", {"Allow": "GET, HEAD"})
        return Response(
            body,
            media_type="application/json",
            headers={
                "Access-Control-Allow-Origin": "*",
                "Cache-Control": "public, max-age=300",
            },
        )

    return endpoint


async def _not_found(request: Request) -> Response:
    del request
    return _error(404, "not_found", {})


def _respond(answer: Answer) -> Response:
    return Response(
        answer.body,
        status_code=answer.status,
        media_type="application/json",
        headers=dict(answer.headers),
    )


def _error(status: int, code: str, headers: dict[str, str]) -> Response:
    return Response(
        orjson.dumps({"error": code}),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", "Pragma": "no-cache", **headers},
    )
