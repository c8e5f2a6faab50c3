"""deploy/nginx/tsunagi.conf on a real nginx before a real hub (T19, RFC 8705)."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx
import pytest

from hub.app import create_app
from hub.database import Database
from hub.demo.processes import free_port
from hub.running.prepare import import_directory
from hub.settings import Settings
from hub.smart import clients
from hub.smart.certificate import thumbprint
from tests.smart.build import (
    ASSERTION_TYPE,
    assertion,
    ec_key,
    listening_socket,
    public,
    serve,
)

ROOT = Path(__file__).resolve().parent.parent.parent
CONF = ROOT / "deploy" / "nginx" / "tsunagi.conf"
SECRET = "a" * 32 + "0123456789"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
FHIR = "/fhir/R4/Patient"

pytestmark = pytest.mark.skipif(
    not Path(NGINX).exists() or not shutil.which("openssl"),
    reason="nginx (Debian: nginx-light) or openssl is not here",
)


def openssl(folder: Path, name: str, *more: str) -> None:
    """A key and a certificate `name`, signed by `ca` unless it is that itself."""
    signed = [] if name.endswith("ca") else ["-CA", "ca.pem", "-CAkey", "ca.key"]
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
        "-keyout", f"{name}.key", "-out", f"{name}.pem", *signed, *more,
    ]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@dataclass
class Site:
    """nginx before a hub; `direct` is the hub's own address behind it."""

    folder: Path
    port: int
    direct: str
    settings: Settings
    database: Database

    @property
    def base(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def http(self, certificate: str | None = None) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if certificate:
            pem = self.folder / f"{certificate}.pem"
            context.load_cert_chain(pem, self.folder / f"{certificate}.key")
        return httpx.Client(base_url=self.base, verify=context, timeout=30)

    def client(self, **values: Any) -> clients.Client:
        with self.database.transaction() as session:
            return clients.register(
                session,
                organization="4619999917",
                roles={"source"},
                jwks=public(ec_key()),
                **values,
            )

    def bound(self, **values: Any) -> clients.Client:
        return self.client(certificate=self.print("one"), **values)

    def print(self, certificate: str) -> str:
        return thumbprint((self.folder / f"{certificate}.pem").read_bytes())

    def ask(
        self,
        client: clients.Client,
        http: httpx.Client,
        path: str = "token",
        **more: Any,
    ) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion(
                client.client_id, ec_key(), self.settings.token_url, None
            ),
            "scope": client.scopes,
            **more.pop("data", {}),
        }
        return http.post(f"/oauth/{path}", data=form, **more)

    def token(self, client: clients.Client, http: httpx.Client) -> dict[str, str]:
        answer = self.ask(client, http)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def site(tmp_path_factory, sqlite_template: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    for name in ("ca", "other-ca"):
        openssl(folder, name)
    openssl(folder, "hub", "-addext", "subjectAltName=IP:127.0.0.1")
    openssl(folder, "one")
    openssl(folder, "two")
    (folder / "stranger.pem").write_bytes((folder / "other-ca.pem").read_bytes())
    (folder / "stranger.key").write_bytes((folder / "other-ca.key").read_bytes())
    (folder / "secret").write_text(SECRET)
    (folder / "secret").chmod(0o600)
    shutil.copyfile(sqlite_template, folder / "hub.db")
    sock, port = listening_socket(), free_port()
    settings = Settings(
        dev=True,
        base_url=f"https://127.0.0.1:{port}",
        state=folder / "state",
        database_url=f"sqlite:///{folder}/hub.db",
        proxy_secret=folder / "secret",
    )
    database = Database(settings.database_url)
    import_directory(settings, database)
    inside = sock.getsockname()[1]
    with serve(create_app(settings, database), sock), nginx(folder, port, inside):
        yield Site(folder, port, f"http://127.0.0.1:{inside}", settings, database)
    database.close()


class nginx:  # noqa: N801 - it is used as a function
    """The file as it is shipped, with this machine's paths and ports put in."""

    def __init__(self, folder: Path, port: int, inside: int) -> None:
        shipped = CONF.read_text("utf-8")
        for there, here in {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "127.0.0.1:8080": f"127.0.0.1:{inside}",
            "/etc/tsunagi/tls/clients-ca.pem": f"{folder}/ca.pem",
            "/etc/tsunagi/tls": str(folder),
            "/etc/tsunagi": str(folder),
            "/var/log/nginx": str(folder),
        }.items():
            assert there in shipped
            shipped = shipped.replace(there, here)
        (folder / "tsunagi.conf").write_text(shipped)
        (folder / "proxy-secret.conf").write_text(
            f'proxy_set_header X-Tsunagi-Proxy "{SECRET}";'
        )
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "\n".join(f"{k}_temp_path {folder}/tmp-{k};" for k in kinds)
        user = "user root;" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user} daemon off; pid {folder}/pid; worker_processes 1;"
            f" error_log {folder}/main.log crit; events {{}}"
            f" http {{ {temporary} include {folder}/tsunagi.conf; }}"
        )
        self.port = port
        self.command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]

    def __enter__(self) -> Self:
        checked = subprocess.run(
            [*self.command, "-t"], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                time.sleep(0.02)
                continue
            return self
        raise AssertionError("nginx does not listen")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)


def handshake(site: Site, version: ssl.TLSVersion) -> str | None:
    context = ssl.create_default_context(cafile=str(site.folder / "ca.pem"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", site.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        return wrapped.version()


def test_T19_no_handshake_below_tls_1_2(site):
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
            handshake(site, version)
    assert handshake(site, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert handshake(site, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def test_a_token_is_given_and_used_over_tls(site):
    client = site.client()
    with site.http() as http:
        answer = http.get(FHIR, headers=site.token(client, http))
        assert answer.status_code == 200
        assert answer.headers["Strict-Transport-Security"]
        assert (
            len([k for k, _ in answer.headers.multi_items() if k == "cache-control"])
            == 1
        )
        told = http.get("/.well-known/smart-configuration").json()
        assert told["token_endpoint"] == f"{site.base}/oauth/token"
        assert told["tls_client_certificate_bound_access_tokens"] is True


def test_a_certificate_bound_token_needs_its_certificate_at_every_call(site):
    client = site.bound(high_assurance=True)
    with site.http("one") as http:
        token = site.token(client, http)
        assert http.get(FHIR, headers=token).status_code == 200
    for other in (None, "two"):
        with site.http(other) as http:
            answer = http.get(FHIR, headers=token)
            assert answer.status_code == 401
            assert "invalid_token" in answer.headers["WWW-Authenticate"]
            refused = site.ask(client, http)
            assert (refused.status_code, refused.json()["error"]) == (
                401,
                "invalid_client",
            )


def test_an_unbound_client_needs_no_certificate_and_may_show_one(site):
    client = site.client()
    for certificate in (None, "one"):
        with site.http(certificate) as http:
            assert http.get(FHIR, headers=site.token(client, http)).status_code == 200


def test_a_certificate_of_another_authority_is_no_certificate(site):
    with site.http("stranger") as http:
        assert http.get(FHIR).status_code == 400  # nginx: it does not verify
    client = site.client(certificate=site.print("stranger"))
    with site.http() as http:
        assert site.ask(client, http).status_code == 401


def test_a_high_assurance_client_without_a_certificate_gets_no_token(site):
    client = site.client(high_assurance=True)
    with site.http("one") as http:
        assert site.ask(client, http).json()["error"] == "unauthorized_client"


@pytest.mark.parametrize("secret", [None, "wrong" * 10, SECRET])
def test_AB16_headers_that_only_the_proxy_may_set_are_stripped(site, secret):
    """Even with the secret: through nginx its own words replace them."""
    client = site.bound()
    escaped = quote((site.folder / "one.pem").read_text())
    spoofed = {"X-Tsunagi-Certificate": escaped, "X-Tsunagi-Address": "10.0.0.1"}
    if secret:
        spoofed["X-Tsunagi-Proxy"] = secret
    with site.http() as http:
        assert site.ask(client, http, headers=spoofed).status_code == 401
    with site.http("two") as http:
        assert site.ask(client, http, headers=spoofed).status_code == 401
    with site.http("one") as http:
        assert site.ask(client, http, headers=spoofed).status_code == 200


def test_AB16_past_the_proxy_a_header_counts_only_with_the_secret_and_once(site):
    client = site.bound()
    escaped = quote((site.folder / "one.pem").read_text())
    good = [("X-Tsunagi-Certificate", escaped), ("X-Tsunagi-Proxy", SECRET)]
    other = quote((site.folder / "two.pem").read_text())
    cases = [
        (good, 200),  # the control
        (good[:1], 401),
        ([good[0], ("X-Tsunagi-Proxy", SECRET[:-1])], 401),
        ([good[0], ("X-Tsunagi-Proxy", "")], 401),
        ([*good, good[0]], 401),
        ([*good, good[1]], 401),
        ([("X-Tsunagi-Certificate", other), good[1]], 401),
        ([("X-Tsunagi-Certificate", "%00nothing"), good[1]], 401),
        ([("X-Tsunagi-Certificate", escaped[:-200]), good[1]], 401),
    ]
    with httpx.Client(base_url=site.direct, timeout=30) as http:
        for headers, status in cases:
            assert site.ask(client, http, headers=headers).status_code == status, (
                headers
            )


def test_introspection_tells_what_a_token_is_bound_to(site):
    client = site.bound()
    with site.http("one") as http:
        token = site.token(client, http)["Authorization"].partition(" ")[2]
        told = site.ask(client, http, "introspect", data={"token": token}).json()
        assert told["cnf"] == {"x5t#S256": site.print("one")}
    unbound = site.client()
    with site.http() as http:
        token = site.token(unbound, http)["Authorization"].partition(" ")[2]
        told = site.ask(unbound, http, "introspect", data={"token": token}).json()
        assert told["active"] is True
        assert "cnf" not in told


def test_forwarded_hosts_change_nothing_of_what_the_hub_says(site):
    headers = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil.example;proto=http",
        "Host": "evil.example",
    }
    with site.http() as http:
        for path in ("/.well-known/smart-configuration", "/fhir/R4/metadata"):
            answer = http.get(path, headers=headers)
            assert answer.status_code == 200
            assert "evil.example" not in answer.text
            assert site.base in answer.text


def test_AB20_the_proxys_logs_have_neither_path_nor_query_nor_token(site):
    client = site.client()
    with site.http() as http:
        token = site.token(client, http)
        asked = http.get(f"{FHIR}?name=canary-of-the-log", headers=token)
        assert asked.status_code == 200
        gone = http.get("/fhir/R4/Patient/canary-id", headers={"X-Request-ID": "mine"})
        assert gone.headers["X-Request-ID"] == "mine"
        made = http.get("/livez", headers={"X-Request-ID": "not plain\tat all"})
        assert made.headers.get("X-Request-ID", "") != "not plain\tat all"
    time.sleep(0.1)
    logs = b"".join(p.read_bytes() for p in site.folder.glob("*.log"))
    for secret in (b"canary", b"Patient", token["Authorization"][7:].encode()):
        assert secret not in logs
    rows = [json.loads(line) for line in logs.splitlines()]
    assert {row["status"] for row in rows} >= {200, 401}
    assert any(row["request_id"] == "mine" for row in rows)


def test_what_is_too_large_is_refused_by_hub_or_proxy(site):
    client = site.client()
    with site.http() as http:
        token = {**site.token(client, http), "Content-Type": "application/fhir+json"}
        by_hub = http.post(FHIR, headers=token, content=b" " * 5_500_000)
        assert (by_hub.status_code, by_hub.json()["resourceType"]) == (
            413,
            "OperationOutcome",
        )
        assert (
            http.post(FHIR, headers=token, content=b" " * 7_000_000).status_code == 413
        )


def test_metrics_stay_inside(site):
    with site.http() as http:
        assert http.get("/metrics").status_code == 404
        assert http.get("/livez").status_code == 200
    assert httpx.get(f"{site.direct}/metrics").status_code == 200


def test_a_hub_that_is_down_is_503_in_fhir(tmp_path):
    folder, port = tmp_path, free_port()
    openssl(folder, "ca")
    openssl(folder, "hub", "-addext", "subjectAltName=IP:127.0.0.1")
    with nginx(folder, port, free_port()):
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        answer = httpx.get(f"https://127.0.0.1:{port}{FHIR}", verify=context)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_the_shipped_unit_starts_the_hub_as_its_own_user_without_privileges():
    unit = (ROOT / "deploy" / "systemd" / "tsunagi.service").read_text("utf-8")
    for line in ("User=tsunagi", "NoNewPrivileges=yes", "ProtectSystem=strict",
                 "UMask=0077", "LimitCORE=0"):  # fmt: skip
        assert f"\n{line}\n" in unit
    assert "--dev" not in unit
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd is not here")
    path = ROOT / "deploy" / "systemd" / "tsunagi.service"
    done = subprocess.run([tool, "verify", str(path)], capture_output=True, check=False)
    assert b"Unknown" not in done.stderr
