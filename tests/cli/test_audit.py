"""`tsunagi audit verify` finds what was touched; SQLite and PostgreSQL."""

import json
import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.audit import Criteria, count
from hub.audit.checkpoint import load_key
from hub.audit.seal import seal_batch
from hub.database import Database
from hub.running.parts import make_checkpoints
from hub.settings import Settings
from tests.cli.conftest import Tsunagi


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(dev=True, database_url=database_url)


@pytest.fixture
def sealed(loaded: Database, settings: Settings) -> Database:
    """Sealed and anchored, as a hub that was stopped leaves it."""
    seal_batch(loaded)
    make_checkpoints(settings).anchor(loaded)
    return loaded


def test_an_untouched_log_is_intact(tsunagi: Tsunagi, sealed: Database):
    assert "intact" in tsunagi("audit", "verify").must().out


def test_the_public_key_is_enough(tsunagi: Tsunagi, sealed: Database):
    Path("var/audit-key.pem.pub").rename("public.pem")
    Path("var/audit-key.pem").unlink()
    assert "TSUNAGI_AUDIT_KEY" in tsunagi("audit", "verify").must(2).err
    tsunagi("audit", "verify", "--key", "public.pem").must()
    Path("public.pem").write_text("no key")
    assert "Ed25519" in tsunagi("audit", "verify", "--key", "public.pem").must(2).err


def test_before_any_checkpoint_the_chain_is_verified_and_no_key_is_made(
    tsunagi: Tsunagi, loaded: Database, empty_folder: Path
):
    seal_batch(loaded)
    said = tsunagi("audit", "verify").must()
    assert "intact" in said.out
    assert "audit-checkpoints.jsonl" in said.err
    assert list(empty_folder.iterdir()) == []
    tsunagi("audit", "verify", "--checkpoints", "nowhere.jsonl").must(2)


SWAPPED = (
    "UPDATE audit_event SET body = (SELECT body FROM audit_event WHERE seq = 4)"
    " WHERE seq = 3"
)


TOUCHED = (
    ("UPDATE audit_event SET action = 'D' WHERE seq = 3", "HUB-AUD-010"),
    (SWAPPED, "HUB-AUD-001"),
    ("DELETE FROM audit_event WHERE seq = 5", "HUB-AUD-002"),
    ("DELETE FROM audit_seal WHERE seq = 7", "HUB-AUD-003"),
)


def test_what_was_touched_is_found(tsunagi: Tsunagi, sealed: Database):
    """One after the other: each is found beside those before it."""
    for statement, id_ in TOUCHED:
        assert id_ not in tsunagi("audit", "verify").err
        with sealed.transaction() as session:
            session.execute(text(statement))
        said = tsunagi("audit", "verify").must(1)
        assert id_ in said.err
        assert "intact" not in said.out


def test_another_key_verifies_nothing(tsunagi: Tsunagi, sealed: Database):
    load_key(Path("other.pem"), create=True)
    said = tsunagi("audit", "verify", "--key", "other.pem").must(1)
    assert "HUB-AUD-007" in said.err


def test_a_key_is_replaced_and_the_whole_log_still_verifies(
    tsunagi: Tsunagi, sealed: Database
):
    before = Path("var/audit-key.pem").read_bytes()
    Path("first.pub").write_bytes(Path("var/audit-key.pem.pub").read_bytes())
    assert "new key" in tsunagi("audit", "rotate").must().out
    assert Path("var/audit-key.pem").read_bytes() != before
    assert "intact" in tsunagi("audit", "verify").must().out
    assert "intact" in tsunagi("audit", "verify", "--key", "first.pub").must().out


def test_the_rights_of_the_restricted_role_are_printed(
    tsunagi: Tsunagi, sealed: Database
):
    told = tsunagi("audit", "role", "hub_role").must().out
    assert "GRANT SELECT, INSERT ON audit_event TO hub_role;" in told
    assert "GRANT UPDATE (seq) ON audit_event TO hub_role;" in told
    assert not any("DELETE" in line and "audit_" in line for line in told.splitlines())
    assert "role" in tsunagi("audit", "role", "No Role").must(2).err
    if sealed.is_sqlite:
        assert "SQLite" in tsunagi("audit", "role", "hub_role", "--apply").must(2).err


def test_the_log_is_exported_to_a_new_private_file(tsunagi: Tsunagi, sealed: Database):
    told = tsunagi("audit", "export", "--out", "log.xml").must()
    assert "log.xml" in told.err
    written = Path("log.xml")
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    text = written.read_text("utf-8")
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<AuditMessages>')
    assert text.count("<AuditMessage>") > 50
    assert "log.xml" in tsunagi("audit", "export", "--out", "log.xml").must(2).err
    shown = tsunagi(
        "audit", "export", "--format", "csv", "--from", "2020-01-01", "--to", "2099"
    ).must()
    assert "Audit" not in shown.out.splitlines()[0]
    assert "110101" in shown.out, "the first export is in the second"
    wrong = tsunagi("audit", "export", "--from", "yesterday").must(2)
    assert "--from" in wrong.err


def test_who_saw_what_is_written_as_pdf_csv_and_json(
    tsunagi: Tsunagi, sealed: Database
):
    told = tsunagi("audit", "breach", "--known-at", "2026-11-02").must().out
    value = json.loads(told)
    assert value["clocks"]["known"] == "2026-11-02"
    assert value["clocks"]["second_report"] == "2026-12-01"
    options = ("--malicious", "--organization", "4619999917", "--out", "reports")
    told = tsunagi("audit", "breach", "--known-at", "2026-11-02", *options).must().out
    written = sorted(Path("reports").iterdir())
    assert [path.suffix for path in written] == [".csv", ".json", ".pdf"]
    assert all(path.name.startswith("access-") for path in written)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in written)
    assert all(path.name in told for path in written)
    value = json.loads(written[1].read_text("utf-8"))
    assert value["clocks"]["second_report"] == "2026-12-31"
    assert value["limits"] == "組織 架空総合病院"
    assert written[2].read_bytes().startswith(b"%PDF")
    with sealed.transaction(write=False) as session:
        asked = Criteria(type=("110101",), subtype=("110112",))
        assert count(session, asked) == 2
    tsunagi("audit", "breach", "--known-at", "soon").must(2)
