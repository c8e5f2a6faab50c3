"""The token endpoint over real HTTP: checks T1 to T17 of security.md §2.3."""

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from hub.delivery.fetch import Fetcher
from hub.smart import clients
from tests.smart.build import (
    ec_key,
    public,
    rsa_key,
    running_hub,
)

REFUSED = {
    "error": "invalid_client",
    "error_description": "Client authentication failed.",
}


SOURCE_MAY_DELETE = "system/ServiceRequest.d system/Subscription.d"


def refused(answer):
    assert answer.status_code == 401
    assert answer.json() == REFUSED
    assert answer.headers["cache-control"] == "no-store"
    return True


@pytest.mark.parametrize("key", [ec_key(), rsa_key()], ids=["ES384", "RS384"])
def test_T1_a_good_assertion_gets_a_token(hub, key):
    client = hub.register()
    answer = hub.token(hub.form(client.client_id, key))
    assert answer.status_code == 200
    body = answer.json()
    assert body["token_type"] == "bearer"
    assert len(body["access_token"]) >= 43
    assert 0 < body["expires_in"] <= 300
    assert body["scope"] == "system/Task.rs"
    assert "refresh_token" not in body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"


def test_T1_the_token_becomes_an_actor_of_the_organisation(hub):
    client = hub.register()
    token = hub.issue(client.client_id)
    assert hub.whoami(f"Bearer {token}").json() == {
        "client": client.client_id,
        "organisation": "4619999917",
    }


def test_a_token_is_stored_only_as_its_digest(hub):
    token = hub.issue(hub.register().client_id)
    with hub.database.transaction(write=False) as session:
        rows = session.exec_driver_sql("SELECT * FROM smart_token").all()
    assert rows
    assert token not in repr(rows)


def test_T2_an_unknown_grant_type_is_unsupported_and_not_repeated(hub):
    form = hub.form(hub.register().client_id) | {"grant_type": "pass<word"}
    answer = hub.token(form)
    assert answer.status_code == 400
    assert answer.json()["error"] == "unsupported_grant_type"
    assert "pass" not in answer.text


def test_T3_a_wrong_assertion_type_is_refused(hub):
    form = hub.form(hub.register().client_id) | {"client_assertion_type": "urn:x"}
    assert refused(hub.token(form))


@pytest.mark.parametrize(
    ("missing", "error"),
    [
        ("grant_type", "invalid_request"),
        ("client_assertion_type", "invalid_client"),
        ("client_assertion", "invalid_client"),
        ("scope", "invalid_scope"),
    ],
)
def test_T4_a_missing_parameter_is_refused(hub, missing, error):
    form = hub.form(hub.register().client_id)
    del form[missing]
    answer = hub.token(form)
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] == error


def test_T4_a_client_with_a_default_scope_may_omit_the_scope(hub):
    client = hub.register(default_scope="system/Task.rs system/Patient.r")
    form = hub.form(client.client_id)
    del form["scope"]
    assert hub.token(form).json()["scope"] == "system/Task.rs system/Patient.r"


def test_T5_a_json_body_is_refused_in_oauth_words(hub):
    answer = hub.http.post("/oauth/token", json=hub.form(hub.register().client_id))
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "https://other.example/oauth/token",
        lambda url: [url],
        lambda url: [url, "https://other.example"],
        lambda url: url + "/",
        lambda url: url.upper(),
        lambda url: url.replace("/oauth/token", ""),
        lambda url: url.replace("127.0.0.1", "LOCALHOST"),
        lambda url: url.replace("127.0.0.1", "127.0.0.1."),
        lambda _: None,
        lambda _: 5,
    ],
)
def test_T6_the_audience_is_the_token_url_as_one_string(hub, change):
    client = hub.register()
    audience = change(hub.settings.token_url)
    assert refused(hub.token(hub.form(client.client_id, aud=audience)))


def test_T7_wrong_names_are_refused_with_the_same_bytes(hub):
    client, other = hub.register(), hub.register(ec_key("other"))
    name = client.client_id
    answers = [
        hub.token(form)
        for form in (
            hub.form(name, iss="someone"),
            hub.form(name, sub="someone"),
            hub.form(name, iss=other.client_id),
            hub.form(name, iss=None),
            hub.form(name, sub=None),
            hub.form(name, sub=[name]),
            hub.form("no-such-client"),
            hub.form("' OR 1=1 --"),
            hub.form("\u0000"),
            hub.form(name) | {"client_id": other.client_id},
            hub.form(name, ec_key("stranger")),
            hub.form(name, exp=1),
        )
    ]
    assert all(refused(answer) for answer in answers)
    seen = {
        (
            a.status_code,
            a.content,
            tuple(h for h in a.headers.items() if h[0] != "date"),
        )
        for a in answers
    }
    assert len(seen) == 1


def test_a_disabled_client_gets_no_token(hub):
    client = hub.register()
    with hub.database.transaction() as session:
        clients.disable(session, client.client_id)
    assert refused(hub.token(hub.form(client.client_id)))


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"exp": -31},
        {"exp": -61},
        {"exp": 335},
        {"exp": 10**17},
        {"exp": "120"},
        {"exp": 120.5},
        {"exp": True},
        {"iat": 60},
        {"nbf": 60},
        {"nbf": "0"},
        {"iat": 0.5},
    ],
    ids=str,
)
def test_T8_times_out_of_bounds_are_refused(hub, claims):
    assert refused(hub.token(hub.form(hub.register().client_id, **relative(claims))))


@pytest.mark.parametrize(
    "claims",
    [{"exp": -25}, {"exp": 300}, {"exp": 325}, {"iat": 8}, {"nbf": 8}, {"iat": -3600}],
    ids=str,
)
def test_T8_times_within_the_skew_are_accepted(hub, claims):
    form = hub.form(hub.register().client_id, **relative(claims))
    assert hub.token(form).status_code == 200


def relative(claims):
    """Whole numbers count from now; everything else is sent as it is."""
    moment = int(time.time())
    return {
        k: moment + v if type(v) is int else moment + v if isinstance(v, float) else v
        for k, v in claims.items()
    }


@pytest.mark.parametrize("jti", [None, "", 5, ["a"], "x" * 256, "a\u0000b"])
def test_T9_an_unusable_jti_is_refused(hub, jti):
    assert refused(hub.token(hub.form(hub.register().client_id, jti=jti)))


def test_T9_a_replay_is_refused_and_another_clients_jti_is_not(hub):
    first, second = hub.register(), hub.register()
    form = hub.form(first.client_id, jti="one")
    assert hub.token(form).status_code == 200
    assert refused(hub.token(form))
    assert refused(hub.token(hub.form(first.client_id, jti="one")))
    assert hub.token(hub.form(second.client_id, jti="one")).status_code == 200


def test_T9_a_refused_scope_still_uses_the_assertion_up(hub):
    form = hub.form(hub.register().client_id, scope="nonsense")
    assert hub.token(form).json()["error"] == "invalid_scope"
    assert refused(hub.token(form | {"scope": "system/Task.rs"}))


def test_T9_a_bad_signature_does_not_use_up_a_jti(hub):
    client = hub.register()
    assert refused(hub.token(hub.form(client.client_id, ec_key("forged"), jti="mine")))
    assert hub.token(hub.form(client.client_id, jti="mine")).status_code == 200


def test_T9_of_twenty_parallel_uses_exactly_one_succeeds(hub):
    form = hub.form(hub.register().client_id)
    barrier = threading.Barrier(20)

    def attempt(_):
        barrier.wait()
        return hub.token(form).status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(pool.map(attempt, range(20)))
    assert statuses == [200] + [401] * 19


def test_T9_a_replay_after_a_restart_is_refused(tmp_path):
    with Fetcher(dev=True) as fetcher:
        with running_hub(tmp_path, fetcher) as before:
            client = before.register()
            form = before.form(client.client_id, jti="once")
            assert before.token(form).status_code == 200
        with running_hub(tmp_path, fetcher) as after:
            # The port, hence the audience, is a new one; the jti is the old one.
            assert refused(after.token(after.form(client.client_id, jti="once")))
            assert after.token(after.form(client.client_id)).status_code == 200


def segment(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(hub, client_id, **header):
    claims = hub.assertion(client_id).split(".")[1]
    return f"{segment({'typ': 'JWT', 'kid': 'ec', **header})}.{claims}."


def hmac(hub, client_id, secret, algorithm):
    claims = json.loads(
        base64.urlsafe_b64decode(hub.assertion(client_id).split(".")[1] + "==")
    )
    header = {"alg": algorithm, "kid": "ec"}
    return jwt.encode(header, claims, OctKey.import_key(secret), [algorithm])


def test_T10_other_algorithms_are_refused(hub):
    weak = ec_key("p256", "P-256")
    client = hub.register()
    name = client.client_id
    pem = rsa_key().as_pem(private=False)
    jwk = json.dumps(ec_key().as_dict(private=False))
    es384 = hub.assertion(name).split(".")
    for assertion in (
        unsigned(hub, name, alg="none"),
        unsigned(hub, name, alg="ES384"),
        segment({"alg": "none"}) + "." + es384[1] + "." + es384[2],
        segment({"alg": "es384", "kid": "ec", "typ": "JWT"})
        + "."
        + ".".join(es384[1:]),
        segment({"alg": 5, "kid": "ec", "typ": "JWT"}) + "." + ".".join(es384[1:]),
        hmac(hub, name, base64.b64encode(pem), "HS256"),
        hmac(hub, name, jwk, "HS384"),
        hub.assertion(name, rsa_key(), header={"alg": "RS256"}),
        hub.assertion(name, rsa_key(), header={"alg": "PS384"}),
        hub.assertion(name, weak, header={"alg": "ES256"}),
    ):
        form = hub.form(name) | {"client_assertion": assertion}
        assert refused(hub.token(form))


def test_T10_an_algorithm_that_was_not_registered_is_refused(hub):
    client = hub.register(ec_key())
    assert client.algorithms == ("ES384",)
    assert refused(hub.token(hub.form(client.client_id, rsa_key())))


@pytest.mark.parametrize(
    "kid", [None, "", "unknown", "../../etc/passwd", "' OR 1=1", 5, ["ec"]]
)
def test_T11_a_kid_that_names_no_key_is_refused(hub, kid):
    header = {"kid": kid}
    client = hub.register()
    if isinstance(kid, str) or kid is None:
        assert refused(hub.token(hub.form(client.client_id, header=header)))
    else:
        parts = hub.assertion(client.client_id).split(".")
        head = segment({"alg": "ES384", "typ": "JWT", "kid": kid})
        form = hub.form(client.client_id)
        form["client_assertion"] = ".".join([head, *parts[1:]])
        assert refused(hub.token(form))


@pytest.mark.parametrize("typ", [None, "", "at+jwt", "jwt", "JWT "])
def test_the_type_of_the_assertion_is_JWT(hub, typ):
    form = hub.form(hub.register().client_id, header={"typ": typ})
    assert refused(hub.token(form))


def test_T12_a_jku_is_refused_when_keys_were_registered_by_value(hub):
    header = {"jku": "https://attacker.example/jwks"}
    assert refused(hub.token(hub.form(hub.register().client_id, header=header)))


@pytest.mark.parametrize("name", ["jwk", "x5c", "x5u", "crit"])
def test_T13_keys_in_the_header_are_never_trusted(hub, name):
    client = hub.register()
    stranger = ec_key("stranger")
    value = {
        "jwk": stranger.as_dict(private=False),
        "x5c": ["MIIB"],
        "x5u": "https://attacker.example/cert",
        "crit": ["exp"],
    }[name]
    plain = {"alg": "ES384", "kid": "ec", "typ": "JWT"}
    claims = hub.assertion(client.client_id).split(".")[1]
    form = hub.form(client.client_id)
    control = form | {"client_assertion": _sign(plain, claims, ec_key())}
    assert hub.token(control).status_code == 200
    claims = hub.assertion(client.client_id).split(".")[1]
    head = plain | {name: value}
    for signed in (stranger, ec_key()):
        forged = _sign(head, claims, signed)
        assert refused(hub.token(form | {"client_assertion": forged}))


def _sign(head, claims, key):
    """Sign any header, also those that no library would write."""
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA384

    signed = f"{segment(head)}.{claims}"
    der = key.private_key.sign(signed.encode(), ec.ECDSA(SHA384()))
    r, s = utils.decode_dss_signature(der)
    return f"{signed}.{segment(r.to_bytes(48, 'big') + s.to_bytes(48, 'big'))}"


def test_T14_forged_signatures_are_refused(hub):
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    client = hub.register()
    head, claims, signature = hub.assertion(client.client_id).split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = int.from_bytes(raw[:48], "big"), int.from_bytes(raw[48:], "big")
    order = 2**384 - 1
    for forged in (
        raw[:-1],
        raw[:48],
        b"",
        encode_dss_signature(r, s),
        bytes(96),
        bytes(48) + raw[48:],
        raw[:48] + bytes(48),
        order.to_bytes(48, "big") * 2,
        raw + b"\x00",
        raw[::-1],
    ):
        form = hub.form(client.client_id)
        form["client_assertion"] = f"{head}.{claims}.{segment(forged)}"
        assert refused(hub.token(form))


def test_T14_another_key_of_the_same_kid_is_refused(hub):
    stranger = {**ec_key("another").as_dict(private=True), "kid": "ec"}
    form = hub.form(hub.register().client_id, ECKey.import_key(stranger))
    assert refused(hub.token(form))


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        ("", None),
        ("launch fhirUser", None),
        ("openid system/Task.rs", "system/Task.rs"),
        ("system/Task.dus", None),
        ("system/Task.sr", None),
        ("system/Task.", None),
        ("system/task.rs", None),
        ("system/*.rs?status=requested", None),
        ("system/Task.rs system/Task.read", "system/Task.rs system/Task.read"),
        ("system/Task.rs patient/Task.rs", "system/Task.rs"),
        ("system/AuditEvent.rs system/*.d", SOURCE_MAY_DELETE),
        ("system/Task.read system/Patient.rs", "system/Task.read system/Patient.rs"),
        ("system/Task.cruds", "system/Task.crus"),
        ("system/Task.write", "system/Task.cu"),
        ("system/Observation.rs", None),
        ("user/Task.rs", None),
        ("system/Task.rs?status=requested", None),
        ("system/Patient.r system/Task.s", "system/Patient.r system/Task.s"),
        ("system/Task.r\tsystem/Patient.r", None),
        ("system/Task.r\nsystem/Patient.r", None),
        ("system/Task.rｓ", None),
        ("system/\u13a2ask.r", None),
    ],
)
def test_T15_the_granted_scope_is_what_introspection_says(hub, requested, granted):
    client = hub.register()
    answer = hub.token(hub.form(client.client_id, scope=requested))
    if granted is None:
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_scope"
        return
    body = answer.json()
    assert body["scope"] == granted
    assert (
        hub.introspect(client.client_id, body["access_token"]).json()["scope"]
        == granted
    )


@pytest.mark.parametrize(
    "requested",
    ["system/Location.write", "system/Location.cud", "system/*.*", "system/*.cruds"],
)
def test_T16_a_reader_never_gets_write_letters(hub, requested):
    client = hub.register(roles={"directory"})
    answer = hub.token(hub.form(client.client_id, scope=requested))
    for word in answer.json().get("scope", "").split():
        assert word.endswith((".rs", ".r", ".s", ".read"))


def test_T17_a_repeated_parameter_is_refused(hub):
    form = list(hub.form(hub.register().client_id).items())
    for name, value in form:
        answer = hub.http.post(
            "/oauth/token",
            content=urlencode([*form, (name, value)]),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_request"


def test_T17_an_assertion_in_the_query_string_is_refused(hub):
    form = hub.form(hub.register().client_id)
    query = {"client_assertion": form.pop("client_assertion")}
    answer = hub.http.post("/oauth/token", params=query, data=form)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["token", "introspect", "revoke"])
def test_T19_I6_other_methods_are_405_in_oauth_words(hub, method, path):
    answer = hub.http.request(method, f"/oauth/{path}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json() == {"error": "invalid_request"}


@pytest.mark.parametrize("junk", ["a=%ff", "%", "a", "&&&", "a=é", "=", "\x00=\x00"])
def test_a_body_that_is_no_form_is_refused(hub, junk):
    answer = hub.http.post(
        "/oauth/token",
        content=junk.encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_request", "unsupported_grant_type")


def test_T20_oversize_requests_are_refused_and_others_served(hub):
    client = hub.register()
    huge = hub.form(client.client_id) | {"client_assertion": "a" * 1_000_000}
    assert hub.token(huge).json()["error"] == "invalid_request"
    many = hub.form(client.client_id, scope="system/Task.rs " * 10_000)
    assert hub.token(many).json()["error"] == "invalid_request"


def test_T20_a_flood_of_bad_assertions_leaves_others_served(hub):
    client = hub.register()
    bad = [hub.form(client.client_id, exp=1) for _ in range(100)]
    waited = []
    with ThreadPoolExecutor(20) as pool:
        running = [pool.submit(hub.token, form) for form in bad]
        for _ in range(20):
            good = hub.form(client.client_id)
            began = time.monotonic()
            assert hub.token(good).status_code == 200
            waited.append(time.monotonic() - began)
        assert all(refused(future.result()) for future in running)
    # The 19th of 20 is p95. Generous: the machine may be doing something else too.
    assert sorted(waited)[-2] < 5


def test_T20_an_assertion_nested_deeply_or_with_doubled_keys_is_refused(hub):
    client = hub.register()
    head, _claims, signature = hub.assertion(client.client_id).split(".")
    for claims in (
        b"[" * 20_000,
        b'{"a":' * 5_000,
        b'{"sub":"x","sub":"' + client.client_id.encode() + b'"}',
        b"{}",
        b"[]",
        b"\xff",
        b"null",
    ):
        form = hub.form(client.client_id)
        form["client_assertion"] = f"{head}.{segment(claims)}.{signature}"
        assert refused(hub.token(form))


def test_registered_keys_are_public_only(hub):
    client = hub.register()
    assert client.jwks == public(ec_key(), rsa_key())
