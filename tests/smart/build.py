"""Real keys, real assertions, a real server: what the OAuth tests are built from."""

import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hub.database import Database, metadata
from hub.delivery.fetch import Fetcher
from hub.fhir.outcome import FhirError
from hub.settings import Settings
from hub.smart import clients
from hub.smart.actors import authenticate, challenge
from hub.smart.routes import routes

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@cache
def ec_key(kid="ec", curve="P-384") -> ECKey:
    return ECKey.import_key(
        {**ECKey.generate_key(curve).as_dict(private=True), "kid": kid}
    )


@cache
def rsa_key(kid="rsa", bits=2048) -> RSAKey:
    return RSAKey.import_key(
        {**RSAKey.generate_key(bits).as_dict(private=True), "kid": kid}
    )


def public(*keys):
    return {"keys": [key.as_dict(private=False) for key in keys]}


@contextmanager
def serve(app, sock=None) -> Iterator[int]:
    """Run an ASGI app on a free loopback port, in a thread; yields the port."""
    sock = sock or listening_socket()
    config = uvicorn.Config(app, log_config=None, ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        sock.close()


def listening_socket() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def settings_for(base: str, state: Path) -> Settings:
    return Settings(dev=True, base_url=base, state=state)


@dataclass
class Hub:
    """A running hub: its token endpoint and one protected path, `/whoami`."""

    settings: Settings
    database: Database
    http: httpx.Client

    def register(self, *keys, **over) -> clients.Client:
        values = {
            "organization": "4619999917",
            "roles": {"source"},
            "jwks": public(*(keys or (ec_key(), rsa_key()))),
            **over,
        }
        with self.database.transaction() as session:
            return clients.register(session, **values)

    def assertion(self, client_id, key=None, *, header=None, **claims):
        return assertion(
            client_id, key or ec_key(), self.settings.token_url, header, **claims
        )

    def form(
        self, client_id, key=None, *, scope="system/Task.rs", header=None, **claims
    ):
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(client_id, key, header=header, **claims),
            "scope": scope,
        }

    def token(self, form) -> httpx.Response:
        return self.http.post("/oauth/token", data=form)

    def issue(self, client_id, scope="system/Task.rs") -> str:
        answer = self.token(self.form(client_id, scope=scope))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def introspect(self, client_id, token, **more) -> httpx.Response:
        return self._with_token("/oauth/introspect", client_id, token, more)

    def revoke(self, client_id, token, **more) -> httpx.Response:
        return self._with_token("/oauth/revoke", client_id, token, more)

    def whoami(self, *authorization, **kwargs) -> httpx.Response:
        headers = [("Authorization", value) for value in authorization]
        return self.http.get("/whoami", headers=headers, **kwargs)

    def _with_token(self, path, client_id, token, more) -> httpx.Response:
        form = self.form(client_id)
        del form["grant_type"], form["scope"]
        return self.http.post(path, data={**form, "token": token, **more})


def assertion(client_id, key, audience, header=None, **claims) -> str:
    """A good assertion but for what is overridden; a value of None is left out."""
    algorithm = "RS384" if isinstance(key, RSAKey) else "ES384"
    head = {"alg": algorithm, "kid": key.kid, "typ": "JWT", **(header or {})}
    body = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "exp": int(time.time()) + 120,
        "jti": str(uuid.uuid4()),
        **claims,
    }
    return jwt.encode(
        {k: v for k, v in head.items() if v is not None},
        {k: v for k, v in body.items() if v is not None},
        key,
        algorithms=[head["alg"]],
        default_type=None,
    )


@contextmanager
def running_hub(folder: Path, fetcher: Fetcher, database_url="") -> Iterator[Hub]:
    sock = listening_socket()
    base = f"http://127.0.0.1:{sock.getsockname()[1]}"
    settings = settings_for(base, folder)
    database = Database(database_url or f"sqlite:///{folder}/hub.db")
    metadata.create_all(database.engine)
    whoami = Route("/whoami", _whoami(database))
    app = Starlette(routes=[*routes(settings, database, fetcher), whoami])
    with serve(app, sock), httpx.Client(base_url=base, timeout=30) as http:
        yield Hub(settings, database, http)
    database.close()


def _whoami(database):
    def endpoint(request: Request) -> JSONResponse:
        try:
            actor = authenticate(
                database, request.headers.getlist("authorization"), "r1", "c1"
            )
        except FhirError as error:
            headers = {"WWW-Authenticate": value} if (value := challenge(error)) else {}
            body = {"ids": [i.id for i in error.issues]}
            return JSONResponse(body, status_code=error.status, headers=headers)
        return JSONResponse(
            {"client": actor.client_id, "organisation": actor.organisation}
        )

    return endpoint
