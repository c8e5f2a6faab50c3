"""`tsunagi client` on real databases."""

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from hub import audit
from hub.database import Database
from hub.fhir import dates
from hub.store import resources
from tests.cli.conftest import Tsunagi
from tests.smart.build import ec_key, public, rsa_key

ADD = ("client", "add", "--organization", "4619999917", "--role", "source")


def jwks(value: object) -> str:
    Path("jwks.json").write_text(json.dumps(value))
    return "jwks.json"


def short_rsa() -> dict[str, object]:
    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    n = base64.urlsafe_b64encode(numbers.n.to_bytes(128)).decode().rstrip("=")
    return {"kty": "RSA", "kid": "short", "n": n, "e": "AQAB"}


def test_a_client_is_added_listed_and_stopped(tsunagi: Tsunagi, loaded: Database):
    name = jwks(public(ec_key()))
    made = json.loads(tsunagi(*ADD, "--jwks", name, "--json").must().out)
    assert made["organization"] == "4619999917"
    assert "system/Task" in made["scope"]
    plain = tsunagi(
        *ADD, "--jwks", name, "--client-id", "second", "--name", "[名前]"
    ).must()
    assert plain.out == "second\n"
    rows = json.loads(tsunagi("client", "list", "--json").must().out)
    assert [(row["client_id"], row["enabled"]) for row in rows] == [
        (made["client_id"], True),
        ("second", True),
    ]
    assert "[名前]" in tsunagi("client", "list").must().out
    tsunagi("client", "disable", "second").must()
    rows = json.loads(tsunagi("client", "list", "--json").must().out)
    assert [row["enabled"] for row in rows] == [True, False]
    tsunagi("client", "enable", "second").must()
    rows = json.loads(tsunagi("client", "list", "--json").must().out)
    assert [row["enabled"] for row in rows] == [True, True]


def test_a_client_is_changed_and_each_change_is_in_the_log(
    tsunagi: Tsunagi, loaded: Database
):
    add = (*ADD, "--jwks", jwks(public(ec_key())), "--client-id", "portal")
    tsunagi(*add).must()
    tsunagi(
        *("client", "change", "portal", "--grant-type", "authorization_code"),
        *("--redirect-uri", "https://portal.example.jp/back"),
        *("--scope", "user/Task.rs", "--name", "窓口", "--high-assurance"),
        *("--jwks", jwks(public(rsa_key()))),
    ).must()
    (row,) = json.loads(tsunagi("client", "list", "--json").must().out)
    assert row["grant_types"] == ["authorization_code"]
    assert row["redirect_uris"] == ["https://portal.example.jp/back"]
    assert row["scope"] == "user/Task.rs"
    assert row["client_name"] == "窓口"
    assert row["high_assurance"] is True
    assert row["jwks"] == public(rsa_key())
    wrong = ("client", "change", "portal", "--scope", "system/Task.rs")
    assert "HUB-AUTH-017" in tsunagi(*wrong).must(1).err
    assert "HUB-AUTH-020" in tsunagi("client", "change", "nobody").must(1).err
    with loaded.transaction(write=False) as session:
        told = [json.loads(one.body) for one in audit.find(session)]
    assert [one["action"] for one in told if one["subtype"][0]["code"] == "110137"] == [
        *("E", "U", "C")
    ]


def test_a_person_is_let_in_and_stopped(tsunagi: Tsunagi, loaded: Database):
    role = {
        "resourceType": "PractitionerRole",
        "organization": {"reference": "Organization/4619999917"},
    }
    with loaded.transaction() as session:
        stored = resources.create(session, role, id=None, at=dates.now())
    add = (
        *("person", "add", "--organization", "4619999917"),
        *("--practitioner", f"PractitionerRole/{stored.id}", "--subject", "sub"),
    )
    assert "TSUNAGI_OIDC_ISSUER" in tsunagi(*add).must(2).err
    issuer = ("--issuer", "https://idp.example.jp")
    id_ = tsunagi(*add, *issuer).must().out.strip()
    assert "HUB-AUTH-035" in tsunagi(*add, *issuer).must(1).err
    for command, enabled in (("disable", False), ("enable", True)):
        tsunagi("person", command, id_).must()
        (row,) = json.loads(tsunagi("person", "list", "--json").must().out)
        assert (row["id"], row["enabled"]) == (id_, enabled)
    assert id_ in tsunagi("person", "list").must().out
    assert "HUB-AUTH-036" in tsunagi("person", "disable", "nobody").must(1).err


def test_one_bare_key_and_a_key_by_url_will_do(tsunagi: Tsunagi, loaded: Database):
    (key,) = public(rsa_key())["keys"]
    tsunagi(*ADD, "--jwks", jwks(key)).must()
    tsunagi(*ADD, "--jwks", "https://client.example.jp/jwks.json").must()


WRONG: list[tuple[tuple[str, ...], int, str]] = [
    (("--organization", "4600000000"), 1, "directory show"),
    (("--role", "king"), 1, "HUB-AUTH-011"),
    (("--scope", "user/*.rs"), 1, "HUB-AUTH-017"),
    (("--scope", "nonsense"), 1, "HUB-AUTH-017"),
    (("--default-scope", "system/Patient.d"), 1, "HUB-AUTH-021"),
    (("--client-id", "a b"), 1, "HUB-AUTH-018"),
    (("--jwks", "http://client.example.jp/jwks"), 1, "HUB-AUTH-027"),
    (("--jwks", "nowhere.json"), 2, "JWKS"),
    (("--jwks", "."), 2, "JWKS"),
]


def test_a_wrong_option_is_said_and_nobody_is_registered(
    tsunagi: Tsunagi, loaded: Database
):
    name = jwks(public(ec_key()))
    for changed, code, said in WRONG:
        assert said in tsunagi(*ADD, "--jwks", name, *changed).must(code).err
    assert json.loads(tsunagi("client", "list", "--json").must().out) == []


def test_a_bad_jwks_is_said(tsunagi: Tsunagi, loaded: Database):
    private = {"keys": [ec_key().as_dict(private=True)]}
    bad: dict[str, list[object]] = {
        "HUB-AUTH-013": [[], 1, None, "keys", {"keys": []}, {"keys": {}}],
        "HUB-AUTH-014": [private],
        "HUB-AUTH-016": [
            short_rsa(),
            public(ec_key("p256", "P-256")),
        ],
    }
    for id_, values in bad.items():
        for value in values:
            assert id_ in tsunagi(*ADD, "--jwks", jwks(value)).must(1).err, value
    Path("jwks.json").write_text("{")
    tsunagi(*ADD, "--jwks", "jwks.json").must(2)


def test_an_unknown_client_and_one_id_twice_are_refused(
    tsunagi: Tsunagi, loaded: Database
):
    assert "HUB-AUTH-020" in tsunagi("client", "disable", "nobody").must(1).err
    again = (*ADD, "--jwks", jwks(public(ec_key())), "--client-id", "one")
    tsunagi(*again).must()
    assert "HUB-AUTH-019" in tsunagi(*again).must(1).err


def test_what_must_be_given_is_usage(tsunagi: Tsunagi):
    tsunagi("client", "add").must(2)
    tsunagi("client", "disable").must(2)
