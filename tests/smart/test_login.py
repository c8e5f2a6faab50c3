"""authorization_code: a person logs in, through real HTTP, at a real provider.

Each test but the first spoils one thing of a login that would work.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest
import time_machine
from joserfc.jwk import ECKey, OctKey
from sqlalchemy import select

from hub.smart import clients, persons
from hub.smart.authorization_code import AuthorizationCode
from hub.smart.roles import ROLES
from hub.smart.tables import code as code_table
from hub.smart.tables import login as login_table
from tests.restful.build import (
    CENTRE,
    HOSPITAL,
    OTHER_HOSPITAL,
    a_caller,
    refusal,
    submit,
)
from tests.restful.conftest import module_url  # noqa: F401 - a fixture
from tests.running import Caller, RunningHub, running_hub
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key, public, rsa_key
from tests.smart.provider import CLIENT_ID, browser, running_provider

BACK = "https://portal.example.jp/back?tab=1"
SCOPE = "user/Task.rs user/Patient.rs"


@pytest.fixture(scope="module")
def provider():
    with running_provider() as made:
        yield made


@pytest.fixture(scope="module")
def hub(module_url, provider, tmp_path_factory):  # noqa: F811 - pytest's way
    state = tmp_path_factory.mktemp("login")
    settings = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT_ID}
    with running_hub(module_url, state, drafts=False, **settings) as made:
        provider.hub_jwks = lambda: made.http.get("/oauth/jwks").json()
        yield made


@pytest.fixture(autouse=True)
def honest(provider):
    provider.reset()
    yield
    provider.reset()


def role_at(hub, organisation):
    """A PractitionerRole of an organisation, put into its directory."""
    body = {
        "resourceType": "PractitionerRole",
        "active": True,
        "organization": {"reference": f"Organization/{organisation}"},
    }
    answer = a_caller(hub, organisation).post("/PractitionerRole", body)
    assert answer.status_code == 201, answer.text
    return f"PractitionerRole/{answer.json()['id']}"


def enrol(hub, organisation=HOSPITAL, subject=None):
    """Somebody of an organisation who may log in, under a subject of their own."""
    practitioner = role_at(hub, organisation)
    with hub.database.transaction() as session:
        return persons.register(
            session,
            organization=organisation,
            practitioner=practitioner,
            issuer=hub.settings.oidc_issuer,
            subject=subject or secrets.token_hex(8),
        )


def portal(hub, organisation=HOSPITAL, role="source", **over):
    values = {
        "organization": organisation,
        "roles": {role},
        "jwks": public(ec_key()),
        "grant_types": ["authorization_code"],
        "redirect_uris": [BACK],
        **over,
    }
    with hub.database.transaction() as session:
        return clients.register(session, **values)


def challenge_of(verifier):
    hashed = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


@dataclass
class Visit:
    """One login as a client's browser goes through it."""

    hub: RunningHub
    client_id: str
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    http: httpx.Client = field(default_factory=browser)

    def parameters(self, **over):
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": BACK,
            "scope": SCOPE,
            "state": self.state,
            "aud": self.hub.settings.fhir_base,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            **over,
        }
        return {k: v for k, v in asked.items() if v is not None}

    def url(self, **over):
        query = urlencode(self.parameters(**over))
        return f"{self.hub.settings.base_url}/oauth/authorize?{query}"

    def begin(self, **over):
        return self.http.get(self.url(**over))

    def at_provider(self, **over):
        """The address of the hub to which the provider sends the browser back."""
        begun = self.begin(**over)
        assert begun.status_code == 303, begun.text
        sent = self.http.get(begun.headers["Location"])
        return sent.headers["Location"]

    def finish(self, **over):
        return self.http.get(self.at_provider(**over))

    def code(self, **over):
        answer = self.finish(**over)
        told = told_by(answer)
        assert told["state"] == self.state
        assert told["iss"] == self.hub.settings.base_url
        return told["code"]

    def form(self, code, key=None, **over):
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": self.verifier,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion(
                self.client_id, key or ec_key(), self.hub.settings.token_url
            ),
            **over,
        }
        return {k: v for k, v in form.items() if v is not None}

    def redeem(self, code, **over):
        return self.hub.http.post("/oauth/token", data=self.form(code, **over))

    def caller(self, **over):
        answer = self.redeem(self.code(**over))
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        return Caller(self.hub.http, self.client_id, "", token)


def told_by(answer):
    """The parameters with which the browser is sent back to the client."""
    assert answer.status_code == 303, answer.text
    location = answer.headers["Location"]
    assert location.startswith(BACK + "&")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    pairs = parse_qsl(urlsplit(location).query)
    told = dict(pairs)
    assert len(told) == len(pairs)
    return told


def denied(answer, visit, error="access_denied"):
    told = told_by(answer)
    assert told == {
        "tab": "1",
        "error": error,
        "state": visit.state,
        "iss": visit.hub.settings.base_url,
    }
    return True


@pytest.fixture
def person(hub, provider):
    made = enrol(hub)
    provider.subject = made.subject
    return made


@pytest.fixture
def visit(hub, person):
    return Visit(hub, portal(hub).client_id)


def events(hub, client_id):
    """What the log says of a client, newest first."""
    privacy = hub.caller("tsunagi-hub", "privacy")
    found = privacy.search("/AuditEvent?_count=200")
    return [
        one
        for one in found
        if one["agent"][0]["who"].get("identifier", {}).get("value") == client_id
    ]


def test_a_person_logs_in_and_acts_for_the_organisation(hub, visit, person):
    source = a_caller(hub, HOSPITAL)
    task = submit(source)["Task"]
    answer = visit.redeem(visit.code())
    body = answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert body["token_type"] == "bearer"
    assert 0 < body["expires_in"] <= 300
    assert body["scope"] == SCOPE
    assert not {"refresh_token", "id_token"} & body.keys()
    caller = Caller(hub.http, visit.client_id, HOSPITAL, body["access_token"])
    assert caller.read(f"/{task}")["resourceType"] == "Task"
    # The scope is the person's, and it is the limit.
    assert refusal(caller.get("/Consent")) == (403, "HUB-AUTH-003")
    read, login = events(hub, visit.client_id)[1:3]
    for event in (read, login):
        people = [a for a in event["agent"] if a["requestor"]]
        assert [a["who"]["reference"] for a in people] == [person.practitioner]
        who = [a["who"].get("reference") for a in event["agent"]]
        assert f"Organization/{HOSPITAL}" in who
    assert login["type"]["code"] == "110114"


def test_a_person_sees_what_the_organisation_sees_and_no_more(hub, provider):
    source, other = a_caller(hub, HOSPITAL), a_caller(hub, OTHER_HOSPITAL)
    mine, theirs = submit(source), submit(other)
    provider.subject = enrol(hub).subject
    caller = Visit(hub, portal(hub).client_id).caller()
    assert caller.get(f"/{mine['Patient']}").status_code == 200
    assert refusal(caller.get(f"/{theirs['Patient']}")) == (404, "HUB-REST-001")
    seen = {one["id"] for one in caller.search("/Patient?_count=1000")}
    organisation = {one["id"] for one in source.search("/Patient?_count=1000")}
    assert seen == organisation
    # A withdrawal ends the person's view of it, with the same token.
    desk = a_caller(hub, CENTRE, "recipient")
    provider.subject = enrol(hub, CENTRE).subject
    nurse = Visit(hub, portal(hub, CENTRE, "recipient").client_id).caller()
    assert nurse.get(f"/{mine['Patient']}").status_code == 200
    consent = source.read(f"/{mine['Consent']}")
    source.put(f"/{mine['Consent']}", {**consent, "status": "inactive"})
    for caller in (desk, nurse):
        assert caller.get(f"/{mine['Patient']}").status_code == 404


def test_scopes_are_the_persons_and_registered(hub, provider, person):
    narrow = portal(hub, scopes="user/Task.rs user/Patient.r")
    for asked, granted in (
        ("user/Task.cruds user/Patient.rs", "user/Task.rs user/Patient.r"),
        ("user/*.read", "user/Patient.r user/Task.read"),
        ("system/Task.rs user/Task.r openid fhirUser", "user/Task.r"),
    ):
        visit = Visit(hub, narrow.client_id)
        answer = visit.redeem(visit.code(scope=asked))
        assert {*answer.json()["scope"].split()} == {*granted.split()}
    for asked in ("system/Task.rs", "user/Consent.rs", "", "openid", "user/Task.r\t"):
        visit = Visit(hub, narrow.client_id)
        assert denied(visit.begin(scope=asked), visit, "invalid_scope")


def test_a_default_scope_is_used_when_none_is_asked(hub, person):
    made = portal(hub, default_scope="user/Task.r")
    visit = Visit(hub, made.client_id)
    assert visit.redeem(visit.code(scope=None)).json()["scope"] == "user/Task.r"


@pytest.mark.parametrize(
    ("over", "error"),
    [
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "x" * 42}, "invalid_request"),
        ({"code_challenge": "x" * 43 + "\n"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"aud": None}, "invalid_request"),
        ({"aud": "https://other.example/fhir"}, "invalid_request"),
    ],
    ids=str,
)
def test_D5_a_bad_request_goes_back_to_the_client_with_iss(hub, visit, over, error):
    answer = visit.begin(**over)
    assert denied(answer, visit, error)
    assert "Set-Cookie" not in answer.headers


def test_a_request_without_state_is_refused(hub, visit):
    told = told_by(visit.begin(state=None))
    assert told["error"] == "invalid_request"
    assert "state" not in told


@pytest.mark.parametrize(
    "over",
    [
        {"redirect_uri": None},
        {"redirect_uri": ""},
        {"redirect_uri": "https://attacker.example/"},
        {"redirect_uri": BACK + "&x=1"},
        {"redirect_uri": BACK.upper()},
        {"redirect_uri": BACK.partition("?")[0]},
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "\u0000"},
        {"redirect_uri": "https://attacker.example/", "response_type": "token"},
    ],
    ids=str,
)
def test_AB24_nobody_is_sent_to_an_address_that_is_not_registered(hub, visit, over):
    answer = visit.begin(**over)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert "attacker" not in answer.text
    assert "Location" not in answer.headers


def test_T17_a_parameter_twice_is_refused_without_a_redirect(hub, visit):
    for name, value in visit.parameters().items():
        answer = visit.http.get(f"{visit.url()}&{urlencode({name: value})}")
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_request"


def test_a_client_that_is_not_registered_for_it_is_refused(hub, person):
    plain = portal(hub, grant_types=["client_credentials"], redirect_uris=[])
    assert Visit(hub, plain.client_id).begin().status_code == 400
    form = Visit(hub, plain.client_id).form("code")
    answer = hub.http.post("/oauth/token", data=form)
    assert answer.status_code == 400
    assert answer.json()["error"] == "unauthorized_client"
    # And the other way round: a portal gets no token of its own.
    made = Visit(hub, portal(hub).client_id)
    form = made.form("x", grant_type="client_credentials", scope="system/Task.rs")
    answer = hub.http.post("/oauth/token", data=form)
    assert answer.json()["error"] == "unauthorized_client"


def test_a_high_assurance_client_gets_no_bearer_token(hub, person):
    made = portal(
        hub,
        grant_types=["authorization_code", "client_credentials"],
        high_assurance=True,
    )
    visit = Visit(hub, made.client_id)
    assert denied(visit.begin(), visit, "unauthorized_client")
    form = visit.form("x", grant_type="client_credentials", scope="system/Task.rs")
    answer = hub.http.post("/oauth/token", data=form)
    assert answer.json()["error"] == "unauthorized_client"


def is_refused(answer, error="invalid_grant"):
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == error
    assert answer.headers["Cache-Control"] == "no-store"
    return True


@pytest.mark.parametrize(
    ("over", "error"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"redirect_uri": "https://portal.example.jp/back"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
    ],
    ids=str,
)
def test_a_code_needs_its_verifier_and_its_address_and_is_gone_after_a_try(
    hub, visit, over, error
):
    code = visit.code()
    assert is_refused(visit.redeem(code, **over), error)
    assert is_refused(visit.redeem(code))


def test_the_challenge_itself_is_no_verifier(hub, visit):
    code = visit.code()
    over = {"code_verifier": challenge_of(visit.verifier)}
    assert is_refused(visit.redeem(code, **over))


def test_a_code_needs_the_clients_key(hub, visit):
    code = visit.code()
    answer = visit.redeem(code, key=ec_key("stranger"))
    assert answer.status_code == 401
    form = visit.form(code)
    del form["client_assertion"], form["client_assertion_type"]
    form["client_id"] = visit.client_id
    assert hub.http.post("/oauth/token", data=form).status_code == 401
    # Nobody who is not a client can use up what is not theirs.
    assert visit.redeem(code).status_code == 200


def test_a_stolen_code_is_worth_nothing_to_another_client_and_ends(hub, visit):
    code = visit.code()
    thief = Visit(hub, portal(hub).client_id, verifier=visit.verifier)
    assert is_refused(thief.redeem(code))
    assert is_refused(visit.redeem(code))


@pytest.mark.parametrize("code", ["unknown", "\u0000", "é", "' OR 1=1"])
def test_an_unknown_code_is_refused(hub, visit, code):
    assert is_refused(visit.redeem(code))


def test_a_missing_code_is_an_invalid_request(hub, visit):
    assert is_refused(visit.redeem(None), "invalid_request")


def test_a_code_lives_sixty_seconds(hub, provider, person):
    made = portal(hub).client_id
    for seconds, status in ((55, 200), (65, 400)):
        visit = Visit(hub, made)
        code = visit.code()
        with time_machine.travel(time.time() + seconds):
            assert visit.redeem(code).status_code == status


def test_a_second_use_of_a_code_revokes_the_token_of_the_first(hub, visit):
    code = visit.code()
    token = visit.redeem(code).json()["access_token"]
    caller = Caller(hub.http, visit.client_id, HOSPITAL, token)
    assert caller.get("/Task").status_code == 200
    assert is_refused(visit.redeem(code))
    assert refusal(caller.get("/Task")) == (401, "HUB-AUTH-002")


def test_of_twenty_parallel_redemptions_none_leaves_a_token_that_lives(hub, visit):
    code = visit.code()
    forms = [visit.form(code) for _ in range(20)]
    barrier = threading.Barrier(20)

    def attempt(form):
        barrier.wait()
        return hub.http.post("/oauth/token", data=form)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(attempt, forms))
    good = [one.json()["access_token"] for one in answers if one.status_code == 200]
    assert len(good) <= 1
    assert all(one.status_code in (200, 400) for one in answers)
    for token in good:
        caller = Caller(hub.http, visit.client_id, HOSPITAL, token)
        assert caller.get("/Task").status_code == 401


def test_a_code_used_again_before_its_token_is_issued_brings_none(
    hub, visit, monkeypatch
):
    """The second use comes at the worst moment: used up already, not yet issued."""
    code, answers = visit.code(), []
    found = AuthorizationCode.authenticate_user

    def again_first(grant, authorization_code):
        answers.append(visit.redeem(code))
        return found(grant, authorization_code)

    monkeypatch.setattr(AuthorizationCode, "authenticate_user", again_first)
    assert is_refused(visit.redeem(code))
    assert [is_refused(one) for one in answers] == [True]


def test_nothing_of_a_login_is_stored_in_clear(hub, visit):
    begun = visit.begin()
    cookie = begun.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    asked = dict(parse_qsl(urlsplit(begun.headers["Location"]).query))
    with hub.database.transaction(write=False) as session:
        rows = repr(session.execute(select(login_table)).all())
    for secret in (cookie, asked["state"], asked["nonce"]):
        assert secret not in rows
    code = visit.code()
    with hub.database.transaction(write=False) as session:
        assert code not in repr(session.execute(select(code_table)).all())


def test_AB24_the_cookie_is_the_browsers_own(hub, visit):
    cookie = visit.begin().headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"} <= {
        part.strip() for part in cookie.split(";")
    }


def test_AB24_another_browser_cannot_finish_a_login(hub, visit):
    """Login CSRF: the attacker begins, the victim's browser is led to finish."""
    back = visit.at_provider()
    with browser() as victim:
        answer = victim.get(back)
        assert answer.status_code == 400
        assert "Location" not in answer.headers
        # Nor with a cookie of a login of its own.
        Visit(hub, visit.client_id, http=victim).begin()
        assert victim.get(back).status_code == 400
    assert told_by(visit.http.get(back))["code"]


def test_AB24_a_state_is_used_once_and_only_as_it_was_given(hub, visit):
    back = visit.at_provider()
    changed = back.replace("state=", "state=x")
    assert visit.http.get(changed).status_code == 400
    without = back.replace("state=", "stat=")
    assert visit.http.get(without).status_code == 400
    cookies = dict(visit.http.cookies)
    assert told_by(visit.http.get(back))["code"]
    visit.http.cookies.update(cookies)
    assert visit.http.get(back).status_code == 400


def test_a_login_ends_after_ten_minutes(hub, visit):
    back = visit.at_provider()
    cookies = "; ".join(f"{k}={v}" for k, v in visit.http.cookies.items())
    with time_machine.travel(time.time() + 601):
        answer = hub.http.get(back, headers={"Cookie": cookies})
    assert answer.status_code == 400


def test_two_logins_of_one_browser_do_not_end_each_other(hub, visit):
    second = Visit(hub, visit.client_id, http=visit.http)
    first_back, second_back = visit.at_provider(), second.at_provider()
    assert told_by(visit.http.get(first_back))["state"] == visit.state
    assert told_by(visit.http.get(second_back))["state"] == second.state


@pytest.mark.parametrize("iss", ["https://other.example", ""])
def test_AB24_an_answer_of_another_server_is_refused(hub, provider, visit, iss):
    """Mix-up (RFC 9207): wrong `iss`, and none where the provider says it sends it."""
    provider.iss, provider.says_iss = iss, bool(iss)
    assert denied(visit.finish(), visit)


SPOILT = {
    "nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "iss": {"iss": "https://other.example"},
    "no iss": {"iss": None},
    "aud": {"aud": "another-client"},
    "aud and others": {"aud": [CLIENT_ID, "another-client"]},
    "no aud": {"aud": None},
    "azp": {"azp": "another-client"},
    "expired": {"exp": 1},
    "just expired": {"exp": -31},
    "no exp": {"exp": None},
    "exp of text": {"exp": "9999999999"},
    "exp of inf": {"exp": True},
    "issued tomorrow": {"iat": 86_400},
    "no iat": {"iat": None},
    "not yet": {"nbf": 86_400},
    "sub": {"sub": ["person-1"]},
    "no sub": {"sub": None},
    "empty sub": {"sub": ""},
}


@pytest.mark.parametrize("over", SPOILT.values(), ids=SPOILT)
def test_an_id_token_that_does_not_hold_lets_nobody_in(hub, provider, visit, over):
    moment = int(time.time())
    provider.over = {
        k: moment + v if type(v) is int and v != 1 else v for k, v in over.items()
    }
    assert denied(visit.finish(), visit)
    # The same login works unspoilt.
    provider.over = {}
    assert Visit(hub, visit.client_id).code()


def test_T10_an_id_token_must_be_signed_by_the_providers_key(hub, provider, visit):
    stranger = ECKey.import_key(
        {**ec_key("stranger").as_dict(private=True), "kid": "provider"}
    )
    secret = OctKey.import_key(json.dumps(public(ec_key("provider"))["keys"][0]))
    for key, header in (
        (stranger, {}),
        (secret, {"alg": "HS256"}),
        (None, {"alg": "none"}),
        (None, {"kid": "unknown"}),
        (None, {"typ": "at+jwt"}),
        (None, {"typ": "logout+jwt"}),
        (rsa_key("provider"), {"alg": "RS256"}),
    ):
        provider.key, provider.header = key, header
        if header.get("alg") == "none":
            provider.header = {"alg": "ES384"}
            provider.id_token = unsigned(provider)
        try:
            one = Visit(hub, visit.client_id)
            assert denied(one.finish(), one), header
        finally:
            vars(provider).pop("id_token", None)
    provider.reset()


def unsigned(provider):
    signed = type(provider).id_token

    def id_token(nonce):
        _, claims, _ = signed(provider, nonce).split(".")
        head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        return f"{head}.{claims}."

    return id_token


def test_a_person_the_hub_does_not_know_is_not_let_in(hub, provider):
    mine = portal(hub).client_id
    other = enrol(hub, OTHER_HOSPITAL)
    for subject in (secrets.token_hex(8), other.subject, "é", "x" * 255):
        provider.subject = subject
        visit = Visit(hub, mine)
        assert denied(visit.finish(), visit)
    refused = events(hub, mine)
    assert [one["outcomeDesc"] for one in refused] == ["HUB-AUTH-040"] * 4
    assert other.subject not in repr(refused)


def test_a_disabled_person_is_not_let_in_and_loses_what_they_had(hub, visit, person):
    server = hub.caller("tsunagi-hub", "directory")
    code, caller = visit.code(), Visit(hub, visit.client_id).caller()
    assert caller.get("/Task").status_code == 200
    with hub.database.transaction() as session:
        persons.set_enabled(session, person.id, enabled=False)
    assert refusal(caller.get("/Task")) == (401, "HUB-AUTH-002")
    assert is_refused(visit.redeem(code))
    assert denied((one := Visit(hub, visit.client_id)).finish(), one)
    told = _introspect(hub, visit.client_id, caller.token)
    assert told.content == b'{"active":false}'
    with hub.database.transaction() as session:
        persons.set_enabled(session, person.id, enabled=True)
    assert caller.get("/Task").status_code == 200
    assert server.get("/Location").status_code == 200


def _introspect(hub, client_id, token):
    form = {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(client_id, ec_key(), hub.settings.token_url),
        "token": token,
    }
    return hub.http.post("/oauth/introspect", data=form)


def test_I1_a_persons_token_is_introspected_like_any_other(hub, visit):
    caller = visit.caller()
    told = _introspect(hub, visit.client_id, caller.token).json()
    assert told["active"] is True
    assert told["scope"] == SCOPE
    # I5: no launch context was given, so none is told.
    assert told.keys() == {
        "active",
        "scope",
        "client_id",
        "token_type",
        "exp",
        "iat",
    }


def test_R5_a_disabled_client_stops_logins_codes_and_tokens(hub, visit):
    caller, code, back = visit.caller(), visit.code(), visit.at_provider()
    with hub.database.transaction() as session:
        clients.disable(session, visit.client_id)
    assert refusal(caller.get("/Task")) == (401, "HUB-AUTH-002")
    assert visit.redeem(code).status_code == 401
    assert visit.http.get(back).status_code == 400
    assert visit.begin().status_code == 400


def test_one_whose_role_ended_in_the_directory_is_not_let_in(hub, visit, person):
    writer = a_caller(hub, HOSPITAL)
    role = writer.read(f"/{person.practitioner}")
    writer.put(f"/{person.practitioner}", {**role, "active": False})
    assert denied(visit.finish(), visit)


def test_a_login_that_the_provider_refuses_is_told_to_the_client(hub, provider, visit):
    provider.answers = False
    assert denied(visit.finish(), visit)
    assert events(hub, visit.client_id)[0]["outcomeDesc"] == "HUB-AUTH-041"


def test_a_code_of_the_provider_that_it_does_not_know_is_refused(hub, visit):
    back = visit.at_provider()
    parts = parse_qs(urlsplit(back).query)
    assert denied(visit.http.get(back.replace(parts["code"][0], "forged")), visit)


def test_D10_the_authorization_endpoint_has_no_cors(hub, visit):
    headers = {"Origin": "https://x.example"}
    for answer in (
        visit.http.get(visit.url(), headers=headers),
        visit.http.get(visit.url(client_id=None), headers=headers),
        visit.http.get(f"{hub.settings.base_url}/oauth/callback", headers=headers),
    ):
        assert not [h for h in answer.headers if h.startswith("access-control")]


@pytest.mark.parametrize("path", ["authorize", "callback"])
@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD"])
def test_T19_a_browsers_endpoint_takes_get_alone(hub, method, path):
    answer = hub.http.request(method, f"/oauth/{path}")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"


def test_D3_D4_D5_D7_D9_D12_D13_discovery_tells_of_the_login(hub, visit):
    smart = hub.http.get("/.well-known/smart-configuration").json()
    server = hub.http.get("/.well-known/oauth-authorization-server").json()
    assert smart["grant_types_supported"] == [
        "authorization_code",
        "client_credentials",
    ]
    assert smart["code_challenge_methods_supported"] == ["S256"]
    assert smart["response_types_supported"] == ["code"]
    assert {"permission-user", "launch-standalone"} <= {*smart["capabilities"]}
    assert "sso-openid-connect" not in smart["capabilities"]
    assert server["authorization_response_iss_parameter_supported"] is True
    assert all(server[name] == smart[name] for name in server.keys() & smart.keys())
    assert visit.url().startswith(smart["authorization_endpoint"] + "?")
    statement = hub.http.get("/fhir/R4/metadata").json()
    extension = statement["rest"][0]["security"]["extension"][0]["extension"]
    told = {one["url"]: one["valueUri"] for one in extension}
    assert told["authorize"] == smart["authorization_endpoint"]
    words = [w for w in smart["scopes_supported"] if w.startswith("user/")]
    everything = portal(hub, roles=set(ROLES))
    visit = Visit(hub, everything.client_id)
    granted = visit.redeem(visit.code(scope=" ".join(words))).json()["scope"]
    assert granted.split() == words
