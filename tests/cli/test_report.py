"""`tsunagi report monthly`: pairs, files, the queue."""

import json
from pathlib import Path

from sqlalchemy import text

from hub import changes
from hub.actor import Actor
from hub.changes import By
from hub.database import Database
from hub.directory import resources
from hub.directory.values import Address
from hub.fhir.dates import today
from tests.cli.conftest import Tsunagi
from tests.mappings.build import DATA

HOSPITAL, COOPERATING, PSYCHIATRIC = "4619999917", "4619999925", "4619999933"
MONTH = f"{today():%Y-%m}"


def give_endpoint(database: Database) -> None:
    """The hospital has a system: what is for it is queued."""
    hub = By(Actor("test", "tsunagi-hub", roles=frozenset({"hub"})))
    address = Address(
        "e", HOSPITAL, "https://hospital.example.jp/fhir", "hl7-fhir-rest"
    )
    with database.transaction() as session:
        changes.put(session, hub, resources.endpoint(address))


def queued(database: Database) -> int:
    with database.transaction(write=False) as session:
        count = text("SELECT count(*) FROM outbox WHERE kind = 'report'")
        return int(session.execute(count).scalar_one())


def files(folder: str) -> list[str]:
    return sorted(path.suffix for path in Path(folder).rglob("*") if path.is_file())


def test_a_month_is_reported_in_files_and_queued_unless_told_not_to(
    tsunagi: Tsunagi, loaded: Database
):
    wide = DATA / "yoshiki1_wide_cp932.csv"
    give_endpoint(loaded)
    tsunagi("intake", wide, "--source", HOSPITAL).must()
    command = ("report", "monthly", "--month", MONTH)
    kept = tsunagi(*command, "--no-send", "--out", "kept").must().out
    assert queued(loaded) == 0
    assert "鹿児島市保健所" in kept
    assert "該当なし" in kept  # the cooperating hospital had nobody
    assert "精神科" not in kept  # KG-09: none for a psychiatric hospital
    assert files("kept") == [".json"] * 2 + [".pdf"] * 2
    for path in Path("kept").rglob("*.pdf"):
        assert path.read_bytes().startswith(b"%PDF")
    for path in Path("kept").rglob("*.json"):
        assert json.loads(path.read_bytes())["type"] == "document"
    tsunagi(*command, "--hospital", HOSPITAL, "--out", "pair").must()
    assert files("pair") == [".json", ".pdf"]
    assert queued(loaded) == 1


def test_a_pair_without_a_report_is_said(tsunagi: Tsunagi, loaded: Database):
    """KG-09: a psychiatric hospital gets none."""
    for pair in (
        ("--hospital", PSYCHIATRIC),
        ("--hospital", "4600000000"),
        ("--centre", "nobody"),
        ("--hospital", HOSPITAL, "--centre", "aira"),
    ):
        said = tsunagi("report", "monthly", "--month", MONTH, *pair).must()
        assert "no report" in said.out
    assert not Path("var/reports").exists()


def test_a_malformed_month_is_refused(tsunagi: Tsunagi, loaded: Database):
    for month in ("2026", "2026-13", "2026-1", "令和8年4月", ""):
        said = tsunagi("report", "monthly", "--month", month).must(1)
        assert "HUB-REP-003" in said.err


def test_a_folder_that_cannot_be_written_is_named(tsunagi: Tsunagi, loaded: Database):
    give_endpoint(loaded)
    Path("file").write_text("")
    command = ("report", "monthly", "--month", MONTH, "--out", "file")
    assert "file" in tsunagi(*command).must(2).err
    assert queued(loaded) == 0


def test_a_report_is_not_sealed_with_a_key_that_the_hub_does_not_have(
    tsunagi: Tsunagi, loaded: Database, tmp_path: Path, monkeypatch
):
    """From another folder the command would make keys of its own: it does not."""
    give_endpoint(loaded)
    tsunagi("report", "monthly", "--month", MONTH).must()
    Path("var/content-keys.json").unlink()
    assert "HUB-KEY-002" in tsunagi("report", "monthly", "--month", MONTH).must(2).err
    assert not Path("var/content-keys.json").exists()
