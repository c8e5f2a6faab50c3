"""What every answer says to a browser, and bodies that never end."""

import json
import socket
import threading
import time
from pathlib import Path

import pytest
from starlette.routing import Route
from uvicorn import Config, Server

from hub.app import create_app
from hub.database import Database
from hub.openapi.routes import _ASSETS
from hub.running.protocol import Impatient
from hub.settings import Settings
from tests.restful.build import HOSPITAL, a_caller, refusal
from tests.running import running_hub
from tests.smart.build import listening_socket

EVERY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PUBLIC = {"/oauth/jwks", "/.well-known/oauth-authorization-server",
          "/.well-known/smart-configuration", "/openapi.json",
          "/fhir/R4/.well-known/smart-configuration"}  # fmt: skip
CORS = PUBLIC | {"/fhir/R4/metadata"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory, sqlite_template: Path):
    import shutil

    folder = tmp_path_factory.mktemp("guarded")
    shutil.copyfile(sqlite_template, folder / "hub.db")
    with running_hub(f"sqlite:///{folder}/hub.db", folder, drafts=True) as made:
        yield made


def paths(hub):
    """A path for every route that the application has."""
    app = create_app(hub.settings, hub.database)
    known = {"type": "Patient", "id": "none", "version": "1", "within": "Task",
             "mapping": "yoshiki1", "asset": "swagger-ui.css"}  # fmt: skip
    found = [route for route in app.routes if isinstance(route, Route)]
    assert len(found) > 30
    return [route.path_format.format(**known) for route in found]


def require_safe(answer):
    headers = {name.lower(): value for name, value in answer.headers.items()}
    for name, value in EVERY.items():
        assert headers.get(name) == value, (answer.request.url, name)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "camera=()" in headers["permissions-policy"]
    assert (
        len([k for k, _ in answer.headers.multi_items() if k == "cache-control"]) == 1
    )


def test_AB23_AB24_AB25_every_answer_of_every_route_says_what_a_browser_may_do(hub):
    caller = a_caller(hub, HOSPITAL)
    with_token = {"Authorization": f"Bearer {caller.token}"}
    seen = set()
    for path in [*paths(hub), "/nowhere", "/fhir/R4/Nothing"]:
        for method in METHODS:
            for headers in ({}, with_token):
                answer = hub.http.request(method, path, headers=headers)
                require_safe(answer)
                seen.add(answer.status_code)
                cached = answer.headers["Cache-Control"]
                is_public = path in PUBLIC or path.startswith("/docs/")
                assert is_public or "no-store" in cached, (path, cached)
    assert {200, 204, 400, 401, 404, 405} <= seen


def test_AB25_content_is_private_an_attachment_and_never_shown(hub):
    caller = a_caller(hub, HOSPITAL)
    html = b"<script>alert(1)</script>"
    sent = caller.request(
        "POST", "/Binary", content=html, headers={"Content-Type": "text/html"}
    )
    answer = caller.get(f"/Binary/{sent.json()['id']}", headers={"Accept": "*/*"})
    assert answer.content == html
    require_safe(answer)
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_the_documentation_may_load_its_own_scripts_and_no_other(hub):
    answer = hub.http.get("/docs")
    require_safe(answer)
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    for asset in _ASSETS:
        require_safe(hub.http.get(f"/docs/{asset}"))


def test_D10_other_origins_read_what_is_public_and_nothing_else(hub):
    caller = a_caller(hub, HOSPITAL)
    headers = {
        "Origin": "https://elsewhere.example",
        "Authorization": f"Bearer {caller.token}",
    }
    for path in paths(hub):
        for method in ("GET", "OPTIONS"):
            answer = hub.http.request(method, path, headers=headers)
            allowed = answer.headers.get("Access-Control-Allow-Origin")
            assert "access-control-allow-credentials" not in answer.headers
            if path not in CORS:
                assert allowed is None, path
            elif method == "GET":
                assert allowed == "*", path


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("https://hub.example.jp", "max-age=31536000"),
        ("http://127.0.0.1:8080", None),
    ],
)
def test_behind_https_a_browser_is_told_to_stay_there(hub, base, said, tmp_path):
    import httpx

    settings = hub.settings.model_copy(update={"base_url": base})
    app = create_app(settings, hub.database)
    sock = listening_socket()
    with _serving(app, sock) as url:
        answer = httpx.get(f"{url}/livez")
    assert answer.headers.get("Strict-Transport-Security") == said


class _Serving:
    def __init__(self, server, sock):
        self.server = server
        self.sock = sock
        self.thread = threading.Thread(target=server.run, args=([sock],))

    def __enter__(self):
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{self.sock.getsockname()[1]}"

    def __exit__(self, *_):
        self.server.should_exit = True
        self.thread.join()


def _serving(app, sock, **more):
    return _Serving(Server(Config(app, log_config=None, **more)), sock)


@pytest.fixture(scope="module")
def slow(hub):
    """A server that waits half a second, for heads and for bodies."""

    class Quick(Impatient):
        head_seconds = 0.5

    settings = hub.settings.model_copy(update={"body_seconds": 0.5})
    database = Database(hub.settings.database_url)
    sock = listening_socket()
    with _serving(create_app(settings, database), sock, http=Quick):
        yield sock.getsockname()
    database.close()


def _talk(address, *parts: bytes) -> bytes:
    """Send the parts, then nothing more; all that is answered until the end."""
    with socket.create_connection(address, timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def _head(hub, path: str, length: str, *more: str) -> bytes:
    caller = a_caller(hub, HOSPITAL)
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: hub",
        f"Authorization: Bearer {caller.token}",
        "Content-Type: application/fhir+json",
        length,
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    "length", ["Content-Length: 100", "Transfer-Encoding: chunked"]
)
def test_AB26_a_body_that_does_not_come_is_408(hub, slow, length):
    part = b'5\r\n{"res\r\n' if "chunked" in length else b'{"res'
    said = _talk(slow, _head(hub, "/fhir/R4/Patient", length), part)
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert b"nosniff" in head
    outcome = json.loads(body)
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == "HUB-REST-113"


def test_AB26_a_stalled_token_request_is_408_in_oauths_words(hub, slow):
    said = _talk(slow, _head(hub, "/oauth/token", "Content-Length: 100").replace(
        b"application/fhir+json", b"application/x-www-form-urlencoded"))  # fmt: skip
    assert said.startswith(b"HTTP/1.1 408 ")
    assert json.loads(said.partition(b"\r\n\r\n")[2]) == {"error": "invalid_request"}


def test_AB26_a_stalled_body_is_told_in_xml_to_who_reads_xml(hub, slow):
    head = _head(
        hub, "/fhir/R4/Patient", "Content-Length: 9", "Accept: application/fhir+xml"
    )
    assert b"<OperationOutcome" in _talk(slow, head)


@pytest.mark.parametrize("sent", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nX: "])
def test_AB26_a_head_that_does_not_come_ends_the_connection(slow, sent):
    began = time.monotonic()
    assert _talk(slow, sent).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 15


def test_AB26_slow_connections_keep_nobody_waiting(hub, slow):
    """A hundred of them, and a good request beside them is answered at once."""
    import httpx

    slow_ones = [socket.create_connection(slow, timeout=20) for _ in range(100)]
    try:
        for one in slow_ones:
            one.sendall(b"POST /fhir/R4/Patient HTTP/1.1\r\nHost: hub\r\nContent-Le")
        caller = a_caller(hub, HOSPITAL)
        answer = httpx.get(
            f"http://127.0.0.1:{slow[1]}/fhir/R4/Patient",
            headers={"Authorization": f"Bearer {caller.token}"},
            timeout=20,
        )
        assert answer.status_code == 200
    finally:
        for one in slow_ones:
            one.close()


def test_a_body_that_comes_in_pieces_is_taken(hub, slow):
    body = b'{"resourceType": "Patient"}'
    head = _head(
        hub, "/fhir/R4/Patient", f"Content-Length: {len(body)}", "Connection: close"
    )
    said = _talk(slow, head, body[:5], body[5:20], body[20:])
    assert said.startswith(b"HTTP/1.1 201 ")


def test_a_refusal_has_the_headers_too(hub):
    answer = hub.http.get("/fhir/R4/Patient")
    assert refusal(answer)[0] == 401
    require_safe(answer)


def test_the_time_a_body_may_take_is_a_setting():
    assert Settings(dev=True, body_seconds=3).body_seconds == 3
