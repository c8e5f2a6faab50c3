"""A small FHIR server of somebody else: a hospital's endpoint, or a centre's system.

    python -m hub.demo.standin --name NAME --port N --hub-jwks URL --client-id ID

It stands in for a receiver: own SMART discovery and token endpoint (private_key_jwt,
checked against the hub's public keys), Bundles by POST with a bearer token, all in
memory, on loopback only. `GET <base>/_received` shows what came. Not for real data.
"""

import argparse
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hub.delivery.fetch import Fetcher, FetchError
from hub.demo import received
from hub.fhir.json import decode, decode_value, encode
from hub.fhir.outcome import FhirError

HOST = "127.0.0.1"
ALGORITHMS = ["ES384", "RS384"]
TOKEN_SECONDS = 300
_MAX_BYTES = 10_000_000
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class StandIn:
    """What one stand-in knows: whom it trusts, what it handed out, what it received."""

    name: str
    base: str
    hub_jwks: str
    client_id: str
    tokens: dict[str, float] = field(default_factory=dict)
    used: dict[str, object] = field(default_factory=dict)
    received: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def token_endpoint(self) -> str:
        return f"{self.base}/token"

    def discovery(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "token_endpoint": self.token_endpoint,
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
                "grant_types_supported": ["client_credentials"],
                "capabilities": ["client-confidential-asymmetric", "permission-v2"],
            }
        )

    async def token(self, request: Request) -> Response:
        """RFC 6749 §4.4 with RFC 7523: an opaque token, or one plain refusal."""
        raw = await _body(request)
        fields = parse_qsl((raw or b"").decode("ascii", "replace"))
        form = dict(fields)
        if len(form) != len(fields):
            return _oauth_error("invalid_request")
        if form.get("grant_type") != "client_credentials":
            return _oauth_error("unsupported_grant_type")
        if form.get("client_assertion_type") != _ASSERTION:
            return _oauth_error("invalid_client", 401)
        assertion = form.get("client_assertion", "")
        if not await run_in_threadpool(self._is_hub, assertion):
            return _oauth_error("invalid_client", 401)
        token = secrets.token_urlsafe(32)
        self.tokens[token] = time.monotonic() + TOKEN_SECONDS
        issued = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": form.get("scope", ""),
        }
        return JSONResponse(issued, headers={"Cache-Control": "no-store"})

    async def receive(self, request: Request) -> Response:
        """Take a transaction, batch or document Bundle, each message once."""
        if not self._is_known(request.headers.get("authorization", "")):
            return _outcome(401, "login", {"WWW-Authenticate": "Bearer"})
        key = request.headers.get("idempotency-key") or request.headers.get(
            "x-request-id"
        )
        raw = await _body(request)
        if raw is None:
            return _outcome(413, "too-long")
        try:
            bundle = decode(raw)
        except FhirError as error:
            return _outcome(error.status, "structure")
        if bundle["resourceType"] != "Bundle" or not key:
            return _outcome(400, "invalid")
        correlation = request.headers.get("x-correlation-id", "")
        kept = self.received.setdefault(
            key, received.message(key, correlation, bundle, raw)
        )
        if kept["raw"] != raw:
            return _outcome(422, "conflict")
        kept["times"] += 1
        return _fhir(received.answer(bundle, self.base))

    def overview(self, request: Request) -> Response:
        """What arrived, oldest first, without a name or a text in it."""
        if not _is_local(request):
            return _outcome(404, "not-found")
        shown = [
            {k: v for k, v in kept.items() if k != "raw"}
            for kept in self.received.values()
        ]
        return JSONResponse({"name": self.name, "received": shown})

    def one(self, request: Request) -> Response:
        kept = self.received.get(request.path_params["id"])
        if kept is None or not _is_local(request):
            return _outcome(404, "not-found")
        return Response(kept["raw"], media_type="application/fhir+json")

    def _is_known(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        until = self.tokens.get(token, 0.0)
        return scheme.lower() == "bearer" and time.monotonic() < until

    def _is_hub(self, assertion: str) -> bool:
        """SMART 2.2: signature by a published key, iss, sub, aud, exp, and jti once."""
        try:
            with Fetcher(dev=True, timeout=5) as fetcher:
                keys = decode_value(fetcher.request("GET", self.hub_jwks).content)
            found = jwt.decode(
                assertion, KeySet.import_key_set(keys), algorithms=ALGORITHMS
            )
            jwt.JWTClaimsRegistry(
                iss={"essential": True, "value": self.client_id},
                sub={"essential": True, "value": self.client_id},
                aud={"essential": True, "value": self.token_endpoint},
                exp={"essential": True},
                jti={"essential": True},
            ).validate(found.claims)
        except (FetchError, FhirError, JoseError, ValueError, KeyError, TypeError):
            return False
        mark = object()
        is_first = self.used.setdefault(str(found.claims["jti"]), mark) is mark
        is_short = found.claims["exp"] <= time.time() + TOKEN_SECONDS
        return is_first and is_short


def create_standin(name: str, base: str, hub_jwks: str, client_id: str) -> Starlette:
    """The ASGI application. `base` is its FHIR base, `hub_jwks` the hub's public keys,
    `client_id` the only client it knows: the hub.
    """
    own = StandIn(name, base.rstrip("/"), hub_jwks, client_id)
    return Starlette(
        routes=[
            Route("/livez", lambda _request: PlainTextResponse("ok")),
            Route("/fhir/.well-known/smart-configuration", own.discovery),
            Route("/fhir/token", own.token, methods=["POST"]),
            Route("/fhir", own.receive, methods=["POST"]),
            Route("/fhir/Bundle", own.receive, methods=["POST"]),
            Route("/fhir/_received", own.overview),
            Route("/fhir/_received/{id}", own.one),
        ]
    )


async def _body(request: Request) -> bytes | None:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > _MAX_BYTES:
            return None
    return bytes(received)


def _is_local(request: Request) -> bool:
    return request.client is not None and request.client.host in (HOST, "::1")


def _fhir(value: dict[str, Any], status: int = 200) -> Response:
    return Response(encode(value), status, media_type="application/fhir+json")


def _outcome(status: int, code: str, headers: dict[str, str] | None = None) -> Response:
    found = [{"severity": "error", "code": code}]
    answer = _fhir({"resourceType": "OperationOutcome", "issue": found}, status)
    answer.headers.update(headers or {})
    return answer


def _oauth_error(error: str, status: int = 400) -> Response:
    return JSONResponse({"error": error}, status, headers={"Cache-Control": "no-store"})


def main() -> None:
    """Serve until stopped; prints nothing but errors."""
    parser = argparse.ArgumentParser(prog="python -m hub.demo.standin")
    for option in ("--name", "--hub-jwks", "--client-id"):
        parser.add_argument(option, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    base = f"http://{HOST}:{given.port}/fhir"
    app = create_standin(given.name, base, given.hub_jwks, given.client_id)
    uvicorn.run(app, host=HOST, port=given.port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
