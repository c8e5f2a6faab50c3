"""A stand-in for an OpenID provider: a real HTTP server that signs with joserfc.

It checks what a strict provider checks: the hub's assertion against the hub's JWKS,
PKCE, the redirect URI, one use of a code. `over`, `header` and `key` spoil id_tokens.
"""

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.smart.build import ec_key, listening_socket, public, serve

CLIENT_ID = "the-hub"


@dataclass
class Provider:
    """`subject` is who logs in next; `answers` False makes it refuse the login."""

    issuer: str
    hub_jwks: Any = None
    subject: str = "person-1"
    answers: bool = True
    says_iss: bool = True
    iss: str = ""
    over: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    key: ECKey | None = None
    published: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)
    jtis: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """As after the start: each test spoils one thing for itself."""
        self.subject, self.answers, self.says_iss, self.iss = "person-1", True, True, ""
        self.over, self.header, self.key, self.published = {}, {}, None, None

    def discovery(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "authorization_response_iss_parameter_supported": True,
                **self.metadata,
            }
        )

    def jwks(self, _request: Request) -> Response:
        return JSONResponse(self.published or public(ec_key("provider")))

    def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.seen.append(asked)
        assert asked["response_type"] == "code"
        assert asked["scope"] == "openid"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        back = {"state": asked["state"]}
        if self.says_iss:
            back["iss"] = self.iss or self.issuer
        if self.answers:
            back["code"] = secrets.token_urlsafe(16)
            self.codes[back["code"]] = asked
        else:
            back["error"] = "access_denied"
        url = f"{asked['redirect_uri']}?{urlencode(back)}"
        return RedirectResponse(url, 302)

    async def token(self, request: Request) -> Response:
        form = {k: v[0] for k, v in parse_qs((await request.body()).decode()).items()}
        with self.lock:
            asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or not self._is_ours(form, asked):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(
            {
                "access_token": "unused",
                "token_type": "Bearer",
                "id_token": self.id_token(asked["nonce"]),
            }
        )

    def id_token(self, nonce: str) -> str:
        key = self.key or ec_key("provider")
        now = int(time.time())
        header = {"alg": "ES384", "kid": "provider", "typ": "JWT", **self.header}
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT_ID,
            "exp": now + 60,
            "iat": now,
            "nonce": nonce,
            **self.over,
        }
        return jwt.encode(
            {k: v for k, v in header.items() if v is not None},
            {k: v for k, v in claims.items() if v is not None},
            key,
            algorithms=[header["alg"]],
            default_type=None,
        )

    def _is_ours(self, form: dict[str, str], asked: dict[str, str]) -> bool:
        keys = KeySet.import_key_set(self.hub_jwks())
        claims = jwt.decode(form["client_assertion"], keys, ["ES384"]).claims
        used = claims["jti"] in self.jtis
        self.jtis.add(claims["jti"])
        hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
        return (
            not used
            and claims["iss"] == claims["sub"] == CLIENT_ID
            and claims["aud"] == f"{self.issuer}/token"
            and claims["exp"] <= time.time() + 300
            and challenge == asked["code_challenge"]
            and form["redirect_uri"] == asked["redirect_uri"]
            and form["grant_type"] == "authorization_code"
        )


@contextmanager
def running_provider() -> Iterator[Provider]:
    sock = listening_socket()
    made = Provider(f"http://127.0.0.1:{sock.getsockname()[1]}")
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", made.discovery),
            Route("/jwks", made.jwks),
            Route("/authorize", made.authorize),
            Route("/token", made.token, methods=["POST"]),
        ]
    )
    with serve(app, sock):
        yield made


def browser() -> httpx.Client:
    """Keeps cookies and follows nothing by itself."""
    limits = httpx.Limits(max_keepalive_connections=0)  # leaves no socket open
    return httpx.Client(follow_redirects=False, timeout=30, limits=limits)
