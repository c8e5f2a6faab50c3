"""A stand-in for an outside system: a FHIR endpoint with its own OAuth server.

`python -m hub.demo.standin --name NAME --port N --hub-jwks URL --client-id ID` takes
messages of one client, the hub, whose key it reads from the hub's JWKS. What arrives
is kept in memory and shown at `/fhir/_received`, on this machine only.
"""

import argparse
import json
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

from hub.delivery.fetch import Fetcher
from hub.fhir.json import decode
from hub.fhir.outcome import FhirError

_SECONDS = 300
_ALGORITHMS = ["ES384", "RS384"]
_KINDS = {"document": "report"}


@dataclass
class StandIn:
    """Its tokens and what it received, in memory."""

    base: str
    hub_jwks: str
    client_id: str
    tokens: dict[str, float] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def token_url(self) -> str:
        return f"{self.base}/token"

    def configuration(self, _request: Request) -> Response:
        """SMART discovery."""
        return JSONResponse(
            {
                "token_endpoint": self.token_url,
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": _ALGORITHMS,
                "scopes_supported": ["system/*.cus"],
                "capabilities": ["client-confidential-asymmetric"],
            }
        )

    async def token(self, request: Request) -> Response:
        """client_credentials with private_key_jwt, and nothing else."""
        form = dict(parse_qsl((await request.body()).decode("ascii", "replace")))
        good = await run_in_threadpool(self._is_hub, form.get("client_assertion", ""))
        if form.get("grant_type") != "client_credentials" or not good:
            return JSONResponse({"error": "invalid_client"}, 401)
        token = secrets.token_urlsafe(32)
        self.tokens[token] = time.monotonic() + _SECONDS
        return JSONResponse(
            {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": _SECONDS,
                "scope": form.get("scope", ""),
            },
            headers={"Cache-Control": "no-store"},
        )

    async def receive(self, request: Request) -> Response:
        """POST to the base, or of a document to /Bundle; a repeat changes nothing."""
        if not self._is_authorised(request.headers.get("authorization", "")):
            return JSONResponse({"resourceType": "OperationOutcome"}, 401)
        try:
            bundle = decode(await request.body())
        except FhirError as error:
            return JSONResponse({"resourceType": "OperationOutcome"}, error.status)
        id = request.headers.get("idempotency-key") or secrets.token_hex(8)
        self.messages.setdefault(id, _summary(id, bundle))
        entries = [{"response": {"status": "200 OK"}} for _ in bundle.get("entry", ())]
        answer = {
            "resourceType": "Bundle",
            "type": "transaction-response",
            "entry": entries,
        }
        return JSONResponse(answer, media_type="application/fhir+json")

    def received(self, request: Request) -> Response:
        """What arrived, oldest first; for eyes on this machine."""
        if request.client is None or request.client.host != "127.0.0.1":
            return JSONResponse({"resourceType": "OperationOutcome"}, 404)
        return JSONResponse(list(self.messages.values()))

    def _is_authorised(self, header: str) -> bool:
        scheme, _, token = header.partition(" ")
        until = self.tokens.get(token.strip(), 0.0)
        return scheme.lower() == "bearer" and time.monotonic() < until

    def _is_hub(self, assertion: str) -> bool:
        """RFC 7523: signed by the hub, for this token URL, not used before."""
        try:
            raw = Fetcher(dev=True).request("GET", self.hub_jwks).content
            keys = KeySet.import_key_set(json.loads(raw))
            read = jwt.decode(assertion, keys, algorithms=_ALGORITHMS)
            rules = jwt.JWTClaimsRegistry(
                iss={"essential": True, "value": self.client_id},
                sub={"essential": True, "value": self.client_id},
                aud={"essential": True, "value": self.token_url},
                exp={"essential": True},
                jti={"essential": True},
            )
            rules.validate(read.claims)
        except (JoseError, ValueError):
            return False
        jti = str(read.claims["jti"])
        is_new = jti not in self.used
        self.used.add(jti)
        return is_new


def _summary(id: str, bundle: dict[str, Any]) -> dict[str, Any]:
    """What is shown of a message: its kind, types, Tasks, and sizes of PDFs."""
    resources = [entry.get("resource", {}) for entry in bundle.get("entry", ())]
    types = [resource.get("resourceType", "") for resource in resources]
    pdfs = [r["data"] for r in resources if r.get("resourceType") == "Binary"]
    kind = _KINDS.get(str(bundle.get("type")), "status")
    if "ServiceRequest" in types:
        kind = "referral"
    return {
        "id": id,
        "kind": kind,
        "types": types,
        "tasks": [r for r in resources if r.get("resourceType") == "Task"],
        "pdf_bytes": [len(data) * 3 // 4 for data in pdfs],
    }


def create_app(standin: StandIn) -> Starlette:
    """Every route below the FHIR base of the stand-in."""

    def live(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route("/fhir/livez", live),
            Route("/fhir/.well-known/smart-configuration", standin.configuration),
            Route("/fhir/token", standin.token, methods=["POST"]),
            Route("/fhir/_received", standin.received),
            Route("/fhir", standin.receive, methods=["POST"]),
            Route("/fhir/Bundle", standin.receive, methods=["POST"]),
        ]
    )


def main() -> None:
    """Run one stand-in until it is ended."""
    parser = argparse.ArgumentParser()
    for option in ("--name", "--hub-jwks", "--client-id"):
        parser.add_argument(option, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    base = f"http://127.0.0.1:{given.port}/fhir"
    app = create_app(StandIn(base, given.hub_jwks, given.client_id))
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="error")


if __name__ == "__main__":
    main()
