"""The OpenID provider as the hub meets it: unreachable, lying, rotating its keys."""

import base64
import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from hub.delivery.fetch import Fetcher
from hub.fhir.outcome import FhirError
from hub.settings import Settings
from hub.smart import id_token
from hub.smart.logins import Login
from hub.smart.provider import Provider, ProviderError, algorithm
from hub.smart.routes import require_safe
from hub.smart.signing import generate, login_key
from tests.smart.build import ec_key, public, rsa_key
from tests.smart.provider import CLIENT_ID, running_provider

LOGIN = Login("state", "secret")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def standin():
    with running_provider() as made:
        yield made


@pytest.fixture
def provider(standin, clock):
    key = generate()
    standin.hub_jwks = lambda: public(key)
    with Fetcher(dev=True) as fetcher:
        yield Provider(settings(standin), fetcher, key, clock)


def settings(standin, **over):
    values = {
        "dev": True,
        "base_url": "http://127.0.0.1:1",
        "oidc_issuer": standin.issuer,
        "oidc_client_id": CLIENT_ID,
        **over,
    }
    return Settings(**values)


def a_code(standin, provider):
    """What the provider gives the browser for the request the hub made."""
    asked = parse_qs(urlsplit(provider.authorization_url(LOGIN)).query)
    code = "a-code"
    standin.codes[code] = {name: value[0] for name, value in asked.items()}
    return code


def test_a_code_is_redeemed_for_the_subject(standin, provider):
    assert provider.subject(a_code(standin, provider), LOGIN) == "person-1"


def test_a_login_of_another_browser_does_not_fit_the_code(standin, provider):
    """Its nonce and PKCE verifier are made of another secret."""
    code = a_code(standin, provider)
    with pytest.raises(ProviderError, match="refused"):
        provider.subject(code, Login("state", "another"))


@pytest.mark.parametrize(
    "over",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"token_endpoint": "http://idp.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
        {"jwks_uri": "https://user@idp.example/jwks"},
    ],
    ids=str,
)
def test_a_discovery_document_that_is_not_the_issuers_is_not_used(
    standin, provider, clock, over
):
    standin.metadata = over
    for _ in range(2):
        with pytest.raises(ProviderError, match="unreachable"):
            provider.authorization_url(LOGIN)
    standin.metadata = {}
    clock.now += 11
    assert provider.authorization_url(LOGIN).startswith(standin.issuer)


def test_an_issuer_that_answers_no_more_is_unreachable(standin, clock):
    with Fetcher(dev=True) as fetcher:
        gone = settings(standin, oidc_issuer="http://127.0.0.1:9")
        provider = Provider(gone, fetcher, generate(), clock)
        with pytest.raises(ProviderError, match="unreachable"):
            provider.authorization_url(LOGIN)


def test_AB12_only_the_issuers_host_is_called_outside_dev(standin):
    with Fetcher(allowed_hosts=["idp.example"]) as fetcher:
        provider = Provider(settings(standin), fetcher, generate())
        with pytest.raises(ProviderError, match="unreachable"):
            provider.metadata()
    assert standin.seen == []


def test_T18_a_rotated_key_of_the_provider_works_after_a_minute(
    standin, provider, clock
):
    assert provider.subject(a_code(standin, provider), LOGIN)
    standin.key, standin.header = ec_key("new"), {"kid": "new"}
    standin.published = public(ec_key("new"))
    clock.now += 61
    assert provider.subject(a_code(standin, provider), LOGIN)
    standin.key, standin.header = None, {}
    with pytest.raises(ProviderError, match="refused"):
        provider.subject(a_code(standin, provider), LOGIN)


def signed(key, algorithm="ES384", **header):
    claims = {
        "iss": "https://idp.example",
        "sub": "s",
        "aud": "c",
        "nonce": "n",
        "iat": int(time.time()),
        "exp": int(time.time()) + 60,
    }
    return jwt.encode(
        {"alg": algorithm, "kid": key.kid, **header}, claims, key, [algorithm]
    )


def verified(raw, keys):
    return id_token.verified_subject(
        raw,
        lambda _kid: keys,
        issuer="https://idp.example",
        client_id="c",
        nonce="n",
    )


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (ec_key(), "ES384"),
        (ec_key("p256", "P-256"), "ES256"),
        (rsa_key(), "RS256"),
        (rsa_key(), "PS256"),
    ],
    ids=["ES384", "ES256", "RS256", "PS256"],
)
def test_what_providers_sign_with_is_accepted(key, name):
    assert verified(signed(key, name), public(key)) == "s"


def short_rsa():
    made = rsa.generate_private_key(65537, 1024)
    n = made.public_key().public_numbers().n.to_bytes(128)
    text = base64.urlsafe_b64encode(n).rstrip(b"=").decode()
    return {"kty": "RSA", "kid": "ec", "n": text, "e": "AQAB"}


def test_T11_exactly_one_key_fits_or_none_is_used():
    raw = signed(ec_key())
    (key,) = public(ec_key())["keys"]
    other = public(ec_key("other"))["keys"][0]
    assert verified(raw, {"keys": [key, other]}) == "s"
    for keys in (
        [],
        [other],
        [key, {**other, "kid": "ec"}],
        [{**key, "use": "enc"}],
        [{**key, "alg": "ES256"}],
        [{"kty": "oct", "kid": "ec", "k": "AAAA"}],
        [short_rsa()],
        ["x", 5],
        [{"kid": "ec"}],
    ):
        with pytest.raises(id_token.IdTokenError, match="signature"):
            verified(raw, {"keys": keys})
    unreadable: tuple[object, ...] = (None, [], "x", {"keys": None})
    for nothing in unreadable:
        with pytest.raises(id_token.IdTokenError, match="signature"):
            verified(raw, nothing)


@pytest.mark.parametrize("raw", ["", "a", "a.b.c", "e30.e30.", "é", "." * 9])
def test_what_is_no_token_is_refused(raw):
    with pytest.raises(id_token.IdTokenError, match="signature"):
        verified(raw, public(ec_key()))


@pytest.mark.parametrize(
    "over",
    [
        {"oidc_client_id": ""},
        {"oidc_issuer": ""},
        {"oidc_issuer": "http://idp.example"},
        {"oidc_issuer": "https://idp.example?a=b"},
        {"oidc_issuer": "https://user@idp.example"},
        {"oidc_issuer": "idp.example"},
    ],
    ids=str,
)
def test_half_of_the_settings_or_an_unsafe_issuer_stops_the_start(standin, over):
    require_safe(settings(standin))
    with pytest.raises(FhirError, match="HUB-AUTH-037"):
        require_safe(settings(standin, **over))


def test_the_key_for_the_provider_is_the_hubs_own_or_that_of_a_file(standin, tmp_path):
    own = generate()
    assert login_key(settings(standin), [own]) is own
    assert algorithm(own) == "ES384"
    path = tmp_path / "oidc.json"
    for made, name in (
        (rsa_key(), "PS256"),
        (ec_key("p256", "P-256"), "ES256"),
        (
            RSAKey.import_key({**rsa_key().as_dict(private=True), "alg": "RS256"}),
            "RS256",
        ),
    ):
        path.write_text(json.dumps(made.as_dict(private=True)))
        path.chmod(0o600)
        found = login_key(settings(standin, oidc_key=path), [own])
        assert algorithm(found) == name
        assert found.is_private


def test_a_file_without_a_fit_private_key_stops_the_start(standin, tmp_path):
    path = tmp_path / "oidc.json"
    chosen = settings(standin, oidc_key=path)
    with pytest.raises(FhirError, match="HUB-AUTH-038"):
        login_key(chosen, [])
    weak = ECKey.generate_key("P-521").as_dict(private=True)
    only_public = public(ec_key())["keys"][0]
    unfit: tuple[object, ...] = (only_public, {}, [], "x", weak, {"kty": "oct"})
    for value in unfit:
        path.write_text(json.dumps(value))
        path.chmod(0o600)
        with pytest.raises(FhirError, match="HUB-AUTH-038"):
            login_key(chosen, [])
    path.write_text(json.dumps(ec_key().as_dict(private=True)))
    path.chmod(0o644)
    with pytest.raises(FhirError, match="HUB-AUTH-038"):
        login_key(chosen, [])
