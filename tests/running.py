"""A running hub for tests: real HTTP, real tokens, real database, directory loaded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from hub.app import create_app
from hub.database import Database
from hub.fhir.canonical import CASE_ID
from hub.running.parts import make_worker
from hub.running.prepare import import_directory
from hub.settings import Settings
from hub.smart import clients
from tests.smart.build import (
    ASSERTION_TYPE,
    assertion,
    ec_key,
    listening_socket,
    public,
    serve,
)

FHIR_JSON = "application/fhir+json"


@dataclass
class Caller:
    """A client of the hub with its token; every verb returns httpx's response."""

    http: httpx.Client
    client_id: str
    organisation: str
    token: str

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        is_admin = path.startswith("/admin")
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json" if is_admin else FHIR_JSON,
            **kwargs.pop("headers", {}),
        }
        url = path if is_admin or path.startswith("/intake") else f"/fhir/R4{path}"
        return self.http.request(method, url, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        if body is not None:
            kwargs["json"] = body
        return self.request("POST", path, **kwargs)

    def put(self, path: str, body: Any, **kwargs: Any) -> httpx.Response:
        return self.request("PUT", path, json=body, **kwargs)

    def read(self, path: str) -> dict[str, Any]:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def search(self, path: str) -> list[dict[str, Any]]:
        return [
            entry["resource"]
            for entry in self.read(path).get("entry", ())
            if entry["search"]["mode"] != "outcome"
        ]

    def change(self, task: dict[str, Any], **changes: Any) -> httpx.Response:
        """PUT a Task with some elements changed, under If-Match; None removes."""
        changed = {k: v for k, v in {**task, **changes}.items() if v is not None}
        return self.put(
            f"/Task/{task['id']}",
            changed,
            headers={"If-Match": f'W/"{task["meta"]["versionId"]}"'},
        )

    def move(self, task: dict[str, Any], **changes: Any) -> dict[str, Any]:
        answer = self.change(task, **changes)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@dataclass
class RunningHub:
    """`base` is the hub's root URL; callers are made by `caller`."""

    settings: Settings
    database: Database
    http: httpx.Client
    _callers: dict[tuple[str, ...], Caller] = field(default_factory=dict)

    def caller(
        self, organisation: str, *roles: str, scope: str | None = None
    ) -> Caller:
        key = (organisation, *roles, scope or "")
        if key not in self._callers:
            self._callers[key] = self._make(organisation, roles, scope)
        return self._callers[key]

    def _make(
        self, organisation: str, roles: tuple[str, ...], scope: str | None
    ) -> Caller:
        with self.database.transaction() as session:
            made = clients.register(
                session,
                organization=organisation,
                roles=set(roles),
                jwks=public(ec_key()),
            )
        answer = self.http.post(
            "/oauth/token",
            data={
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion(
                    made.client_id, ec_key(), self.settings.token_url, None
                ),
                "scope": scope or made.scopes,
            },
        )
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        return Caller(self.http, made.client_id, organisation, token)

    @contextmanager
    def delivering(self) -> Iterator[None]:
        """The worker, in a thread, while inside."""
        worker, stop = make_worker(self.settings, self.database), threading.Event()
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            worker.wake.set()
            thread.join()


@contextmanager
def running_hub(
    database_url: str, state: Path, **settings: Any
) -> Iterator[RunningHub]:
    """Start the hub on a migrated database and import the directory it ships with."""
    sock = listening_socket()
    base = f"http://127.0.0.1:{sock.getsockname()[1]}"
    given = {"dev": True, "base_url": base, **settings}
    made = Settings(state=state, database_url=database_url, **given)
    database = Database(database_url, made.request_seconds)
    import_directory(made, database)
    app = create_app(made, database)
    with serve(app, sock), httpx.Client(base_url=base, timeout=30) as http:
        yield RunningHub(made, database, http)
    database.close()


def correlation(task: dict[str, Any]) -> str:
    """The case's correlation id in a Task."""
    assert task["groupIdentifier"]["system"] == CASE_ID
    return str(task["groupIdentifier"]["value"])
