"""What every route does on the wire: reader, media types, limits, methods, headers."""

import json
import shutil
from pathlib import Path

import pytest

from tests.restful.build import (
    HOSPITAL,
    a_bundle,
    a_patient,
    a_referral,
    get,
    ids,
    refusal,
    stored,
    submit,
)
from tests.running import FHIR_JSON, running_hub

PATIENT = json.dumps(a_patient(), ensure_ascii=False).encode()


def _with(extra: str) -> bytes:
    return b'{"resourceType":"Patient",' + extra.encode() + b"}"


# The reader (security.md §7).

BAD = {
    "J1 not UTF-8": ("HUB-JSON-002", b'{"resourceType":"Patient","x":"\xff"}'),
    "J1 UTF-16": ("HUB-JSON-002", '{"resourceType":"Patient"}'.encode("utf-16")),
    "J2 byte order mark": ("HUB-JSON-003", b"\xef\xbb\xbf" + PATIENT),
    "J3 one key twice": ("HUB-JSON-005", _with('"active":true,"active":false')),
    "J4 NaN": ("HUB-JSON-007", _with('"x":NaN')),
    "J4 Infinity": ("HUB-JSON-007", _with('"x":-Infinity')),
    "J4 1e999": ("HUB-JSON-007", _with('"x":1e999')),
    "J4 huge exponent": ("HUB-JSON-007", _with('"x":6e' + "9" * 40)),
    "J4 tiny exponent": ("HUB-JSON-007", _with('"x":-0.0e-' + "9" * 40)),
    "J5 depth": ("HUB-JSON-006", b'{"x":' * 65 + b"1" + b"}" * 65),
    "J5 depth of lists": ("HUB-JSON-006", b"[" * 5000 + b"]" * 5000),
    "J7 5000 digits": ("HUB-JSON-007", _with('"x":' + "9" * 5000)),
    "J7 19 digits": ("HUB-JSON-007", _with('"x":' + "9" * 19)),
    "J8 escaped NUL": ("HUB-JSON-008", _with('"language":"\\u0000"')),
    "J8 lone surrogate": ("HUB-JSON-008", _with('"language":"\\ud800"')),
    "J8 control character": ("HUB-JSON-008", _with('"language":"\\u0007"')),
    "J8 raw control character": ("HUB-JSON-004", _with('"language":"\x07"')),
    "J9 a list": ("HUB-JSON-009", b"[]"),
    "J9 a text": ("HUB-JSON-009", b'"Patient"'),
    "J9 no resourceType": ("HUB-JSON-009", b"{}"),
    "J9 resourceType a list": ("HUB-JSON-009", b'{"resourceType":["Patient"]}'),
    "J11 empty": ("HUB-JSON-001", b""),
    "J11 blank": ("HUB-JSON-001", b"  \n"),
    "J12 cut off": ("HUB-JSON-004", PATIENT[:-1]),
    "J12 two documents": ("HUB-JSON-004", PATIENT + PATIENT),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("POST", "/Patient"),
        ("PUT", "/ServiceRequest/x"),
        ("PUT", "/ServiceRequest?identifier=a"),
        ("POST", "/HealthcareService/$route"),
    ],
)
def test_J_what_two_readers_could_understand_differently_is_400(
    hub, source, method, path, name
):
    id, raw = BAD[name]
    before = stored(hub)
    answer = source.request(method, path, content=raw)
    assert refusal(answer) == (400, id)
    assert stored(hub) == before


@pytest.mark.parametrize(
    "name", [n for n in BAD if not n.startswith(("J9", "J12 two"))]
)
def test_J_the_same_rules_hold_for_a_patch(source, name):
    id, raw = BAD[name]
    header = {"Content-Type": "application/json-patch+json"}
    answer = source.request("PATCH", "/Patient/x", content=raw, headers=header)
    assert refusal(answer) == (400, id)


def test_J12_an_error_never_repeats_what_was_sent(source):
    secret = "架空の秘密"
    for raw in (
        _with(f'"active":"{secret}"'),
        _with(f'"{secret}":1'),
        _with(f'"gender":"{secret}"'),
        f"{secret}".encode(),
    ):
        answer = source.request("POST", "/Patient", content=raw)
        assert 400 <= answer.status_code < 500
        assert secret not in answer.text
    for path in (f"/Patient?{secret}=1", f"/Task?status:{secret}=x", f"/{secret}/1"):
        answer = source.get(path)
        assert 400 <= answer.status_code < 500
        assert secret not in answer.text


@pytest.mark.parametrize(
    ("query", "id"),
    [
        ("name=%00", "HUB-JSON-008"),
        ("%00=x", "HUB-JSON-008"),
        ("name=%ff", "HUB-JSON-002"),
        ("name=%ed%a0%80", "HUB-JSON-002"),
        ("name=%07", "HUB-SEARCH-013"),
    ],
)
def test_J8_control_characters_in_a_query_are_400(source, query, id):
    assert refusal(source.get(f"/Patient?{query}")) == (400, id)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = source.request(
        "POST", "/Patient/_search", content=query.encode(), headers=form
    )
    assert refusal(answer) == (400, id)
    assert refusal(source.get(f"/Patient/x?{query}"))[0] == 400


def test_RS1_a_bad_query_without_a_token_is_401(hub):
    assert hub.http.get("/fhir/R4/Patient?name=%ff").status_code == 401


# Limits.


@pytest.fixture(scope="module")
def small(tmp_path_factory, sqlite_template: Path):
    """A hub with low limits."""
    folder = tmp_path_factory.mktemp("small")
    shutil.copyfile(sqlite_template, folder / "hub.db")
    limits = {"max_body_bytes": 2000, "max_bundle_entries": 3, "max_depth": 10}
    with running_hub(f"sqlite:///{folder}/hub.db", folder, **limits) as hub:
        yield hub.caller(HOSPITAL, "source")


def test_J6_the_body_is_counted_on_the_stream(small):
    """No Content-Length says how long it will be."""
    pieces = (b" " * 500 for _ in range(5))
    answer = small.request("POST", "/Patient", content=pieces)
    assert refusal(answer) == (413, "HUB-REST-007")
    assert "2000" in answer.text
    exact = PATIENT + b" " * (2000 - len(PATIENT))
    assert small.request("POST", "/Patient", content=exact).status_code == 201
    assert small.request("POST", "/Patient", content=exact + b" ").status_code == 413


def test_J6_a_body_over_the_limit_is_refused_on_every_route(small):
    for method, path in (("PUT", "/Patient/x"), ("POST", ""), ("POST", "/intake/auto")):
        answer = small.request(method, path, content=b" " * 2001)
        assert refusal(answer) == (413, "HUB-REST-007")


def test_a_bundle_has_a_most_of_entries(small):
    entries = [get("Patient/x")] * 4
    for type in ("batch", "transaction"):
        answer = small.post("", a_bundle(*entries, type=type))
        assert refusal(answer) == (413, "HUB-REST-015")
        assert small.post("", a_bundle(*entries[:3], type=type)).status_code != 413


def test_J5_the_depth_is_a_setting_on_every_route(small):
    deep = b'{"resourceType":"Patient","x":' + b"[" * 10 + b"]" * 10 + b"}"
    for method, path in (
        ("POST", ""),
        ("POST", "/Patient"),
        ("PUT", "/Patient/x"),
        ("POST", "/HealthcareService/$route"),
    ):
        answer = small.request(method, path, content=deep)
        assert refusal(answer) == (400, "HUB-JSON-006"), path


# Media types.


@pytest.mark.parametrize(
    "media",
    [
        "application/fhir+turtle",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/fhir+json; charset=shift_jis",
        'application/fhir+json; charset="iso-8859-1"',
        "nonsense",
        "",
    ],
)
def test_F15_another_content_type_or_charset_is_415(hub, source, media):
    before, header = stored(hub), {"Content-Type": media}
    for method, path in (
        ("POST", ""),
        ("POST", "/Patient"),
        ("PUT", "/ServiceRequest/x"),
    ):
        answer = source.request(method, path, content=PATIENT, headers=header)
        assert refusal(answer) == (415, "HUB-REST-005")
    assert stored(hub) == before


@pytest.mark.parametrize(
    "media",
    [
        "application/fhir+json",
        "application/json",
        "APPLICATION/JSON",
        "application/json+fhir",
        "application/fhir+json; charset=utf-8",
        'application/fhir+json;charset="UTF-8"',
        "application/fhir+json; fhirVersion=4.0",
    ],
)
def test_F15_the_json_types_of_real_clients_are_taken(source, media):
    header = {"Content-Type": media}
    body = json.dumps(a_referral()).encode()
    assert source.request("POST", "", content=body, headers=header).status_code == 200


def test_a_posted_search_is_a_form(source):
    for media in ("application/json", "text/plain"):
        header = {"Content-Type": media}
        answer = source.request(
            "POST", "/Patient/_search", content=b"name=x", headers=header
        )
        assert refusal(answer) == (415, "HUB-REST-026")


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "",
        "application/json",
        "application/fhir+json",
        "application/fhir+json, */*; q=0.1",
        "application/json+fhir",
        "application/fhir+xml;q=0.4, application/fhir+json;q=0.5",
        "application/*",
        "text/html,application/xhtml+xml,*/*;q=0.8",
    ],
)
def test_F15_accept_headers_of_real_clients_get_fhir_json(source, accept):
    made = submit(source)["Patient"]
    answer = source.get(f"/{made}", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == FHIR_JSON


@pytest.mark.parametrize(
    "accept",
    ["application/fhir+turtle", "text/html", "application/fhir+json;q=0", "*/*;q=0.0"],
)
def test_F15_another_accept_is_406(source, accept):
    made = submit(source)["Patient"]
    for path in (f"/{made}", "/Patient", "/metadata"):
        answer = source.get(path, headers={"Accept": accept})
        assert refusal(answer) == (406, "HUB-REST-006")


@pytest.mark.parametrize(
    ("format_", "status"),
    [
        ("json", 200),
        ("application/json", 200),
        ("application/fhir+json", 200),
        ("application/fhir%2Bjson", 200),
        ("ttl", 406),
        ("application/fhir%2Bturtle", 406),
        ("html", 406),
    ],
)
def test_F15_format_goes_before_accept(source, format_, status):
    made = submit(source)["Patient"]
    accept = "application/fhir+turtle" if status == 200 else FHIR_JSON
    for path in (f"/{made}", "/Patient", "/metadata", f"/{made}/_history"):
        answer = source.get(f"{path}?_format={format_}", headers={"Accept": accept})
        assert answer.status_code == status, path


def test_F15_the_format_of_a_posted_search_counts(source):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = source.request(
        "POST", "/Patient/_search", content=b"_format=ttl", headers=form
    )
    assert refusal(answer) == (406, "HUB-REST-006")


# Methods and paths (F18).


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("", "POST, GET, HEAD, OPTIONS"),
        ("/", "POST, GET, HEAD, OPTIONS"),
        ("/_search", "POST, OPTIONS"),
        ("/Patient/x/Observation", "GET, HEAD, OPTIONS"),
        ("/Patient/x/*", "GET, HEAD, OPTIONS"),
        ("/Patient/x/Observation/_search", "POST, OPTIONS"),
        ("/metadata", "GET, HEAD, OPTIONS"),
        ("/Patient", "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"),
        ("/Patient/_history", "GET, HEAD, OPTIONS"),
        ("/_history", "GET, HEAD, OPTIONS"),
        ("/Patient/x", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"),
        ("/EpisodeOfCare", "GET, HEAD, OPTIONS"),
        ("/EpisodeOfCare/x", "GET, HEAD, OPTIONS"),
        ("/Provenance/x", "GET, DELETE, HEAD, OPTIONS"),
        ("/Binary/x", "GET, PUT, DELETE, HEAD, OPTIONS"),
        ("/Organization/x", "GET, PUT, PATCH, HEAD, OPTIONS"),
        ("/AuditEvent/x", "GET, HEAD, OPTIONS"),
        ("/Patient/_search", "POST, OPTIONS"),
        ("/Patient/x/_history", "GET, HEAD, OPTIONS"),
        ("/Patient/x/_history/1", "GET, HEAD, OPTIONS"),
        ("/HealthcareService/$route", "POST, OPTIONS"),
    ],
)
def test_F18_options_and_405_tell_what_is_allowed(hub, source, path, allow):
    answer = hub.http.options(f"/fhir/R4{path}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Allow"] == allow
    wrong = next(
        m for m in ("DELETE", "PUT", "PATCH", "POST", "TRACE") if m not in allow
    )
    answer = source.request(wrong, path)
    assert refusal(answer) == (405, "HUB-REST-004")
    assert answer.headers["Allow"] == allow


@pytest.mark.parametrize(
    "path",
    [
        "/fhir",
        "/fhir/R5/Patient",
        "/fhir/R4/Patient/x/y",
        "/fhir/R4/Patient/x/",
        "/fhir/R4/Patient/",
        "/fhir/R4/Patient/x/_history/1/",
        "/fhir/R4//Patient",
        "/fhir/R4/Patient/$everything",
        "/fhir/R4/Patient/x/$everything",
        "/fhir/R4/$export",
        "/nothing",
        "/redoc",
    ],
)
def test_F18_an_unknown_path_is_404_as_an_outcome_and_never_a_redirect(
    hub, source, path
):
    header = {"Authorization": f"Bearer {source.token}"}
    for method in ("GET", "POST"):
        answer = hub.http.request(method, path, headers=header)
        assert answer.status_code in (404, 405), path
        assert ids(answer)[0] in ("HUB-REST-001", "HUB-REST-003", "HUB-REST-004")
        assert "Location" not in answer.headers


@pytest.mark.parametrize("path", ["", "/"])
def test_the_base_is_the_same_with_and_without_a_slash(source, path):
    assert source.post(path, a_referral()).status_code == 200


def test_the_base_url_is_the_settings_and_not_the_host_headers(hub, source):
    made = submit(source)["Patient"]
    answer = source.get("/Patient?_count=1", headers={"Host": "evil.example"})
    assert "evil.example" not in answer.text
    assert hub.settings.fhir_base in answer.json()["link"][0]["url"]
    assert made


# Ids of the request.


def test_request_and_correlation_ids_are_echoed(hub, source):
    header = {"X-Request-ID": "anfrage-1", "X-Correlation-ID": "fall-1"}
    calls = [
        source.get("/Patient", headers=header),
        source.get("/Patient/x", headers=header),
        source.request("DELETE", "/Patient", headers=header),
        source.request("OPTIONS", "/Patient", headers=header),
        source.get("/metadata", headers=header),
        source.get("/Patient/x/y/z", headers=header),
        source.request("POST", "/Patient", content=b"x", headers=header),
        hub.http.get("/fhir/R4/Patient", headers=header),
    ]
    for answer in calls:
        assert answer.headers["X-Request-ID"] == "anfrage-1"
        assert answer.headers["X-Correlation-ID"] == "fall-1"


def test_a_request_without_an_id_gets_one(source):
    first, second = source.get("/Patient"), source.get("/Patient")
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    assert "X-Correlation-ID" not in first.headers


@pytest.mark.parametrize("id", ["", "x" * 256, "with space", "caf\u00e9"])
def test_an_id_that_could_spoil_a_log_is_replaced(source, id):
    raw = {"X-Request-ID": id.encode("latin-1")}
    answer = source.get("/Patient", headers=raw)
    assert answer.status_code == 200
    assert answer.headers["X-Request-ID"].encode() != id.encode("latin-1")


def test_the_ids_stand_in_the_audit_log(source, privacy):
    header = {"X-Request-ID": "im-protokoll", "X-Correlation-ID": "fall-2"}
    assert source.get("/Patient/x", headers=header).status_code == 404
    log = privacy.read("/AuditEvent?_count=5")
    found = [e["resource"] for e in log["entry"] if "im-protokoll" in str(e)]
    assert len(found) == 1
    assert "fall-2" in str(found[0])
