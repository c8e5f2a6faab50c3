"""The stand-in as its own process, reached by the hub's own connector."""

import json
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlencode

import pytest
from joserfc.jwk import ECKey

from connectors.fhir_rest import FhirRest
from hub.delivery.connector import DeliveryError, Destination, Message
from hub.delivery.fetch import Fetcher, FetchError
from hub.demo.client import HubClient, RefusedError, generate_key
from hub.fhir.json import encode
from hub.reports import document
from tests.reports.build import a_report

CLIENT = "tsunagi-hub"
TASK = {
    "resourceType": "Task",
    "status": "accepted",
    "intent": "order",
    "businessStatus": {"coding": [{"code": "contact-attempted"}]},
}
TRANSACTION = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {
            "fullUrl": "urn:uuid:0a1e4e6c-1f0f-4b9f-8a53-1d62c1e0e001",
            "resource": TASK,
            "request": {"method": "PUT", "url": "Task?identifier=x|1"},
        }
    ],
}


@pytest.fixture(scope="module")
def hub_key():
    return generate_key()


@pytest.fixture(scope="module")
def hub_jwks(hub_key):
    """The hub's public keys at a URL of this machine."""
    body = json.dumps(hub_key[1]).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/oauth/jwks"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def fetcher():
    with Fetcher(dev=True, timeout=10) as made:
        yield made


@pytest.fixture(scope="module")
def base(hub_jwks, fetcher):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "hub.demo.standin", "--name", "みなと見本病院"]
    command += ["--port", str(port), "--hub-jwks", hub_jwks, "--client-id", CLIENT]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        _wait(fetcher, f"http://127.0.0.1:{port}/livez")
        yield f"http://127.0.0.1:{port}/fhir"
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert errors == b""


def _wait(fetcher, url):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            if fetcher.request("GET", url).is_success:
                return
        except FetchError:
            time.sleep(0.02)
    pytest.fail("the stand-in did not start")


@pytest.fixture
def connector(fetcher, hub_key):
    return FhirRest(fetcher, ECKey.import_key(hub_key[0]))


def a_message(base, id, body=None, kind="status"):
    return Message(
        id=id,
        kind=kind,
        destination=Destination("4619999917", base, CLIENT),
        body=encode(body or TRANSACTION),
        correlation_id="case-1",
    )


def received(fetcher, base, id):
    shown = json.loads(fetcher.request("GET", f"{base}/_received").content)
    assert shown["name"] == "みなと見本病院"
    return [one for one in shown["received"] if one["id"] == id]


def test_without_a_token_nothing_is_taken(fetcher, base):
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic x"},
    ):
        answer = fetcher.request(
            "POST", base, headers={**headers, "X-Request-ID": "m0"}, content=b"{}"
        )
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert received(fetcher, base, "m0") == []


def test_the_hubs_connector_delivers_a_transaction(fetcher, base, connector):
    connector.send(a_message(base, "m1"))
    (one,) = received(fetcher, base, "m1")
    assert one["types"] == {"Task": 1}
    assert one["tasks"] == [
        {"status": "accepted", "business_status": ["contact-attempted"]}
    ]
    assert (one["correlation"], one["bundle_type"]) == ("case-1", "transaction")


def test_a_message_sent_again_is_kept_once(fetcher, base, connector):
    for _ in range(3):
        connector.send(a_message(base, "m2"))
    (one,) = received(fetcher, base, "m2")
    assert one["times"] == 3


def test_one_id_for_two_messages_is_refused(base, connector):
    connector.send(a_message(base, "m3"))
    changed = {**TRANSACTION, "entry": []}
    with pytest.raises(DeliveryError, match="http-422"):
        connector.send(a_message(base, "m3", changed))


def test_a_report_arrives_as_a_document_with_its_pdf(fetcher, base, connector):
    pdf = b"%PDF-1.7 invented"
    connector.send(a_message(base, "m4", document(a_report(2), pdf), "report"))
    (one,) = received(fetcher, base, "m4")
    assert (one["bundle_type"], one["pdf_bytes"]) == ("document", [len(pdf)])
    assert one["types"]["Patient"] == 2
    whole = fetcher.request("GET", f"{base}/_received/m4").content
    assert whole == encode(document(a_report(2), pdf))


def test_the_list_of_what_arrived_names_no_person(fetcher, base, connector):
    connector.send(a_message(base, "m5", document(a_report(5), b"%PDF"), "report"))
    shown = fetcher.request("GET", f"{base}/_received").content.decode()
    for row in a_report(5).rows:
        assert row.name not in shown


def test_a_stranger_gets_no_token(fetcher, base):
    with pytest.raises(RefusedError) as refused:
        HubClient(base, CLIENT, generate_key()[0], fetcher=fetcher).token()
    assert refused.value.status == 401


def test_another_client_id_gets_no_token(fetcher, base, hub_key):
    with pytest.raises(RefusedError) as refused:
        HubClient(base, "someone", hub_key[0], fetcher=fetcher).token()
    assert refused.value.status == 401


def ask(fetcher, base, assertion):
    """The status of a token request with this assertion."""
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": (
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        ),
        "client_assertion": assertion,
    }
    body = urlencode(form).encode()
    return fetcher.request("POST", f"{base}/token", content=body).status


def test_an_assertion_is_used_once(fetcher, base, hub_key):
    client = HubClient(base, CLIENT, hub_key[0], fetcher=fetcher)
    assertion = client._assertion(f"{base}/token")
    assert [ask(fetcher, base, assertion) for _ in range(2)] == [200, 401]


def test_an_assertion_for_another_endpoint_is_refused(fetcher, base, hub_key):
    client = HubClient(base, CLIENT, hub_key[0], fetcher=fetcher)
    assertion = client._assertion("http://127.0.0.1:1/token")
    assert ask(fetcher, base, assertion) == 401


def test_the_client_posts_with_its_token_and_reads_refusals(fetcher, base, hub_key):
    client = HubClient(base, CLIENT, hub_key[0], fetcher=fetcher)
    answer = client.post("", TRANSACTION, {"X-Request-ID": "m6"})
    assert answer["type"] == "transaction-response"
    assert client.token() == client.token()
    with pytest.raises(RefusedError) as refused:
        client.post("", {"resourceType": "Task"}, {"X-Request-ID": "m7"})
    assert refused.value.status == 400
    assert refused.value.outcome["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "path", ["", "/Task", "/Patient/1", "/_received/none", "/../x"]
)
def test_everything_else_is_not_there(fetcher, base, path):
    assert fetcher.request("GET", f"{base}{path}").status in (404, 405)


@pytest.mark.parametrize("body", [b"", b"{", b'{"resourceType":"Bundle","a":1,"a":2}'])
def test_what_cannot_be_read_is_refused(fetcher, base, hub_key, body):
    client = HubClient(base, CLIENT, hub_key[0], fetcher=fetcher)
    with pytest.raises(RefusedError) as refused:
        client.send("POST", "", body, headers={"X-Request-ID": "m8"})
    assert refused.value.status == 400
