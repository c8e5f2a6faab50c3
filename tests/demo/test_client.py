"""What the client sends, seen by a server that answers like a hub."""

import json

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.demo.client import HubClient, RefusedError, generate_key, if_match
from hub.fhir.json import encode
from tests.smart.build import listening_socket, serve

TASK = {"resourceType": "Task", "id": "t1", "meta": {"versionId": "3"}}


class Answering:
    """A running server: discovery, a token endpoint, and answers given in advance."""

    def __init__(self, base):
        self.base = base
        self.answers: list[Response] = []
        self.sent = []

    async def token(self, _request: Request) -> Response:
        return ok({"access_token": "abc", "expires_in": 300})

    async def discovery(self, _request: Request) -> Response:
        return ok({"token_endpoint": f"{self.base}/token"})

    async def any(self, request: Request) -> Response:
        url = str(request.url)
        self.sent.append((request.method, url, request.headers, await request.body()))
        return self.answers.pop(0)

    def client(self, *answers):
        self.answers = list(answers)
        return HubClient(f"{self.base}/fhir", "c1", generate_key()[0])


def ok(value, status=200) -> Response:
    return Response(encode(value), status)


@pytest.fixture
def server():
    sock = listening_socket()
    made = Answering(f"http://127.0.0.1:{sock.getsockname()[1]}")
    every = ["GET", "POST", "PUT", "PATCH"]
    app = Starlette(
        routes=[
            Route("/token", made.token, methods=["POST"]),
            Route("/fhir/.well-known/smart-configuration", made.discovery),
            Route("/fhir/{path:path}", made.any, methods=every),
            Route("/fhir", made.any, methods=every),
        ]
    )
    with serve(app, sock):
        yield made


def test_a_change_names_the_version_that_was_read(server):
    client = server.client(ok(TASK), ok(TASK))
    client.put(TASK)
    client.patch(TASK, {"op": "replace", "path": "/status", "value": "accepted"})
    put, patch = server.sent
    assert put[:2] == ("PUT", f"{client.base_url}/Task/t1")
    assert put[2]["if-match"] == patch[2]["if-match"] == 'W/"3"'
    assert patch[2]["content-type"] == "application/json-patch+json"
    assert json.loads(patch[3])[0]["op"] == "replace"
    assert put[2]["authorization"] == "Bearer abc"
    assert if_match(TASK) == {"If-Match": 'W/"3"'}


def test_a_search_follows_its_pages_and_writes_parameters_as_fhir_does(server):
    entry = [{"resource": TASK}]
    after = [{"relation": "next", "url": f"{server.base}/fhir?page=2"}]
    client = server.client(
        ok({"resourceType": "Bundle", "entry": entry, "link": after}),
        ok({"resourceType": "Bundle", "entry": entry}),
    )
    found = client.search("Task", part_of="Task/1", _lastUpdated="ge2026-04-01")
    assert found == [TASK, TASK]
    first, second = (url for _, url, _, _ in server.sent)
    assert first == f"{client.base_url}/Task?part-of=Task%2F1&_lastUpdated=ge2026-04-01"
    assert second == f"{client.base_url}?page=2"


def test_a_refusal_gives_its_ids_and_sentences(server):
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"details": {"coding": [{"code": "HUB-X-001"}], "text": "直す"}}],
    }
    client = server.client(ok(outcome, 422), Response(b"<html>", 502))
    with pytest.raises(RefusedError) as refused:
        client.get("Task/t1")
    assert (refused.value.ids, refused.value.texts) == (["HUB-X-001"], ["直す"])
    with pytest.raises(RefusedError) as refused:
        client.get("Task/t1")
    assert (refused.value.status, refused.value.outcome) == (502, {})
