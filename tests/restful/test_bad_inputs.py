"""F18: every route, every method, whatever is wrong: an outcome, and nothing inside it.

The routes are asked of the application, so that a new one is tried here too.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from hub.app import create_app
from tests.running import FHIR_JSON, Caller, RunningHub
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key

SECRET = "架空秘密zq7"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_INSIDE = re.compile(
    r"Traceback|sqlalchemy|sqlite|psycopg|SELECT |INSERT |UPDATE |/hub/|\.py\b"
)

IN_PATHS = ("x", "%00", "%FF", "%ED%A0%80", "..%2F..%2Fetc", "'--", "a" * 300, "𠮷")
TYPES = ("Patient", "Task", "AuditEvent", "Organization", "Nonsense", "%00", "%FF")
QUERIES = (
    "_id=%00",
    "%00=1",
    "_id=%FF",
    f"{SECRET}=1",
    f"_count={'9' * 5000}",
    "_count=-1",
    "_count=1000000000",
    "_sort=%00",
    "_lastUpdated=ge99999999999-99-99",
    f"_lastUpdated={SECRET}",
    "_include=*",
    "_include=Task:patient:Nonsense:x",
    "_has:Task:patient:_id=%00",
    f"_format={SECRET}",
    "_summary=%00",
    "_elements=" + "a," * 2000,
    "&&&=&=",
    "%",
    "page=%00",
    "_since=%00",
)
BODIES = (
    b"",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"a":' * 5000,
    b'{"resourceType":"Patient","resourceType":"Task"}',
    b'{"resourceType":"\\u0000"}',
    b'{"resourceType":"Patient","id":"\\ud800"}',
    b'{"resourceType":"Patient","x":1e999}',
    b'{"resourceType":"Patient","x":NaN}',
    b'{"resourceType":"Patient","x":' + b"9" * 5000 + b"}",
    b'{"resourceType":"Bundle","type":"transaction","entry":{"a":1}}',
    b'{"resourceType":"Bundle","type":"batch","entry":[null,1,"x"]}',
    f'{{"resourceType":"Patient","gender":"{SECRET}"}}'.encode(),
    f'[{{"op":"{SECRET}","path":"/x"}}]'.encode(),
    f"<Patient><{SECRET}/></Patient>".encode(),
    b"\x00" * 100,
    b"PK\x03\x04" + b"\x00" * 40,
)
MEDIA = (
    FHIR_JSON,
    "application/json-patch+json",
    "application/fhir+xml",
    "application/x-www-form-urlencoded",
    "text/csv",
    SECRET.encode().hex(),
    "application/fhir+json; charset=utf-16",
    ";;;=",
)
HEADERS: tuple[Mapping[str, Any], ...] = (
    {"If-Match": 'W/"' + "9" * 5000 + '"'},
    {"If-Match": SECRET.encode()},
    {"If-None-Match": b"\xff"},
    {"If-Modified-Since": "Tue, 99 Nov 99999 99:99:99 GMT"},
    {"If-None-Exist": b"identifier=\xff"},
    {"If-None-Exist": "identifier=%00"},
    {"Prefer": b"return=\xff; handling=strict"},
    {"Accept": SECRET.encode()},
    {"Accept": "*/*;q=x,,;"},
    {"Idempotency-Key": b"\xff"},
    {"Idempotency-Key": "k" * 300},
    {"X-Request-ID": b"\xff" * 10},
    {"X-Correlation-ID": "c" * 5000},
    {"X-Provenance": SECRET.encode()},
    {"Content-Encoding": "gzip"},
)


@pytest.fixture
def paths(hub) -> list[str]:
    """Every path of the API and of intake, with values in the place of parameters."""
    app = create_app(hub.settings, hub.database)
    templates = [getattr(route, "path", "") for route in app.routes]
    filled = [
        path
        for template in templates
        if template.startswith(("/fhir/R4", "/intake"))
        and "/.well-known/" not in template
        for path in _filled(template)
    ]
    return list(dict.fromkeys(filled))


def test_F18_J8_no_path_is_too_odd(hub, source, paths):
    for path, method in itertools.product(paths, METHODS):
        _require_outcome(source, method, path)


def test_F18_J8_no_query_is_too_odd(hub, source, paths):
    plain = [path for path in paths if _is_plain(path)]
    for path, query in itertools.product(plain, QUERIES):
        _require_outcome(source, "GET", f"{path}?{query}")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        _require_outcome(source, "POST", path, content=query.encode(), headers=form)
        _require_outcome(source, "PUT", f"{path}?{query}", content=b"{}")


def test_F18_J_no_body_is_too_odd(hub, source, paths):
    plain = [path for path in paths if _is_plain(path)]
    for path, body in itertools.product(plain, BODIES):
        patch = "application/json-patch+json"
        for method, type in (("POST", FHIR_JSON), ("PUT", FHIR_JSON), ("PATCH", patch)):
            header = {"Content-Type": type}
            _require_outcome(source, method, path, content=body, headers=header)


def test_F18_no_header_is_too_odd(hub, source, paths):
    plain = [path for path in paths if _is_plain(path)]
    body = b'{"resourceType":"Patient","name":[{"text":"x"}]}'
    for path, headers in itertools.product(plain, HEADERS):
        for method in ("GET", "PUT"):
            content = None if method == "GET" else body
            _require_outcome(source, method, path, content=content, headers=headers)
    for type, odd in itertools.product(MEDIA, HEADERS):
        header: dict[str, Any] = {**odd, "Content-Type": type}
        for path in ("/fhir/R4", "/fhir/R4/Patient", "/intake/auto"):
            _require_outcome(source, "POST", path, content=body, headers=header)


@pytest.mark.parametrize("endpoint", ["token", "introspect", "revoke"])
def test_J8_J12_no_form_is_too_odd_for_the_authorization_server(hub, source, endpoint):
    """Answered in OAuth's words (RFC 6749 §5.2), on both databases."""
    odd = ("\x00", "\ud800", "\x07", SECRET, "é" * 300, "9" * 5000)
    names = ("grant_type", "client_id", "scope", "token", "client_assertion")
    for name, value in itertools.product(names, odd):
        form = {**_form(hub, source.client_id, endpoint), name: value}
        _require_oauth(_post(hub, endpoint, form))
    for value in ("\x00", "\x07", SECRET, "é" * 300):
        for claim in ("iss", "sub", "jti", "aud"):
            form = _form(hub, source.client_id, endpoint, **{claim: value})
            _require_oauth(_post(hub, endpoint, form))
    for raw in (b"", b"%", b"a=%FF", b"a=%00", b"\xff=1", b"{}", b"a" * 70_000):
        _require_oauth(_send(hub, endpoint, raw))


def test_a_broken_database_is_told_by_the_token_endpoint_in_oauths_words(hub, source):
    form = _form(hub, source.client_id, "token")
    with hub.database.engine.begin() as session:
        session.exec_driver_sql("ALTER TABLE smart_client RENAME TO client_gone")
    try:
        answer = _post(hub, "token", form)
    finally:
        with hub.database.engine.begin() as session:
            session.exec_driver_sql("ALTER TABLE client_gone RENAME TO smart_client")
    assert answer.status_code in (500, 503)
    assert answer.json()["error"] in ("server_error", "temporarily_unavailable")


def _filled(template: str) -> Iterator[str]:
    names = re.findall(r"\{(\w+)(?::\w+)?\}", template)
    choices = [TYPES if name == "type" else IN_PATHS for name in names]
    # One parameter odd at a time: all of them together is more of the same.
    usual = {"type": "Patient", "version": "1", "mapping": "auto"}
    for place, choice in enumerate(choices or [("",)]):
        for value in choice:
            filled = template
            for number, name in enumerate(names):
                put = value if number == place else usual.get(name, "x")
                filled = filled.replace(f"{{{name}:str}}", put)
                filled = filled.replace(f"{{{name}}}", put)
            yield filled


def _is_plain(path: str) -> bool:
    odd = ("%", "'", "aaa", "𠮷", "Nonsense", "AuditEvent", "Organization")
    return not any(one in path for one in odd)


def _require_outcome(caller: Caller, method: str, path: str, **kwargs) -> None:
    headers = {
        "Authorization": f"Bearer {caller.token}",
        "Content-Type": FHIR_JSON,
        **kwargs.pop("headers", {}),
    }
    answer = caller.http.request(method, path, headers=headers, **kwargs)
    told = (method, path[:200], headers, answer.status_code, answer.text[:300])
    assert answer.status_code < 500, told
    assert not _INSIDE.search(answer.text), told
    if answer.status_code < 400:
        return
    assert SECRET not in answer.text, told
    if method != "HEAD":
        assert answer.json()["resourceType"] == "OperationOutcome", told


def _form(
    hub: RunningHub, client_id: str, endpoint: str, **claims: str
) -> dict[str, str]:
    form = {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(
            client_id, ec_key(), hub.settings.token_url, None, **claims
        ),
    }
    if endpoint == "token":
        return {**form, "grant_type": "client_credentials", "scope": "system/Task.rs"}
    return {**form, "token": "x"}


def _post(hub: RunningHub, endpoint: str, form: dict[str, str]) -> httpx.Response:
    from urllib.parse import urlencode

    return _send(hub, endpoint, urlencode(form, errors="surrogatepass").encode())


def _send(hub: RunningHub, endpoint: str, raw: bytes) -> httpx.Response:
    media = {"Content-Type": "application/x-www-form-urlencoded"}
    return hub.http.post(f"/oauth/{endpoint}", content=raw, headers=media)


def _require_oauth(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert SECRET not in answer.text
    assert not _INSIDE.search(answer.text)
    if answer.status_code >= 400:
        assert isinstance(json.loads(answer.content)["error"], str)
