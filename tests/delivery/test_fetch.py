"""The guarded client: where it goes, where it never goes, and what it bears."""

import socket
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx

from hub.delivery.addresses import is_permitted, target
from hub.delivery.fetch import Fetcher, FetchError

PUBLIC = "93.184.216.34"

SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "0X7F000001",
    "127.0.0.1.",
    "127.000.000.001",
    "127.0.0.2",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[::1%25lo]",
    "user@127.0.0.1",
    "hospital.example@127.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "ⓛocalhost",
    "127.0.0.1%00",
    "127.0.0.1\\",
    "loopback.example",
]


class Listener:
    """A socket on this machine that counts who connects."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.socket.getsockname()[1]
        self._seen = []
        self._thread = threading.Thread(target=self._count)
        self._thread.start()

    def _count(self):
        while True:
            connection, _ = self.socket.accept()
            with connection:
                greeting = connection.recv(4)
            if greeting == b"STOP":
                return
            self._seen.append(greeting)

    def stop(self) -> int:
        """Stop listening; how many connected, those still waiting included."""
        if self._thread.is_alive():
            with socket.create_connection(("127.0.0.1", self.port)) as last:
                last.sendall(b"STOP")
            self._thread.join()
            self.socket.close()
        return len(self._seen)


@pytest.fixture
def listener():
    found = Listener()
    yield found
    found.stop()


def lookup(host, port):
    """Names of the tests; addresses and what the system knows as it would be."""
    if host == "loopback.example":
        return ["127.0.0.1"]
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port)]


def test_no_spelling_of_this_machine_is_reached(listener):
    for spelling in SPELLINGS:
        place = f"{spelling}:{listener.port}"
        for scheme in ("https", "http"):
            with (
                Fetcher(allowed_hosts=[place], resolve=lookup) as fetcher,
                pytest.raises(FetchError) as error,
            ):
                fetcher.request("GET", f"{scheme}://{place}/")
            assert error.value.reason in ("url", "scheme", "host", "address")
    assert listener.stop() == 0


def test_an_odd_spelling_is_not_reached_where_loopback_is_allowed(listener):
    plain = ["127.0.0.1", "127.0.0.2", "localhost", "[::1]", "[0:0:0:0:0:0:0:1]"]
    with Fetcher(dev=True, resolve=lookup) as fetcher:
        for spelling in SPELLINGS:
            if spelling.lower() in plain:
                continue
            url = f"http://{spelling}:{listener.port}/"
            with pytest.raises(FetchError, match=r"url|scheme"):
                fetcher.request("GET", url)
    assert listener.stop() == 0


def test_the_listener_does_count_a_connection(listener):
    with Fetcher(dev=True) as fetcher, pytest.raises(FetchError, match="protocol"):
        fetcher.request("GET", f"http://127.0.0.1:{listener.port}/")
    assert listener.stop() == 1


@pytest.mark.parametrize("dev", [True, False])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "hospital.example",
        "//hospital.example/",
        "file:///etc/passwd",
        "ftp://hospital.example/",
        "HTTPS://hospital.example/",
        "https:hospital.example",
        "https:///hospital.example",
        "https:/\\hospital.example",
        "https://hospital.example\\@other.example/",
        "https://hospital.example/#fragment",
        "https://hospital.example/a b",
        "https://hospital.example/\r\nHost: x",
        "https://hospital.example:0/",
        "https://hospital.example:99999/",
        "https://hospital.example:/x",
        "https://hospital..example/",
        "https://-a.example/",
        "https://a_b.example/",
        "https://病院.example/",
        "https://a.example.0x7f/",
        "https://1.2.3/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://[1.2.3.4]/",
        "https://user:secret@hospital.example/",
        "https://@hospital.example/",
    ],
)
def test_what_is_not_plainly_a_url_is_refused(url, dev):
    with (
        Fetcher(dev=dev, allowed_hosts=["hospital.example"]) as fetcher,
        pytest.raises(FetchError) as error,
    ):
        fetcher.request("GET", url)
    assert error.value.reason == "url"
    assert not error.value.retry


def test_a_url_is_read_into_host_and_port():
    found = target("https://Hospital.Example:8443/fhir/R4?a=b%20c")
    assert found is not None
    assert (found.scheme, found.host, found.port) == ("https", "hospital.example", 8443)
    six = target("https://[2606:2800:220:1::1]/")
    assert six is not None
    assert (six.host, six.port) == ("2606:2800:220:1::1", 443)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "::",
        "::2",
        "::ffff:93.184.216.34",
        "64:ff9b::5db8:d822",
        "64:ff9b:1::1",
        "2001::1",
        "2001:db8::1",
        "2002:5db8:d822::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "not an address",
    ],
)
def test_addresses_that_are_not_public_are_never_permitted(address):
    assert not is_permitted(address, loopback=False)
    assert not is_permitted(address, loopback=True)


def test_public_addresses_are_permitted_and_loopback_only_on_request():
    for address in (PUBLIC, "2606:2800:220:1::1"):
        assert is_permitted(address, loopback=False)
    for address in ("127.0.0.1", "127.255.255.254", "::1"):
        assert not is_permitted(address, loopback=False)
        assert is_permitted(address, loopback=True)


@pytest.mark.parametrize(
    ("hosts", "url", "reason"),
    [
        ([], "https://hospital.example/", "host"),
        (["hospital.example"], "https://other.example/", "host"),
        (["hospital.example"], "https://hospital.example:8443/", "host"),
        (["hospital.example"], "https://x.hospital.example/", "host"),
        (["hospital.example"], "http://hospital.example/", "scheme"),
        (["hospital.example:8443"], "https://hospital.example/", "host"),
    ],
)
def test_in_production_only_listed_hosts_are_reached(hosts, url, reason):
    with Fetcher(allowed_hosts=hosts) as fetcher, pytest.raises(FetchError) as error:
        fetcher.request("GET", url)
    assert error.value.reason == reason


@respx.mock
def test_a_listed_host_is_asked_and_its_answer_returned():
    route = respx.post("https://hospital.example:8443/a?b=c").respond(
        201, headers={"ETag": 'W/"1"'}, content=b"body"
    )
    with Fetcher(allowed_hosts=[" HOSPITAL.example:8443"]) as fetcher:
        answer = fetcher.request(
            "POST",
            "https://hospital.example:8443/a?b=c",
            headers={"X-Request-ID": "1"},
            content=b"sent",
        )
    assert (answer.status, answer.content) == (201, b"body")
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.is_success
    sent = route.calls.last.request
    assert sent.content == b"sent"
    assert sent.headers["x-request-id"] == "1"
    assert sent.headers["accept-encoding"] == "identity"


@respx.mock
def test_a_redirect_is_an_answer_and_not_followed():
    respx.get("https://hospital.example/").respond(
        302, headers={"Location": "https://other.example/"}
    )
    other = respx.get("https://other.example/").respond(200)
    with Fetcher(allowed_hosts=["hospital.example", "other.example"]) as fetcher:
        assert fetcher.request("GET", "https://hospital.example/").status == 302
    assert not other.called


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "other.example"},
        {"content-length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "close"},
        {"X-A": "a\r\nX-B: b"},
        {"X-A": "é"},
        {"X-A": "\x00"},
        {"X A": "a"},
        {"": "a"},
    ],
)
def test_headers_that_change_the_request_are_refused(headers):
    with (
        Fetcher(allowed_hosts=["hospital.example"]) as fetcher,
        pytest.raises(FetchError) as e,
    ):
        fetcher.request("GET", "https://hospital.example/", headers=headers)
    assert e.value.reason == "header"


@respx.mock
@pytest.mark.parametrize(
    ("answer", "reason", "retry"),
    [
        (httpx.Response(200, content=b"x" * 101), "size", False),
        (
            httpx.Response(
                200, headers={"Content-Encoding": "br"}, stream=httpx.ByteStream(b"x")
            ),
            "encoding",
            False,
        ),
        (httpx.ConnectError("no"), "connect", True),
        (httpx.ReadTimeout("no"), "timeout", True),
        (httpx.RemoteProtocolError("no"), "protocol", True),
    ],
    ids=str,
)
def test_what_cannot_be_borne_is_a_typed_error(answer, reason, retry):
    respx.get("https://hospital.example/").mock(side_effect=[answer])
    with (
        Fetcher(allowed_hosts=["hospital.example"]) as fetcher,
        pytest.raises(FetchError) as error,
    ):
        fetcher.request("GET", "https://hospital.example/", max_bytes=100)
    assert (error.value.reason, error.value.retry) == (reason, retry)


@respx.mock
def test_a_discarded_answer_may_be_as_long_as_it_likes():
    respx.get("https://hospital.example/").respond(200, content=b"x" * 101)
    with Fetcher(allowed_hosts=["hospital.example"]) as fetcher:
        answer = fetcher.request(
            "GET", "https://hospital.example/", max_bytes=1, discard=True
        )
    assert (answer.status, answer.content) == (200, b"")


def test_a_name_is_resolved_once_a_connection_and_a_flip_is_caught(listener):
    asked = []

    def flipping(host, port):
        asked.append(host)
        # First a public address, afterwards this machine.
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    place = f"flip.example:{listener.port}"
    with Fetcher(allowed_hosts=[place], resolve=flipping, timeout=0.2) as fetcher:
        for reasons in (("timeout", "connect"), ("address",)):
            with pytest.raises(FetchError) as error:
                fetcher.request("GET", f"https://{place}/")
            assert error.value.reason in reasons
    assert asked == ["flip.example"] * 2
    assert listener.stop() == 0


def test_one_bad_address_among_good_ones_condemns_all(listener):
    place = f"mixed.example:{listener.port}"

    def mixed(host, port):
        return [PUBLIC, "127.0.0.1"]

    with (
        Fetcher(allowed_hosts=[place], resolve=mixed) as fetcher,
        pytest.raises(FetchError, match="address"),
    ):
        fetcher.request("GET", f"https://{place}/")
    assert listener.stop() == 0


def test_a_name_that_does_not_resolve_is_worth_a_retry():
    def unknown(host, port):
        raise socket.gaierror

    def empty(host, port):
        return []

    for resolve in (unknown, empty):
        with (
            Fetcher(allowed_hosts=["a.example"], resolve=resolve) as fetcher,
            pytest.raises(FetchError) as error,
        ):
            fetcher.request("GET", "https://a.example/")
        assert (error.value.reason, error.value.retry) == ("name", True)


def test_proxy_variables_are_ignored(listener, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")

    def nowhere(host, port):
        raise socket.gaierror

    with (
        Fetcher(allowed_hosts=["a.example"], resolve=nowhere) as fetcher,
        pytest.raises(FetchError, match="name"),
    ):
        fetcher.request("GET", "https://a.example/")
    assert listener.stop() == 0


@contextmanager
def raw_server(answer, context=None):
    """Answer one connection with what `answer(connection)` writes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def run():
        connection, _ = listening.accept()
        try:
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            answer(connection)
        except OSError:
            pass  # the client has hung up, as it should
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        thread.join()
        listening.close()


@pytest.mark.parametrize("part", ["headers", "body"])
def test_an_answer_that_drips_ends_at_the_time_cap(part):
    def drip(connection):
        connection.recv(1000)
        if part == "body":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 40:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    began = time.monotonic()
    with (
        raw_server(drip) as port,
        Fetcher(dev=True, timeout=0.4) as fetcher,
        pytest.raises(FetchError, match="timeout"),
    ):
        fetcher.request("GET", f"http://127.0.0.1:{port}/")
    assert time.monotonic() - began < 5


def test_an_endless_answer_ends_at_the_size_cap():
    def flood(connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with (
        raw_server(flood) as port,
        Fetcher(dev=True) as fetcher,
        pytest.raises(FetchError, match="size"),
    ):
        fetcher.request("GET", f"http://127.0.0.1:{port}/")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for receiver.example."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver.example")])
    moment = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("receiver.example")]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def exchange(certificate, host, verify):
    """One TLS request to a server of this machine that is called `host`."""
    seen: dict[str, Any] = {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: seen.update(sni=name)

    def answer(connection):
        seen["request"] = connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with (
        raw_server(answer, context) as port,
        Fetcher(
            dev=True,
            allowed_hosts=[f"{host}:{port}"],
            resolve=lambda _host, _port: ["127.0.0.1"],
            verify=verify,
        ) as fetcher,
    ):
        seen["answer"] = fetcher.request("GET", f"https://{host}:{port}/x")
    return seen, port


def test_the_name_is_kept_for_tls_and_host_while_the_address_is_pinned(certificate):
    verify = ssl.create_default_context(cafile=str(certificate))
    seen, port = exchange(certificate, "receiver.example", verify)
    assert seen["answer"].content == b"ok"
    assert seen["sni"] == "receiver.example"
    assert f"host: receiver.example:{port}".encode() in seen["request"].lower()


def test_a_certificate_of_another_name_or_of_nobody_is_refused(certificate):
    verify = ssl.create_default_context(cafile=str(certificate))
    with pytest.raises(FetchError, match="tls"):
        exchange(certificate, "other.example", verify)
    with pytest.raises(FetchError, match="tls"):
        exchange(certificate, "receiver.example", None)
