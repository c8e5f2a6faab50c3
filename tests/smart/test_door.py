"""Tokens are limited for each client, and nobody is locked out by another (T20, AB19)."""

import shutil
from dataclasses import replace

import pytest

from hub.allowance import Allowance
from hub.smart import clients
from hub.smart.door import claimed
from tests.running import running_hub
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key, public, rsa_key

SECRET = "b" * 40
BURST = 4


@pytest.fixture
def hub(tmp_path, sqlite_template):
    shutil.copyfile(sqlite_template, tmp_path / "hub.db")
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    with running_hub(
        f"sqlite:///{tmp_path}/hub.db",
        tmp_path,
        token_rate_per_second=0.01,
        token_burst=BURST,
        proxy_secret=tmp_path / "secret",
    ) as made:
        yield made


def a_client(hub):
    with hub.database.transaction() as session:
        return clients.register(
            session, organization="4619999917", roles={"source"}, jwks=public(ec_key())
        )


def ask(hub, client, *, key=None, address="192.0.2.1", path="token", **data):
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(
            client.client_id, key or ec_key(), hub.settings.token_url, None
        ),
        "scope": client.scopes,
        **data,
    }
    headers = {"X-Tsunagi-Proxy": SECRET, "X-Tsunagi-Address": address}
    return hub.http.post(f"/oauth/{path}", data=form, headers=headers)


def wrong(hub, client, **more):
    return ask(hub, client, key=ec_key("another"), **more)


def test_AB26_a_client_has_so_many_tokens_and_then_429_with_retry_after(hub):
    one, other = a_client(hub), a_client(hub)
    answers = [ask(hub, one) for _ in range(BURST + 1)]
    assert [a.status_code for a in answers] == [200] * BURST + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 100
    assert answers[-1].json() == {"error": "temporarily_unavailable"}
    assert answers[-1].headers["Cache-Control"] == "no-store"
    assert ask(hub, one, address="192.0.2.9").status_code == 429
    assert ask(hub, other).status_code == 200


def test_AB19_who_claims_a_clients_name_elsewhere_locks_nobody_out(hub):
    client = a_client(hub)
    said = [wrong(hub, client, address="198.51.100.7") for _ in range(BURST + 2)]
    assert [a.status_code for a in said] == [401] * BURST + [429] * 2
    assert ask(hub, client).status_code == 200


def test_AB19_a_name_that_is_refused_at_an_address_stops_no_other_there(hub):
    one, other = a_client(hub), a_client(hub)
    for _ in range(BURST + 1):
        wrong(hub, one)
    assert ask(hub, other).status_code == 200


def test_AB19_known_and_unknown_names_run_out_alike(hub):
    known = a_client(hub)
    unknown = replace(known, client_id="nobody-of-this-name")
    for client in (known, unknown):
        said = [wrong(hub, client) for _ in range(BURST + 1)]
        assert [a.status_code for a in said] == [401] * BURST + [429]
    first, second = (wrong(hub, client) for client in (known, unknown))
    assert first.content == second.content


def test_T20_a_hundred_names_from_one_address_stop_that_address_alone(hub):
    client = a_client(hub)
    said = [
        wrong(hub, replace(client, client_id=f"made-up-{n}"), address="203.0.113.5")
        for n in range(BURST * 10 + 3)
    ]
    assert [a.status_code for a in said] == [401] * (BURST * 10) + [429] * 3
    assert ask(hub, client, address="203.0.113.5").status_code == 429
    assert ask(hub, client).status_code == 200


def test_a_proxy_that_does_not_say_for_whom_it_speaks_is_not_stopped(hub):
    """Else the refusals of one would stop everybody behind it."""
    client = a_client(hub)
    said = {wrong(hub, client, address="127.0.0.1").status_code for _ in range(60)}
    assert said == {401}
    assert ask(hub, client, address="127.0.0.1").status_code == 200


def test_an_address_that_the_proxy_did_not_say_is_not_believed(hub):
    client = a_client(hub)
    form = {"client_assertion": "x", "grant_type": "client_credentials"}
    for _ in range(BURST * 12):
        hub.http.post("/oauth/token", data=form, headers={
            "X-Tsunagi-Address": "192.0.2.1", "X-Forwarded-For": "192.0.2.1",
            "X-Tsunagi-Proxy": "guessed"})  # fmt: skip
    assert ask(hub, client).status_code == 200


def test_revoking_and_introspecting_count_too(hub):
    client = a_client(hub)
    for path in ("introspect", "revoke"):
        for _ in range(BURST):
            wrong(hub, client, path=path, address=f"192.0.2.{len(path)}", token="x")
        answer = ask(hub, client, path=path, address=f"192.0.2.{len(path)}", token="x")
        assert answer.status_code == 429


def test_without_a_limit_nobody_waits(tmp_path, sqlite_template):
    shutil.copyfile(sqlite_template, tmp_path / "hub.db")
    with running_hub(f"sqlite:///{tmp_path}/hub.db", tmp_path) as hub:
        client = a_client(hub)
        assert {ask(hub, client).status_code for _ in range(8)} == {200}


@pytest.mark.parametrize(
    "text", ["", ".", "a.b.c", "a.e30.c", "a.W10.c", "a.eyJzdWIiOjF9.c", "a.\udcff.c"]
)
def test_what_names_nobody_is_nobody(text):
    assert claimed({"client_assertion": text}) == ""
    assert claimed({}) == ""


def test_a_name_is_read_from_the_assertion_and_cut():
    key = rsa_key()
    made = assertion("c" * 300, key, "https://hub.example/oauth/token", None)
    assert claimed({"client_assertion": made}) == "c" * 128


def test_AB26_who_invents_names_does_not_fill_the_memory():
    allowance = Allowance(1, 2, clock=lambda: 0.0, most=3)
    for name in "abcd":
        allowance.wait(name)
    assert len(allowance._buckets) == 3
    assert allowance.left("d") == 0
    allowance.wait("d")
    assert allowance.left("d") > 0  # who called last is not forgotten
