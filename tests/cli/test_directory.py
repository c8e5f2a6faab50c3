"""`tsunagi directory` on real databases."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.database import Database
from hub.settings import Settings
from tests.cli.conftest import Tsunagi


def state(database: Database) -> list[tuple[object, ...]]:
    with database.transaction(write=False) as session:
        found = session.execute(text("SELECT type, id, version FROM resource"))
        return sorted(tuple(row) for row in found)


def test_the_import_is_repeatable(tsunagi: Tsunagi, loaded: Database):
    before = state(loaded)
    tsunagi("directory", "import").must()
    assert state(loaded) == before


def test_show_lists_all_or_one(tsunagi: Tsunagi, loaded: Database):
    everything = tsunagi("directory", "show").must().out
    assert "架空総合病院" in everything
    assert "姶良保健所" in everything
    one = tsunagi("directory", "show", "aira").must().out
    assert "姶良保健所" in one
    assert "架空総合病院" not in one
    assert "directory show" in tsunagi("directory", "show", "nobody").must(1).err


def test_an_empty_directory_is_told_to_import(
    tsunagi: Tsunagi, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)
    assert "directory import" in tsunagi("directory", "show").must(1).err


def test_a_bad_row_is_named_and_nothing_is_changed(tsunagi: Tsunagi, loaded: Database):
    before = state(loaded)
    shutil.copytree(Settings(dev=True).profiles / "directory", "own")
    file = Path("own/organizations.csv")
    lines = file.read_text("utf-8").splitlines()
    lines[2] = lines[2].replace("架空総合病院", "新しい名前")
    lines.append("4619999941,架空第四病院,circus,46201,,,")
    file.write_text("\n".join(lines), "utf-8")
    said = tsunagi("directory", "import", "own").must(1)
    assert "HUB-DIR-004" in said.err
    assert "organizations.csv" in said.err
    assert f"{len(lines) - 1}行目・kind" in said.err
    assert state(loaded) == before
    lines[-1] = lines[-1].replace("circus", "other-hospital")
    file.write_text("\n".join(lines), "utf-8")
    tsunagi("directory", "import", "own").must()
    assert "架空第四病院" in tsunagi("directory", "show", "4619999941").must().out
    assert "新しい名前" in tsunagi("directory", "show").must().out


def test_a_folder_that_is_not_there_is_said(tsunagi: Tsunagi, loaded: Database):
    assert "HUB-DIR" in tsunagi("directory", "import", "nowhere").must(1).err
