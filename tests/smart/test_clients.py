"""Registration: what is refused, and why it says so."""

import pytest

from hub.database import Database, metadata
from hub.fhir.outcome import FhirError
from hub.smart import clients
from tests.smart.build import ec_key, public, rsa_key


@pytest.fixture
def session(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/hub.db")
    metadata.create_all(database.engine)
    with database.transaction() as session:
        yield session
    database.close()


def register(session, **over):
    values = {
        "organization": "4619999917",
        "roles": ["source"],
        "jwks": public(ec_key()),
        **over,
    }
    return clients.register(session, **values)


def test_a_client_is_found_as_it_was_registered(session):
    made = register(session, name="試験病院", default_scope="system/Task.rs")
    assert clients.find(session, made.client_id) == made
    assert made.name == "試験病院"
    assert len(made.client_id) >= 32
    assert clients.list_clients(session) == [made]


def test_a_given_client_id_is_used_once(session):
    assert register(session, client_id="hospital-a").client_id == "hospital-a"
    with pytest.raises(FhirError, match="HUB-AUTH-019"):
        register(session, client_id="hospital-a")


def test_a_disabled_client_stays_listed(session):
    made = register(session)
    clients.disable(session, made.client_id)
    assert [c.enabled for c in clients.list_clients(session)] == [False]
    with pytest.raises(FhirError, match="HUB-AUTH-020"):
        clients.disable(session, "nobody")


def test_given_scopes_replace_the_preset(session):
    made = register(session, scopes="system/Task.read system/Patient.r")
    assert made.scopes == "system/Patient.r system/Task.rs"


def test_two_roles_have_the_union_of_their_scopes(session):
    made = register(session, roles=["source", "recipient"])
    assert "system/Task.crus" in made.scopes.split()
    assert "system/QuestionnaireResponse.crus" in made.scopes.split()


def test_the_algorithms_follow_from_the_keys(session):
    assert register(session).algorithms == ("ES384",)
    assert register(session, jwks=public(rsa_key())).algorithms == ("RS384",)
    both = register(session, jwks=None, jwks_url="https://hospital.example/jwks")
    assert set(both.algorithms) == {"ES384", "RS384"}


def key(**over):
    return {"keys": [{**ec_key().as_dict(private=False), **over}]}


@pytest.mark.parametrize(
    ("over", "id_"),
    [
        ({"organization": "a b"}, "HUB-AUTH-010"),
        ({"organization": ""}, "HUB-AUTH-010"),
        ({"roles": ["hub"]}, "HUB-AUTH-011"),
        ({"roles": []}, "HUB-AUTH-011"),
        ({"jwks": None}, "HUB-AUTH-012"),
        ({"jwks_url": "https://hospital.example/jwks"}, "HUB-AUTH-012"),
        ({"jwks": {}}, "HUB-AUTH-013"),
        ({"jwks": {"keys": []}}, "HUB-AUTH-013"),
        ({"jwks": {"keys": ["key"]}}, "HUB-AUTH-013"),
        ({"jwks": []}, "HUB-AUTH-013"),
        ({"jwks": {"keys": [ec_key().as_dict(private=True)]}}, "HUB-AUTH-014"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}}, "HUB-AUTH-014"),
        ({"jwks": key(kid=None)}, "HUB-AUTH-015"),
        ({"jwks": {"keys": key()["keys"] * 2}}, "HUB-AUTH-015"),
        ({"jwks": public(ec_key("p256", "P-256"))}, "HUB-AUTH-016"),
        ({"jwks": key(use="enc")}, "HUB-AUTH-016"),
        ({"jwks": key(key_ops=["sign"])}, "HUB-AUTH-016"),
        ({"jwks": key(alg="ES256")}, "HUB-AUTH-016"),
        ({"jwks": key(x="AAAA")}, "HUB-AUTH-016"),
        ({"scopes": "system/Task.dus"}, "HUB-AUTH-017"),
        ({"scopes": "user/Task.rs"}, "HUB-AUTH-017"),
        ({"scopes": " "}, "HUB-AUTH-017"),
        ({"client_id": "a b"}, "HUB-AUTH-018"),
        ({"default_scope": "system/Location.cud"}, "HUB-AUTH-021"),
        ({"default_scope": ""}, "HUB-AUTH-021"),
        ({"jwks": None, "jwks_url": "http://hospital.example/jwks"}, "HUB-AUTH-027"),
        ({"jwks": None, "jwks_url": "https://u:p@hospital.example/"}, "HUB-AUTH-027"),
        ({"jwks": None, "jwks_url": ""}, "HUB-AUTH-027"),
    ],
)  # fmt: skip
def test_an_unfit_registration_is_refused_with_its_reason(session, over, id_):
    with pytest.raises(FhirError, match=id_):
        register(session, **over)
    assert clients.list_clients(session) == []


def test_a_short_rsa_key_is_refused(session):
    from cryptography.hazmat.primitives.asymmetric import rsa
    from joserfc.jwk import RSAKey

    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    modulus = RSAKey.import_key(rsa_key().as_dict(private=False)).as_dict()
    short = {**modulus, "n": _base64(numbers.n), "kid": "short"}
    with pytest.raises(FhirError, match="HUB-AUTH-016"):
        register(session, jwks={"keys": [short]})


def _base64(number):
    from joserfc.util import urlsafe_b64encode

    return urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).decode()
