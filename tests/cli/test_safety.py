"""A hub that is not set safely does not start, and says in two languages why."""

import base64
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from hub.database import Database
from hub.demo.processes import free_port
from hub.fhir.outcome import catalogue
from hub.migrations import upgrade
from tests.cli.conftest import Said, Tsunagi
from tests.cli.processes import end, started, wait_for

COMMANDS = (("serve", "--port", 0), ("work",))
STATE = Path("var")


@pytest.fixture
def ready(monkeypatch, tsunagi: Tsunagi, loaded: Database) -> Database:
    """Everything a hub needs to start outside `--dev`."""
    monkeypatch.setenv("TSUNAGI_BASE_URL", "https://hub.example.jp")
    monkeypatch.setenv("TSUNAGI_DELIVERY_ALLOWED_HOSTS", "centre.example.jp")
    tsunagi("keys").must()
    return loaded


def refused(tsunagi: Tsunagi, id: str) -> None:
    for command in COMMANDS:
        said: Said = tsunagi(*command).must(2)
        assert id in said.err
        kind = catalogue()[id]
        assert kind.ja.partition("{")[0][:12] in said.err
        assert kind.en.partition("{")[0][:12] in said.err


def test_what_is_ready_starts(ready, empty_folder, database_url):
    """Else the refusals below could have another reason."""
    port = free_port()
    settings = {
        "database_url": database_url,
        "base_url": "https://hub.example.jp",
        "delivery_allowed_hosts": "centre.example.jp",
    }
    with started("serve", "--port", port, folder=empty_folder, **settings) as process:
        wait_for(f"http://127.0.0.1:{port}/readyz", process)
        end(process)


@pytest.mark.parametrize(
    "base",
    [
        "http://hub.example.jp",
        "http://10.0.0.1:8080",
        "https://user:x@hub.example.jp",
        "https://hub.example.jp?x=1",
        "https://",
        "ftp://hub.example.jp",
    ],
)
def test_D4_a_base_url_in_clear_text_is_refused(monkeypatch, tsunagi, ready, base):
    monkeypatch.setenv("TSUNAGI_BASE_URL", base)
    refused(tsunagi, "HUB-AUTH-026")


def test_an_oauth_library_that_may_do_without_tls_is_refused(
    monkeypatch, tsunagi, ready
):
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    refused(tsunagi, "HUB-AUTH-025")
    assert "HUB-AUTH-025" in tsunagi("serve", "--dev", "--port", 0).must(2).err


@pytest.mark.parametrize(
    ("file", "missing", "readable"),
    [
        ("signing-key.json", "HUB-AUTH-022", "HUB-AUTH-024"),
        ("content-keys.json", "HUB-KEY-002", "HUB-KEY-004"),
        ("audit-key.pem", "HUB-KEY-007", "HUB-KEY-009"),
    ],
)
def test_a_key_that_is_missing_or_readable_by_others_is_refused(
    tsunagi, ready, file, missing, readable
):
    for mode in (0o640, 0o604):
        (STATE / file).chmod(mode)
        refused(tsunagi, readable)
    (STATE / file).unlink()
    refused(tsunagi, missing)
    assert "tsunagi keys" in tsunagi("work").err


def test_everything_that_is_wrong_is_said_at_once(tsunagi, ready):
    for path in STATE.glob("*key*"):
        path.unlink()
    said = tsunagi("work").must(2)
    for id in ("HUB-AUTH-022", "HUB-KEY-002", "HUB-KEY-007"):
        assert id in said.err


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (
            "signing-key.json",  # the sample of a public library of SMART clients
            {
                "kty": "EC",
                "crv": "P-384",
                "d": "WcrTiYk8jbI-Sd1sKNpqGmELWGG08bf_y9SSlnC4cpAl5GRdHHN9gKYlPvMFqiJ5",
                "x": "wcE8O55ro6aOuTf5Ty1k_IG4mTcuLiVercHouge1G5Ri-leevhev4uJzlHpi3U8r",
                "y": "mLRgz8Giu6XA_AqG8bywqbygShmd8jowflrdx0KQtM5X4s4aqDeCRfcpexykp3aI",
            },
        ),
        ("content-keys.json", {"keys": [{"kty": "oct", "kid": "1", "k": "A" * 43}]}),
        (
            "content-keys.json",  # RFC 7520 §3.5
            {
                "keys": [
                    {
                        "kty": "oct",
                        "kid": "1",
                        "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
                    }
                ]
            },
        ),
    ],
)
def test_AB33_an_example_key_is_refused(tsunagi, ready, file, content):
    (STATE / file).write_text(json.dumps(content))
    refused(tsunagi, "HUB-KEY-010")


def test_AB33_the_example_of_ed25519_is_refused(tsunagi, ready):
    seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    der = bytes.fromhex("302e020100300506032b657004220420" + seed)
    pem = base64.b64encode(der).decode()
    text_ = f"-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n"
    (STATE / "audit-key.pem").write_text(text_)
    refused(tsunagi, "HUB-KEY-010")


@pytest.mark.parametrize(
    ("file", "id"),
    [
        ("signing-key.json", "HUB-AUTH-023"),
        ("content-keys.json", "HUB-KEY-003"),
        ("audit-key.pem", "HUB-KEY-008"),
    ],
)
def test_a_file_that_is_no_key_is_refused(tsunagi, ready, file, id):
    (STATE / file).write_text("no key")
    refused(tsunagi, id)


@pytest.mark.parametrize("hosts", ["", "  "])
def test_AB12_where_nobody_said_where_to_deliver_the_hub_does_not_start(
    monkeypatch, tsunagi, ready, hosts
):
    monkeypatch.setenv("TSUNAGI_DELIVERY_ALLOWED_HOSTS", hosts)
    refused(tsunagi, "HUB-REST-110")


def test_a_database_that_does_not_wait_for_its_disk_is_refused(
    tsunagi, ready, database_url
):
    if database_url.startswith("sqlite"):
        pytest.skip("the next test")
    name = make_url(database_url).database
    with ready.engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    refused(tsunagi, "HUB-REST-111")
    assert "synchronous_commit" in tsunagi("work").err


def test_sqlite_without_a_write_ahead_log_is_refused(
    monkeypatch, tsunagi, ready, sqlite_template, tmp_path
):
    """As on a disk that cannot share memory: SQLite then silently keeps its old mode."""
    copy = tmp_path / "other.db"
    with sqlite3.connect(sqlite_template, isolation_level=None) as connection:
        connection.execute(f"VACUUM INTO '{copy}'")  # in the old mode
    url = f"sqlite:///file:{copy}?vfs=unix-none&uri=true"
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", url)
    refused(tsunagi, "HUB-REST-111")


def test_a_superuser_is_warned_of(ready, empty_folder, database_url):
    """The role of the tests is one."""
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no roles")
    port = free_port()
    settings = {"database_url": database_url, "base_url": "https://hub.example.jp"}
    with started("serve", "--port", port, folder=empty_folder, **settings) as process:
        wait_for(f"http://127.0.0.1:{port}/readyz", process)
        assert "HUB-REST-112" in end(process)


@pytest.fixture(scope="module")
def careless(tmp_path_factory) -> Iterator[str]:
    """A cluster with fsync and full_page_writes off."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found or not os.environ.get("TSUNAGI_TEST_POSTGRES"):
        pytest.skip("PostgreSQL is not here")
    folder, port = tmp_path_factory.mktemp("careless"), free_port()
    as_user: list[str] = []
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        for parent in (folder.parent, folder.parent.parent):
            parent.chmod(0o755)
        as_user = ["runuser", "-u", "postgres", "--"]
    run = [*as_user, str(found[-1] / "initdb"), "-N", "-D", f"{folder}/data"]
    subprocess.run([*run, "-U", "hub", "-A", "trust"], check=True, capture_output=True)
    ctl = [*as_user, str(found[-1] / "pg_ctl"), "-D", f"{folder}/data"]
    options = (
        f"-p {port} -c fsync=off -c full_page_writes=off -c listen_addresses=127.0.0.1"
        " -c unix_socket_directories=''"
    )
    start = [*ctl, "-w", "-l", f"{folder}/log", "-o", options, "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
    yield f"postgresql://hub@127.0.0.1:{port}/postgres"
    subprocess.run([*ctl, "-m", "immediate", "stop"], check=True, capture_output=True)


def test_fsync_off_is_refused(monkeypatch, tsunagi, careless):
    database = Database(careless)
    upgrade(database)
    database.close()
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", careless)
    monkeypatch.setenv("TSUNAGI_BASE_URL", "https://hub.example.jp")
    monkeypatch.setenv("TSUNAGI_DELIVERY_ALLOWED_HOSTS", "none")
    tsunagi("keys").must()
    refused(tsunagi, "HUB-REST-111")
    said = tsunagi("work").err
    assert "fsync" in said
    assert "full_page_writes" in said
