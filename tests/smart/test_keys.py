"""Keys by URL: checks T12 and T18. Answers of the key server are played by respx."""

import asyncio
import time

import httpx
import pytest
import respx

from hub.delivery.fetch import Fetcher
from hub.smart.clients import Client
from hub.smart.keys import MAX_BYTES, ClientKeys
from tests.smart.build import ec_key, public, rsa_key, running_hub, serve

URL = "https://hospital.example/jwks"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keys(clock):
    with Fetcher(allowed_hosts=["hospital.example"]) as fetcher:
        yield ClientKeys(fetcher, clock)


@pytest.fixture
def server():
    with respx.mock(assert_all_called=False) as router:
        yield router.get(URL)


def client(url=URL, jwks=None):
    algorithms = ("ES384", "RS384")
    return Client(
        "c", "o", "n", frozenset(), "", None, algorithms, jwks, url, False, True, 0
    )


def find(keys, kid):
    algorithm = "RS384" if kid.startswith("rsa") else "ES384"
    return keys.find(client(), kid, algorithm)


def test_T18_a_key_is_fetched_once_and_kept(keys, clock, server):
    server.respond(json=public(ec_key(), rsa_key()))
    assert find(keys, "ec").thumbprint() == ec_key().thumbprint()
    assert find(keys, "rsa").thumbprint() == rsa_key().thumbprint()
    assert server.call_count == 1
    clock.now += 301
    assert find(keys, "ec")
    assert server.call_count == 2


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("max-age=60", 60),
        ("max-age=31536000", 3600),
        ("public, MAX-AGE=120", 120),
        ("s-maxage=9", 300),
        ("no-store", 5),
        ("no-cache, max-age=600", 5),
        ("max-age=0", 5),
        ("max-age=99999999999999", 300),
    ],
)
def test_T18_keys_are_kept_as_long_as_allowed_and_an_hour_at_most(
    keys, clock, server, cache_control, seconds
):
    server.respond(json=public(ec_key()), headers={"Cache-Control": cache_control})
    assert find(keys, "ec")
    clock.now += seconds - 1
    assert find(keys, "ec")
    assert server.call_count == 1
    clock.now += 1
    assert find(keys, "ec")
    assert server.call_count == 2


def test_T18_a_rotated_key_works_after_a_minute_and_the_old_one_stops(
    keys, clock, server
):
    server.respond(json=public(ec_key("old")))
    assert find(keys, "old")
    server.respond(json=public(ec_key("new")))
    assert find(keys, "new") is None
    clock.now += 61
    assert find(keys, "new")
    assert find(keys, "old") is None
    for _ in range(50):
        assert find(keys, "never") is None
    assert server.call_count == 2


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(404),
        httpx.Response(301, headers={"Location": "https://other.example/"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"keys": "x"}),
        httpx.Response(200, json={"keys": ["x", 5]}),
        httpx.Response(200, content=b" " * (MAX_BYTES + 1)),
        httpx.ConnectError("down"),
        httpx.ReadTimeout("slow"),
    ],
    ids=str,
)
def test_T18_a_bad_key_server_gives_no_key_and_is_not_asked_at_once_again(
    keys, clock, server, answer
):
    server.mock(side_effect=[answer] * 2)
    assert find(keys, "ec") is None
    assert find(keys, "ec") is None
    assert server.call_count == 1
    server.mock(return_value=httpx.Response(200, json=public(ec_key())))
    clock.now += 301
    assert find(keys, "ec")


def test_T18_keys_past_their_time_are_not_used_while_the_server_is_down(
    keys, clock, server
):
    server.respond(json=public(ec_key()))
    assert find(keys, "ec")
    server.mock(side_effect=httpx.ConnectError("down"))
    clock.now += 301
    assert find(keys, "ec") is None


def test_T11_two_keys_of_one_kid_and_encryption_keys_are_refused(keys, server):
    two = [
        {**ec_key().as_dict(private=False), "kid": "twice"},
        {**rsa_key().as_dict(private=False), "kid": "twice"},
        {**ec_key().as_dict(private=False), "kid": "enc", "use": "enc"},
    ]
    server.respond(json={"keys": two})
    assert find(keys, "twice") is None
    assert find(keys, "enc") is None


def test_a_key_does_not_serve_another_algorithm(keys, server):
    server.respond(json=public(ec_key(), rsa_key()))
    assert keys.find(client(), "ec", "RS384") is None
    assert keys.find(client(), "rsa", "ES384") is None
    assert keys.find(client(), "rsa", "HS256") is None


def test_T18_a_key_server_that_drips_holds_nobody_up(tmp_path, monkeypatch):
    """The whole exchange has one deadline, however often a byte arrives."""
    monkeypatch.setattr("hub.smart.keys.TIMEOUT", 0.3)

    async def dripping(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(24):
            part = {"type": "http.response.body", "body": b" ", "more_body": True}
            await send(part)
            await asyncio.sleep(0.05)

    with (
        serve(dripping) as port,
        Fetcher(dev=True) as fetcher,
        running_hub(tmp_path, fetcher) as hub,
    ):
        url = f"http://127.0.0.1:{port}/jwks"
        slow = hub.register(jwks=None, jwks_url=url).client_id
        began = time.monotonic()
        assert hub.token(hub.form(slow)).status_code == 401
        assert time.monotonic() - began < 3
        assert hub.token(hub.form(hub.register().client_id)).status_code == 200


def test_T13_an_address_in_the_header_is_never_asked(tmp_path):
    asked = []

    async def listener(scope, receive, send):
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with (
        serve(listener) as port,
        Fetcher(dev=True) as fetcher,
        running_hub(tmp_path, fetcher) as hub,
    ):
        name = hub.register().client_id
        for member in ("x5u", "jku"):
            header = {member: f"http://127.0.0.1:{port}/{member}"}
            assert hub.token(hub.form(name, header=header)).status_code == 401
        assert asked == []


def test_T12_a_foreign_jku_is_refused_without_a_connection(tmp_path):
    served = []

    async def jwks(scope, receive, send):
        served.append(scope["path"])
        body = httpx.Response(200, json=public(ec_key())).content
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    with (
        serve(jwks) as port,
        Fetcher(dev=True) as fetcher,
        running_hub(tmp_path, fetcher) as hub,
    ):
        url = f"http://127.0.0.1:{port}/registered"
        named = hub.register(jwks=None, jwks_url=url).client_id
        foreign = {"jku": f"http://127.0.0.1:{port}/foreign"}
        assert hub.token(hub.form(named, header=foreign)).status_code == 401
        assert served == []
        assert hub.token(hub.form(named, header={"jku": url})).status_code == 200
        assert hub.token(hub.form(named)).status_code == 200
        assert served == ["/registered"]
        header = {"jku": url, "kid": "unknown"}
        assert hub.token(hub.form("no-such-client", header=header)).status_code == 401
        assert served == ["/registered"]
