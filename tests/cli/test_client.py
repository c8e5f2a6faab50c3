"""`tsunagi client` on real databases."""

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import select

from hub.audit.tables import audit_event
from hub.database import Database
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


def test_adding_and_stopping_a_client_stands_in_the_log(
    tsunagi: Tsunagi, loaded: Database
):
    tsunagi(*ADD, "--jwks", jwks(public(ec_key())), "--client-id", "third").must()
    tsunagi("client", "disable", "third").must()
    tsunagi("client", "disable", "nobody").must(1)
    columns = audit_event.c
    query = (
        select(columns.action, columns.organisation, columns.body)
        .where(columns.subtype == "110137")
        .order_by(columns.recorded)
    )
    with loaded.transaction(write=False) as session:
        found = session.execute(query).all()
    assert [(r.action, r.organisation) for r in found] == [
        ("C", "tsunagi-hub"),
        ("U", "tsunagi-hub"),
    ]
    for row in found:
        (entity,) = json.loads(bytes(row.body))["entity"]
        assert entity["what"]["identifier"]["value"] == "third"


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
