"""Help, exit codes, settings: each error is a sentence that says what to do."""

import socket
from pathlib import Path

import pytest

from hub.database import Database
from hub.settings import Settings
from hub.smart.routes import require_safe
from tests.cli.conftest import Tsunagi

COMMANDS = [
    "serve", "work", "demo", "migrate", "keys", "intake", "client", "client add",
    "client list", "client disable", "directory", "directory import",
    "directory show", "report", "report monthly", "audit", "audit verify",
]  # fmt: skip


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help_in_japanese_and_english(tsunagi: Tsunagi, command):
    shown = tsunagi(*command.split(), "--help").must().out
    assert any("ぁ" <= c <= "ん" or "一" <= c <= "龠" for c in shown)
    assert " / " in shown


def test_the_help_lists_the_commands_and_the_exit_codes(tsunagi: Tsunagi):
    shown = tsunagi("--help").must().out
    for command in COMMANDS:
        assert command.split()[0] in shown
    assert "終了コード" in shown
    assert "Exit codes" in shown


def test_an_unknown_command_is_usage(tsunagi: Tsunagi):
    tsunagi("fly").must(2)


def test_a_hub_without_a_base_url_does_not_start(tsunagi: Tsunagi):
    said = tsunagi("serve", "--port", 0).must(2)
    assert "TSUNAGI_BASE_URL" in said.err
    assert "--dev" in said.err


@pytest.mark.parametrize(
    "base",
    [
        "http://hub.example.jp",
        "http://127.example.jp",
        "ftp://hub.example.jp",
        "hub.example.jp",
        "https://",
        "https://hub.example.jp:http",
        "https://[hub",
        "https://hub.example.jp/?x=1",
        "https://user@hub.example.jp",
    ],
)
def test_an_unsafe_base_url_does_not_start(tsunagi: Tsunagi, monkeypatch, base):
    monkeypatch.setenv("TSUNAGI_BASE_URL", base)
    for command in (("serve", "--port", 0), ("work",)):
        said = tsunagi(*command).must(2)
        assert "TSUNAGI_BASE_URL" in said.err
        assert "user@" not in said.err


@pytest.mark.parametrize(
    "base", ["https://hub.example.jp", "http://127.0.0.1:80", "http://[::1]:8080/hub"]
)
def test_a_safe_base_url_is_taken(base):
    require_safe(Settings(base_url=base))
    assert Settings(base_url=base).fhir_base == f"{base}/fhir/R4"


def test_a_hub_without_keys_does_not_start_and_names_the_command(
    tsunagi: Tsunagi, monkeypatch, loaded: Database
):
    monkeypatch.setenv("TSUNAGI_BASE_URL", "https://hub.example.jp")
    said = tsunagi("serve", "--port", 0).must(2)
    assert "HUB-AUTH-022" in said.err
    assert "tsunagi keys" in said.err
    assert "作成" in tsunagi("keys").must().out
    Path("var/audit-key.pem").rename("var/elsewhere.pem")
    for command in (("serve", "--port", 0), ("work",)):
        assert "tsunagi keys" in tsunagi(*command).must(2).err
    Path("var/audit-key.pem").write_text("no key")
    assert "Ed25519" in tsunagi("work").must(2).err
    monkeypatch.setenv("TSUNAGI_AUDIT_KEY", "var/elsewhere.pem")
    kept = Path("var/signing-key.json").read_bytes()
    assert "作成" not in tsunagi("keys").must().out
    assert Path("var/signing-key.json").read_bytes() == kept


@pytest.mark.parametrize(
    "url",
    [
        "mysql://hub@127.0.0.1/hub",
        "postgres",
        "",
        "sqlite://",
        "postgresql://hub@127.0.0.1:port/hub",
    ],
)
def test_a_database_url_of_another_kind_is_refused(tsunagi: Tsunagi, monkeypatch, url):
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", url)
    for command in (("migrate",), ("serve", "--dev", "--port", 0), ("client", "list")):
        assert "TSUNAGI_DATABASE_URL" in tsunagi(*command).must(2).err


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_an_unreachable_database_is_said_without_its_password(
    tsunagi: Tsunagi, monkeypatch, scheme
):
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv(
            "TSUNAGI_DATABASE_URL", f"{scheme}://hub:secretword@127.0.0.1:{port}/hub"
        )
        said = tsunagi("migrate").must(2)
    assert "TSUNAGI_DATABASE_URL" in said.err
    assert "secretword" not in said.err


def test_a_file_that_is_no_database_is_refused(tsunagi: Tsunagi, monkeypatch):
    Path("notes.db").write_text("これはデータベースではありません" * 99)
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", "sqlite:///notes.db")
    assert "TSUNAGI_DATABASE_URL" in tsunagi("migrate").must(2).err


def test_an_unmigrated_database_is_told_to_migrate(tsunagi: Tsunagi):
    for command in (
        ("client", "list"),
        ("directory", "show"),
        ("directory", "import"),
        ("report", "monthly"),
        ("audit", "verify"),
        ("work", "--dev"),
    ):
        assert "tsunagi migrate" in tsunagi(*command).must(2).err


def test_a_state_folder_that_cannot_be_written_is_named(
    tsunagi: Tsunagi, monkeypatch, loaded: Database
):
    Path("file").write_text("")
    monkeypatch.setenv("TSUNAGI_STATE", "file/state")
    said = tsunagi("serve", "--dev", "--port", 0).must(2)
    assert "file/state" in said.err


def test_a_database_in_a_folder_that_cannot_be_is_named(tsunagi: Tsunagi, monkeypatch):
    Path("file").write_text("")
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", "sqlite:///file/hub.db")
    assert "：file（" in tsunagi("migrate").must(2).err


def test_a_port_in_use_is_told_before_anything_is_made(
    tsunagi: Tsunagi, empty_folder: Path
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for command in (("serve", "--dev"), ("demo", "--once")):
            said = tsunagi(*command, "--port", port).must(2)
            assert str(port) in said.err
            assert "--port" in said.err
    assert list(empty_folder.iterdir()) == []


def test_a_host_that_is_not_ours_is_told(tsunagi: Tsunagi):
    said = tsunagi("serve", "--dev", "--host", "192.0.2.1", "--port", 0).must(2)
    assert "--host" in said.err
    tsunagi("serve", "--dev", "--port", 65536).must(2)


def test_a_broken_programme_is_named_by_file_and_line(
    tsunagi: Tsunagi, monkeypatch, loaded: Database
):
    folder = Path("programmes/broken")
    folder.mkdir(parents=True)
    (folder / "programme.toml").write_text('id = "broken"\nversion = [')
    monkeypatch.setenv("TSUNAGI_PROGRAMMES", "programmes")
    said = tsunagi("serve", "--dev", "--port", 0).must(2)
    assert "broken/programme.toml" in said.err


def test_a_missing_profiles_folder_is_named(
    tsunagi: Tsunagi, monkeypatch, loaded: Database
):
    monkeypatch.setenv("TSUNAGI_PROFILES", "nowhere")
    assert "nowhere" in tsunagi("serve", "--dev", "--port", 0).must(2).err


def test_a_broken_artefact_is_named(tsunagi: Tsunagi, monkeypatch, loaded: Database):
    folder = Path("more/questionnaires")
    folder.mkdir(parents=True)
    (folder / "own.json").write_text("{")
    monkeypatch.setenv("TSUNAGI_PROGRAMMES", "more")
    said = tsunagi("report", "monthly", "--month", "2026-04").must(2)
    assert "own.json" in said.err
    assert "TSUNAGI_PROGRAMMES" in said.err


def test_a_wrong_number_is_named_by_its_setting(tsunagi: Tsunagi, monkeypatch):
    monkeypatch.setenv("TSUNAGI_PAGE_SIZE", "many")
    monkeypatch.setenv("TSUNAGI_TOKEN_SECONDS", "301")
    said = tsunagi("client", "list").must(2)
    assert "TSUNAGI_PAGE_SIZE" in said.err
    assert "TSUNAGI_TOKEN_SECONDS" in said.err


def test_another_language_than_two_is_usage(tsunagi: Tsunagi):
    tsunagi("demo", "--lang", "fr").must(2)
