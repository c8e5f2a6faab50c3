"""Delivery to a FHIR server, with the receiver played by respx."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs

import httpx
import pytest
import respx
from joserfc import jwt

from connectors.fhir_rest import FhirRest
from hub.delivery.connector import DeliveryError, Destination, Message
from hub.delivery.fetch import Fetcher
from hub.delivery.schedule import retry_after
from tests.smart.build import ec_key

BASE = "https://centre.example/fhir"
TOKEN_URL = "https://centre.example/oauth/token"
TRANSACTION = b'{"resourceType":"Bundle","type":"transaction","entry":[]}'


@pytest.fixture
def receiver():
    with respx.mock(assert_all_called=False) as router:
        router.get(f"{BASE}/.well-known/smart-configuration", name="discovery").respond(
            json={"token_endpoint": TOKEN_URL}
        )
        router.post(TOKEN_URL, name="token").mock(
            side_effect=lambda _: httpx.Response(
                200,
                json={
                    "access_token": f"token-{router['token'].call_count + 1}",
                    "token_type": "bearer",
                    "expires_in": 300,
                },
            )
        )
        router.post(BASE, name="post").respond(200, json={"resourceType": "Bundle"})
        yield router


@pytest.fixture
def connector():
    with Fetcher(allowed_hosts=["centre.example", "other.example"]) as fetcher:
        yield FhirRest(fetcher, ec_key("hub-key"))


def message(body=TRANSACTION, **destination):
    where = Destination("aira", BASE, "hub-at-centre", **destination)
    return Message("message-1", "referral", where, body, correlation_id="case-1")


def failure(connector, sent=None):
    with pytest.raises(DeliveryError) as error:
        connector.send(sent or message())
    return error.value


def test_a_message_is_posted_with_its_ids_and_a_token(connector, receiver):
    connector.send(message())
    request = receiver["post"].calls.last.request
    assert request.content == TRANSACTION
    assert request.headers["authorization"] == "Bearer token-1"
    assert request.headers["x-request-id"] == "message-1"
    assert request.headers["idempotency-key"] == "message-1"
    assert request.headers["x-correlation-id"] == "case-1"
    assert request.headers["content-type"] == "application/fhir+json"


def test_the_token_is_asked_with_a_signed_assertion_for_this_endpoint(
    connector, receiver
):
    connector.send(message(scope="system/Task.cu"))
    form = parse_qs(receiver["token"].calls.last.request.content.decode())
    assert form["grant_type"] == ["client_credentials"]
    assert form["scope"] == ["system/Task.cu"]
    (assertion,) = form["client_assertion"]
    token = jwt.decode(assertion, ec_key("hub-key"), algorithms=["ES384"])
    assert token.header == {"alg": "ES384", "typ": "JWT", "kid": "hub-key"}
    assert token.claims["iss"] == token.claims["sub"] == "hub-at-centre"
    assert token.claims["aud"] == TOKEN_URL
    assert 0 < token.claims["exp"] - token.claims["iat"] <= 300
    assert token.claims["jti"]


def test_each_assertion_has_its_own_id(connector, receiver):
    receiver["token"].respond(401, json={"error": "invalid_client"})
    seen = set()
    for _ in range(3):
        failure(connector)
        form = parse_qs(receiver["token"].calls.last.request.content.decode())
        claims = jwt.decode(
            form["client_assertion"][0], ec_key("hub-key"), algorithms=["ES384"]
        ).claims
        seen.add(claims["jti"])
    assert len(seen) == 3


def test_a_token_is_kept_until_shortly_before_its_end(connector, receiver, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("connectors.fhir_rest.tokens.monotonic", lambda: clock[0])
    connector.send(message())
    clock[0] += 269
    connector.send(message())
    assert receiver["token"].call_count == 1
    clock[0] += 2
    connector.send(message())
    assert receiver["token"].call_count == 2
    assert receiver["discovery"].call_count == 1


def test_a_401_gets_one_fresh_token_and_one_more_try(connector, receiver):
    receiver["post"].side_effect = [httpx.Response(401), httpx.Response(200)]
    connector.send(message())
    assert receiver["token"].call_count == 2
    sent = [call.request.headers for call in receiver["post"].calls]
    assert [h["authorization"] for h in sent] == ["Bearer token-1", "Bearer token-2"]
    assert len({h["idempotency-key"] for h in sent}) == 1


def test_a_second_401_is_a_failure_worth_a_retry(connector, receiver):
    receiver["post"].respond(401)
    error = failure(connector)
    assert (error.reason, error.retry) == ("http-401", True)
    assert receiver["post"].call_count == 2


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_2xx_is_success(connector, receiver, status):
    receiver["post"].respond(status)
    connector.send(message())


@pytest.mark.parametrize(
    ("status", "retry", "disable"),
    [
        (301, True, False),
        (302, True, False),
        (307, True, False),
        (308, True, False),
        (400, False, False),
        (403, True, False),
        (404, True, False),
        (409, True, False),
        (410, False, True),
        (412, False, False),
        (413, False, False),
        (415, False, False),
        (422, False, False),
        (429, True, False),
        (500, True, False),
        (501, False, False),
        (502, True, False),
        (503, True, False),
        (504, True, False),
    ],
)
def test_Q8_other_answers_are_failures_of_their_kind(
    connector, receiver, status, retry, disable
):
    receiver["post"].respond(
        status, text="氏名 secret", headers={"Location": "https://other.example/"}
    )
    other = receiver.route(host="other.example")
    error = failure(connector)
    assert (error.reason, error.retry) == (f"http-{status}", retry)
    assert error.disable == disable
    assert "secret" not in str(error)
    assert not other.called
    assert receiver["post"].call_count == 1


def test_Q8_retry_after_is_honoured_in_both_forms(connector, receiver):
    receiver["post"].respond(503, headers={"Retry-After": "120"})
    assert failure(connector).retry_after == 120
    moment = datetime.now(UTC) + timedelta(seconds=60)
    header = format_datetime(moment, usegmt=True)
    receiver["post"].respond(429, headers={"Retry-After": header})
    wait = failure(connector).retry_after
    assert wait is not None
    assert 55 < wait <= 60


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("0", 0.0),
        ("99999999999", 86_400.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("Fri, 99 Dec 2015 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_read_or_ignored(value, seconds):
    assert retry_after(value) == seconds


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (httpx.ConnectError("no"), "connect"),
        (httpx.ReadTimeout("no"), "timeout"),
        (httpx.RemoteProtocolError("no"), "protocol"),
    ],
)
def test_a_fault_of_the_network_is_worth_a_retry(connector, receiver, fault, reason):
    receiver["post"].mock(side_effect=fault)
    error = failure(connector)
    assert (error.reason, error.retry) == (reason, True)


def test_a_receiver_without_discovery_is_refused(connector, receiver):
    receiver["discovery"].respond(404)
    assert failure(connector).reason == "discovery"
    assert not receiver["post"].called
    assert not receiver["token"].called


@pytest.mark.parametrize(
    "document",
    [
        "<html>",
        "[]",
        "{}",
        '{"token_endpoint":5}',
        '{"token_endpoint":"https://other.example/token"}',
        '{"token_endpoint":"http://centre.example/oauth/token"}',
        '{"token_endpoint":"https://centre.example.evil.example/token"}',
        '{"token_endpoint":"https://centre.example@other.example/token"}',
        '{"token_endpoint":"/oauth/token"}',
        '{"token_endpoint":"https://centre.example/a","token_endpoint":"https://x/"}',
    ],
)
def test_a_token_endpoint_elsewhere_never_sees_an_assertion(
    connector, receiver, document
):
    receiver["discovery"].respond(text=document)
    elsewhere = receiver.route(method="POST")
    assert failure(connector).reason == "discovery"
    assert not elsewhere.called
    assert not receiver["token"].called


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"error": "invalid_scope"}),
        httpx.Response(401, json={"error": "invalid_client"}),
        httpx.Response(200, json={"error": "invalid_client", "error_description": "é"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"access_token": "a", "token_type": "mac"}),
        httpx.Response(200, json={"access_token": "a\nb", "token_type": "bearer"}),
        httpx.Response(200, json={"access_token": 5, "token_type": "bearer"}),
        httpx.Response(302, headers={"Location": "https://other.example/"}),
        httpx.Response(500),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.text[:40]}",
)
def test_without_a_usable_token_nothing_is_sent(connector, receiver, answer):
    receiver["token"].mock(side_effect=[answer])
    error = failure(connector)
    assert (error.reason, error.retry, error.disable) == ("token", True, False)
    assert not receiver["post"].called


def test_a_busy_token_endpoint_slows_the_hub_down(connector, receiver):
    receiver["token"].respond(429, headers={"Retry-After": "30"})
    assert failure(connector).retry_after == 30


def test_after_a_failed_token_discovery_is_read_again(connector, receiver):
    receiver["token"].mock(side_effect=[httpx.Response(404)])
    failure(connector)
    moved = receiver.post("https://centre.example/moved").respond(
        json={"access_token": "a", "token_type": "Bearer"}
    )
    receiver["discovery"].respond(
        json={"token_endpoint": "https://centre.example/moved"}
    )
    connector.send(message())
    assert moved.called


def test_without_oauth_only_when_trying_out(connector, receiver):
    error = failure(connector, message(auth="none"))
    assert (error.reason, error.retry) == ("no-authentication", False)
    assert not receiver["post"].called
    with Fetcher(allowed_hosts=["centre.example"]) as fetcher:
        FhirRest(fetcher, ec_key(), dev=True).send(message(auth="none"))
    assert "authorization" not in receiver["post"].calls.last.request.headers
    assert not receiver["token"].called


def test_a_document_goes_to_the_endpoint_of_bundles(connector, receiver):
    route = receiver.post(f"{BASE}/Bundle").respond(201)
    connector.send(
        message(json.dumps({"resourceType": "Bundle", "type": "document"}).encode())
    )
    assert route.called


@pytest.mark.parametrize(
    "body",
    [b"", b"<xml/>", b"{}", b'{"resourceType":"../admin"}', b'{"resourceType":"\xff"}'],
)
def test_what_is_no_resource_is_not_sent(connector, receiver, body):
    error = failure(connector, message(body))
    assert (error.reason, error.retry) == ("body", False)
    assert not receiver["token"].called


def test_a_messages_own_headers_do_not_replace_the_connectors(connector, receiver):
    where = Destination("aira", BASE, "hub-at-centre")
    own = {"authorization": "Bearer mine", "x-request-id": "mine", "X-Extra": "kept"}
    connector.send(Message("message-1", "status", where, TRANSACTION, headers=own))
    headers = receiver["post"].calls.last.request.headers
    assert headers.get_list("authorization") == ["Bearer token-1"]
    assert headers.get_list("x-request-id") == ["message-1"]
    assert headers["x-extra"] == "kept"
