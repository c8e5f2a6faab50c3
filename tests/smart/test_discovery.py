"""What the server says of itself is true: checks D1 to D9 and D12."""

from urllib.parse import urlsplit

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from hub.smart.roles import ROLES
from tests.smart.build import ec_key, rsa_key

SMART = ["/.well-known/smart-configuration", "/fhir/R4/.well-known/smart-configuration"]
SERVER = "/.well-known/oauth-authorization-server"


@pytest.mark.parametrize("path", SMART)
@pytest.mark.parametrize(
    "accept", ["*/*", "application/fhir+xml", "text/html", "application/json", ""]
)
def test_D1_D2_D10_discovery_is_json_whatever_is_accepted(hub, path, accept):
    request = hub.http.build_request("GET", path, headers={"Accept": accept})
    if not accept:
        del request.headers["Accept"]
    assert "Authorization" not in request.headers
    answer = hub.http.send(request)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_D3_D4_the_members_have_the_right_types_and_urls(hub):
    document = hub.http.get(SMART[0]).json()
    for name, value in document.items():
        if name.endswith("_endpoint"):
            url = urlsplit(value)
            assert url.scheme == "https" or url.hostname == "127.0.0.1"
            assert url.username is None
        else:
            assert isinstance(value, list), name
    assert document["token_endpoint"] == hub.settings.token_url


def test_D5_D7_D13_only_what_works_is_offered(hub):
    """No OpenID provider is named: nobody can log in, and discovery says so."""
    document = hub.http.get(SMART[0]).json()
    assert document["grant_types_supported"] == ["client_credentials"]
    assert document["response_types_supported"] == []
    assert "authorization_endpoint" not in document
    assert "permission-user" not in document["capabilities"]
    assert not [w for w in document["scopes_supported"] if w.startswith("user/")]
    assert document["code_challenge_methods_supported"] == ["S256"]
    for path in ("authorize", "callback"):
        answer = hub.http.get(f"/oauth/{path}?response_type=code&client_id=x")
        assert answer.status_code == 404
    form = hub.form(hub.register().client_id) | {"grant_type": "authorization_code"}
    answer = hub.token(form | {"code": "x"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "unsupported_grant_type"


def test_D6_the_listed_algorithms_are_those_accepted(hub):
    document = hub.http.get(SMART[0]).json()
    assert "client-confidential-asymmetric" in document["capabilities"]
    assert document["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    listed = set(document["token_endpoint_auth_signing_alg_values_supported"])
    client = hub.register().client_id
    accepted = set()
    for key, names in (
        (ec_key(), ["ES384"]),
        (rsa_key(), ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
        (ec_key("p256", "P-256"), ["ES256"]),
        (ec_key("p521", "P-521"), ["ES512"]),
    ):
        for name in names:
            form = hub.form(client, key, header={"alg": name})
            if hub.token(form).status_code == 200:
                accepted.add(name)
    assert accepted == listed == {"ES384", "RS384"}


def test_D8_openid_connect_is_not_claimed(hub):
    document = hub.http.get(SMART[0]).json()
    assert "sso-openid-connect" not in document["capabilities"]
    assert not {"issuer", "jwks_uri"} & document.keys()
    for path in ("", "/fhir/R4"):
        answer = hub.http.get(f"{path}/.well-known/openid-configuration")
        assert answer.status_code == 404
        assert answer.json() == {"error": "not_found"}


def test_D9_every_scope_listed_is_granted_by_the_server(hub):
    listed = hub.http.get(SMART[0]).json()["scopes_supported"]
    client = hub.register(roles=set(ROLES))
    answer = hub.token(hub.form(client.client_id, scope=" ".join(listed)))
    assert answer.json()["scope"].split() == listed


def test_D12_the_rfc_8414_document_agrees(hub):
    document = hub.http.get(SERVER).json()
    assert document["issuer"] + SERVER == str(hub.http.base_url.join(SERVER))
    smart = hub.http.get(SMART[1]).json()
    shared = document.keys() & smart.keys()
    assert {"token_endpoint", "scopes_supported"} <= shared
    assert all(document[name] == smart[name] for name in shared)
    # RFC 8414 wants the member even where no response type exists; authlib's check
    # takes an empty list for a missing one.
    assert document["response_types_supported"] == []
    filled = {**document, "response_types_supported": ["none"]}
    AuthorizationServerMetadata(filled).validate()


def test_the_hub_publishes_its_own_public_key_and_no_private_part(hub):
    (key,) = hub.http.get("/oauth/jwks").json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (key["crv"], key["alg"]) == ("P-384", "ES384")


@pytest.mark.parametrize("path", [*SMART, SERVER, "/oauth/jwks"])
def test_a_document_cannot_be_posted_to(hub, path):
    answer = hub.http.post(path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_urls_never_come_from_the_host_header(hub):
    headers = {"Host": "attacker.example", "X-Forwarded-Host": "attacker.example"}
    assert "attacker" not in hub.http.get(SMART[0], headers=headers).text
