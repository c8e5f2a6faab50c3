"""The admin API: who may use the hub, over HTTP, each change in the log (R5)."""

import json

import pytest

from hub.smart import administer, clients
from hub.smart.administer import OPERATOR
from tests.restful.build import CENTRE, HOSPITAL, a_caller, ids, refusal
from tests.running import Caller
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key, public

BACK = "https://portal.example.jp/back"


@pytest.fixture
def admin(hub):
    return hub.caller("tsunagi-hub", "admin")


def a_client(**over):
    return {
        "organization": HOSPITAL,
        "roles": ["source"],
        "jwks": public(ec_key()),
        **over,
    }


def made(admin, **over):
    answer = admin.post("/admin/clients", a_client(**over))
    assert answer.status_code == 201, answer.text
    return answer.json()


def change(admin, client_id, **changes):
    path = f"/admin/clients/{client_id}"
    return admin.request("PATCH", path, content=json.dumps(changes), headers=JSON)


JSON = {"Content-Type": "application/json"}


def token_of(hub, client_id, key=None, scope="system/Task.rs"):
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(
            client_id, key or ec_key(), hub.settings.token_url
        ),
        "scope": scope,
    }
    return hub.http.post("/oauth/token", data=form)


def a_caller_of(hub, client_id):
    answer = token_of(hub, client_id)
    assert answer.status_code == 200, answer.text
    return Caller(hub.http, client_id, HOSPITAL, answer.json()["access_token"])


def told(hub, value):
    """What the log says of a client or person, newest first."""
    privacy = hub.caller("tsunagi-hub", "privacy")
    return [
        one
        for one in privacy.search("/AuditEvent?_count=500")
        if any(
            e["what"].get("identifier", {}).get("value") == value
            for e in one.get("entity", ())
            if "what" in e
        )
    ]


PATHS = [
    ("GET", "/admin/clients"),
    ("POST", "/admin/clients"),
    ("GET", "/admin/clients/x"),
    ("PATCH", "/admin/clients/x"),
    ("GET", "/admin/persons"),
    ("POST", "/admin/persons"),
    ("GET", "/admin/persons/x"),
    ("PATCH", "/admin/persons/x"),
]
WORDS = [f"{kind}.{one}" for kind in ("SmartClient", "SmartPerson") for one in "scru"]
NEEDED = dict(zip(PATHS, WORDS, strict=True))


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_RS3_RS8_each_way_needs_its_own_letter_and_all_types_are_not_enough(
    hub, method, path
):
    everything = a_caller(hub, HOSPITAL, scopes="system/*.cruds system/AuditEvent.rs")
    others = " ".join(
        f"system/{w}" for w in NEEDED.values() if w != NEEDED[method, path]
    )
    almost = hub.caller("tsunagi-hub", "admin", scope=others)
    for caller in (everything, almost):
        answer = caller.request(method, path, content=b"{}", headers=JSON)
        assert refusal(answer) == (403, "HUB-AUTH-003")
    exactly = hub.caller("tsunagi-hub", "admin", scope=f"system/{NEEDED[method, path]}")
    answer = exactly.request(method, path, content=b"{}", headers=JSON)
    assert answer.status_code != 403, answer.text


def test_AB18_all_types_asked_for_never_bring_the_administration(hub):
    for role, scopes in (("admin", None), ("source", "system/*.cruds")):
        with hub.database.transaction() as session:
            made = clients.register(
                session,
                organization=HOSPITAL,
                roles={role},
                scopes=scopes,
                jwks=public(ec_key()),
            )
        granted = token_of(hub, made.client_id, scope="system/*.cruds").json()
        assert "Smart" not in granted.get("scope", "")


def test_a_client_is_registered_read_and_listed(hub, admin):
    one = made(admin, client_name="試験病院", scope="system/Task.read")
    assert one["scope"] == "system/Task.rs"
    assert one["jwks"] == public(ec_key())
    assert one["enabled"] is True
    assert one["high_assurance"] is False
    assert one["grant_types"] == ["client_credentials"]
    read = admin.get(f"/admin/clients/{one['client_id']}")
    assert read.headers["Content-Type"] == "application/json"
    assert read.headers["Cache-Control"] == "no-store"
    assert read.json() == one
    listed = admin.get("/admin/clients").json()["clients"]
    assert one in listed
    assert token_of(hub, one["client_id"]).status_code == 200


def test_a_created_client_has_its_place(hub, admin):
    answer = admin.post("/admin/clients", a_client(client_id="hospital-by-api"))
    place = f"{hub.settings.base_url}/admin/clients/hospital-by-api"
    assert answer.headers["Location"] == place
    again = admin.post("/admin/clients", a_client(client_id="hospital-by-api"))
    assert refusal(again) == (409, "HUB-AUTH-019")


def test_R5_a_client_stops_and_starts_at_once(hub, admin):
    one = made(admin)["client_id"]
    caller = a_caller_of(hub, one)
    assert caller.get("/Task").status_code == 200
    assert change(admin, one, enabled=False).json()["enabled"] is False
    assert refusal(caller.get("/Task")) == (401, "HUB-AUTH-002")
    assert token_of(hub, one).status_code == 401
    assert change(admin, one, enabled=True).json()["enabled"] is True
    assert caller.get("/Task").status_code == 200
    assert token_of(hub, one).status_code == 200


def test_a_narrowed_scope_counts_for_tokens_that_live(hub, admin):
    one = made(admin)["client_id"]
    caller = a_caller_of(hub, one)
    assert caller.get("/Task").status_code == 200
    assert change(admin, one, scope="system/Patient.r").status_code == 200
    assert refusal(caller.get("/Task")) == (403, "HUB-AUTH-003")


def test_replaced_keys_count_at_once(hub, admin):
    one = made(admin)["client_id"]
    change(admin, one, jwks=public(ec_key("new")))
    assert token_of(hub, one).status_code == 401
    assert token_of(hub, one, ec_key("new")).status_code == 200
    by_url = change(admin, one, jwks_uri="https://hospital.example.jp/jwks").json()
    assert by_url["jwks_uri"] == "https://hospital.example.jp/jwks"
    assert "jwks" not in by_url
    both = change(admin, one, jwks=public(ec_key()), jwks_uri="https://a.example/j")
    assert refusal(both) == (422, "HUB-AUTH-012")


def test_what_is_not_named_stays(hub, admin):
    before = made(admin, default_scope="system/Task.rs")
    one = before["client_id"]
    after = change(admin, one, client_name="別名").json()
    assert after == {**before, "client_name": "別名"}
    assert change(admin, one, default_scope=None).json()["default_scope"] is None
    both = {"grant_types": ["authorization_code", "client_credentials"]}
    after = change(admin, one, **both, redirect_uris=[BACK], scope="user/Task.rs")
    assert after.json()["redirect_uris"] == [BACK]
    assert after.json()["scope"] == "user/Task.rs"
    assert change(admin, one, high_assurance=True).json()["high_assurance"] is True
    answer = token_of(hub, one)
    assert answer.json()["error"] == "unauthorized_client"


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"organization": "4600000000"}, (422, "HUB-AUTH-046")),
        ({"organization": None}, (400, "HUB-AUTH-047")),
        ({"roles": "source"}, (400, "HUB-AUTH-047")),
        ({"roles": [5]}, (400, "HUB-AUTH-047")),
        ({"roles": ["king"]}, (422, "HUB-AUTH-011")),
        ({"roles": ["admin"]}, (403, "HUB-AUTH-045")),
        ({"scope": "system/SmartClient.r"}, (403, "HUB-AUTH-045")),
        ({"scope": "system/SmartPerson.cruds"}, (403, "HUB-AUTH-045")),
        ({"scope": "user/Task.r"}, (422, "HUB-AUTH-017")),
        ({"scope": 5}, (400, "HUB-AUTH-047")),
        ({"jwks": None}, (400, "HUB-AUTH-047")),
        ({"jwks": {}}, (422, "HUB-AUTH-013")),
        ({"introspects": True}, (400, "HUB-AUTH-044")),
        ({"enabled": False}, (400, "HUB-AUTH-044")),
        ({"surprise": "試験 花子"}, (400, "HUB-AUTH-044")),
        ({"grant_types": []}, (422, "HUB-AUTH-030")),
        ({"grant_types": ["password"]}, (422, "HUB-AUTH-030")),
        ({"grant_types": ["authorization_code"]}, (422, "HUB-AUTH-031")),
        ({"redirect_uris": [BACK]}, (422, "HUB-AUTH-031")),
        ({"high_assurance": 1}, (400, "HUB-AUTH-047")),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_and_nothing_is_kept(hub, admin, over, expected):
    before = admin.get("/admin/clients").json()
    answer = admin.post("/admin/clients", a_client(**over))
    assert refusal(answer) == expected
    assert "花子" not in answer.text
    assert "surprise" not in answer.text
    assert admin.get("/admin/clients").json() == before


@pytest.mark.parametrize(
    "uri",
    [
        "http://portal.example.jp/back",
        "https://portal.example.jp/back#x",
        "https://user@portal.example.jp/",
        "javascript:alert(1)",
        "/back",
        "https://portal.example.jp/" + "x" * 2000,
        "",
    ],
)
def test_a_redirect_uri_is_a_whole_https_url(admin, uri):
    over = {"grant_types": ["authorization_code"], "redirect_uris": [uri]}
    answer = admin.post("/admin/clients", a_client(**over))
    assert refusal(answer) == (422, "HUB-AUTH-032")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "HUB-JSON-001")),
        (b"{", (400, "HUB-JSON-")),
        (b"[]", (400, "HUB-AUTH-044")),
        (b"{}", (400, "HUB-AUTH-044")),
        (b'{"enabled":false,"enabled":true}', (400, "HUB-JSON-")),
        (b'{"enabled":"no"}', (400, "HUB-AUTH-047")),
        (b'{"roles":["privacy"]}', (400, "HUB-AUTH-044")),
        (b'{"organization":"x"}', (400, "HUB-AUTH-044")),
        (b"[" * 100, (400, "HUB-JSON-")),
    ],
    ids=str,
)
def test_a_change_that_cannot_be_read_is_refused(admin, body, expected):
    path = f"/admin/clients/{made(admin)['client_id']}"
    answer = admin.request("PATCH", path, content=body, headers=JSON)
    status, id_ = refusal(answer)
    assert status == expected[0]
    assert id_.startswith(expected[1])
    other = admin.request("PATCH", path, content=body, headers={"Content-Type": "a/b"})
    assert refusal(other) == (415, "HUB-AUTH-043")


def test_what_is_not_there_is_404_and_other_methods_405(admin):
    for one in ("nobody", "%00", "' OR 1=1"):
        assert refusal(admin.get(f"/admin/clients/{one}")) == (404, "HUB-AUTH-020")
        assert refusal(change(admin, one, enabled=False)) == (404, "HUB-AUTH-020")
        assert refusal(admin.get(f"/admin/persons/{one}")) == (404, "HUB-AUTH-036")
    for path in ("/admin/clients", "/admin/clients/x", "/admin/persons/x"):
        answer = admin.request("DELETE", path)
        assert refusal(answer) == (405, "HUB-REST-004")
        assert "GET" in answer.headers["Allow"]
    assert refusal(admin.get("/admin/clients?page=2")) == (400, "HUB-SEARCH-001")


def test_no_administrator_is_made_or_changed_over_http(hub, admin):
    other = hub.caller(CENTRE, "admin").client_id
    for one in (admin.client_id, other):
        for changes in ({"enabled": False}, {"scope": "system/*.cruds"}):
            answer = change(admin, one, **changes)
            assert refusal(answer) == (403, "HUB-AUTH-045")
    plain = made(admin)["client_id"]
    answer = change(admin, plain, scope="system/SmartPerson.c")
    assert refusal(answer) == (403, "HUB-AUTH-045")
    assert admin.get(f"/admin/clients/{plain}").json()["scope"] != ""
    # The operator may, on the machine itself.
    with hub.database.transaction() as session:
        stopped = administer.change_client(session, OPERATOR, other, enabled=False)
    assert not stopped.enabled


def test_every_change_and_every_look_is_in_the_log(hub, admin):
    one = made(admin)["client_id"]
    change(admin, one, client_name="別名", scope="system/Task.r")
    change(admin, one, enabled=False)
    admin.get(f"/admin/clients/{one}")
    seen = told(hub, one)
    assert [e["action"] for e in seen] == ["R", "U", "U", "C"]
    assert {e["subtype"][0]["code"] for e in seen} == {"110137"}
    details = [
        d["valueString"]
        for e in seen
        for d in e["entity"][0].get("detail", ())
        if d["type"] == "changed"
    ]
    assert details[0] == "disabled"
    assert details[1] == "name scopes"
    assert "jwks" in details[2]
    assert "別名" not in repr(seen)
    for event in seen:
        assert event["agent"][0]["who"]["identifier"]["value"] == admin.client_id
    refused = change(admin, one, scope="nonsense")
    assert ids(refused) == ["HUB-AUTH-017"]
    privacy = hub.caller("tsunagi-hub", "privacy")
    last = privacy.search("/AuditEvent?_count=20")
    assert any(e.get("outcomeDesc") == "HUB-AUTH-017" for e in last)


def role_at(hub, organisation, **over):
    body = {
        "resourceType": "PractitionerRole",
        "organization": {"reference": f"Organization/{organisation}"},
        **over,
    }
    answer = a_caller(hub, organisation).post("/PractitionerRole", body)
    assert answer.status_code == 201, answer.text
    return f"PractitionerRole/{answer.json()['id']}"


def a_person(hub, **over):
    return {
        "organization": HOSPITAL,
        "practitioner": role_at(hub, HOSPITAL),
        "issuer": "https://idp.example.jp",
        "subject": "sub-1",
        **over,
    }


def test_a_person_is_registered_read_listed_and_stopped(hub, admin):
    body = a_person(hub, subject="by-api")
    answer = admin.post("/admin/persons", body)
    assert answer.status_code == 201, answer.text
    one = answer.json()
    assert {k: one[k] for k in body} == body
    assert answer.headers["Location"].endswith(f"/admin/persons/{one['id']}")
    assert admin.get(f"/admin/persons/{one['id']}").json() == one
    assert one in admin.get("/admin/persons").json()["persons"]
    again = admin.post("/admin/persons", body)
    assert refusal(again) == (409, "HUB-AUTH-035")
    stop = json.dumps({"enabled": False})
    path = f"/admin/persons/{one['id']}"
    changed = admin.request("PATCH", path, content=stop, headers=JSON)
    assert changed.json() == {**one, "enabled": False}
    assert [e["action"] for e in told(hub, one["id"])] == ["U", "R", "C"]
    assert "by-api" not in repr(told(hub, one["id"]))


def test_a_practitioner_with_a_role_there_may_log_in(hub, admin):
    writer = a_caller(hub, HOSPITAL)
    person = writer.post("/Practitioner", {"resourceType": "Practitioner"}).json()
    reference = f"Practitioner/{person['id']}"
    body = a_person(hub, practitioner=reference, subject="a practitioner")
    answer = admin.post("/admin/persons", body)
    assert refusal(answer) == (422, "HUB-AUTH-033")
    role_at(hub, HOSPITAL, practitioner={"reference": reference})
    assert admin.post("/admin/persons", body).status_code == 201


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"practitioner": "PractitionerRole/none"}, (422, "HUB-AUTH-033")),
        ({"practitioner": f"Organization/{HOSPITAL}"}, (422, "HUB-AUTH-033")),
        ({"practitioner": "x"}, (422, "HUB-AUTH-033")),
        ({"organization": CENTRE}, (422, "HUB-AUTH-033")),
        ({"issuer": "http://idp.example.jp"}, (422, "HUB-AUTH-034")),
        ({"issuer": "idp"}, (422, "HUB-AUTH-034")),
        ({"subject": ""}, (422, "HUB-AUTH-034")),
        ({"subject": "x" * 256}, (422, "HUB-AUTH-034")),
        ({"subject": "é"}, (422, "HUB-AUTH-034")),
        ({"subject": 5}, (400, "HUB-AUTH-047")),
        ({"subject": None}, (400, "HUB-AUTH-047")),
        ({"name": "試験 花子"}, (400, "HUB-AUTH-044")),
    ],
    ids=str,
)
def test_a_person_that_does_not_fit_is_refused(hub, admin, over, expected):
    answer = admin.post("/admin/persons", a_person(hub, **over))
    assert refusal(answer) == expected
    assert "花子" not in answer.text


def test_one_whose_role_has_ended_is_nobody_there(hub, admin):
    role = role_at(hub, HOSPITAL, active=False)
    answer = admin.post("/admin/persons", a_person(hub, practitioner=role))
    assert refusal(answer) == (422, "HUB-AUTH-033")
