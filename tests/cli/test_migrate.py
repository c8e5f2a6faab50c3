"""`tsunagi migrate`, and whether the migrations agree with the tables."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from hub import migrations
from hub.database import Database
from hub.migrations.tables import metadata
from tests.cli.conftest import Tsunagi
from tests.cli.processes import COMMAND, environment
from tests.conftest import BACKENDS


@pytest.fixture(params=BACKENDS)
def empty_url(request, tmp_path: Path, monkeypatch) -> str:
    url = f"sqlite:///{tmp_path}/hub.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("empty_postgres")
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", url)
    return url


def test_migrate_twice_is_migrate_once(tsunagi: Tsunagi, empty_url: str):
    assert migrations.head() in tsunagi("migrate").must().out
    assert migrations.head() in tsunagi("migrate").must().out
    tsunagi("client", "list").must()


def test_the_newest_revision_by_file_name_is_alembics_head():
    script = ScriptDirectory.from_config(migrations.config())
    assert script.get_current_head() == migrations.head()


def test_the_migrations_make_exactly_the_tables(database: Database):
    """As `alembic check`; STATISTICS on PostgreSQL, which it does not compare."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert _statistics(connection) == _expected_statistics(database)


def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_it_back(database: Database):
    _downgrade(database)
    with database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
        assert _statistics(connection) == set()
    assert not migrations.is_current(database)
    migrations.upgrade(database)
    assert migrations.is_current(database)


@pytest.mark.parametrize("after", [0.0, 0.02, 0.1])
def test_K8_a_migration_killed_half_way_is_completed_by_the_next(
    tsunagi: Tsunagi, empty_url: str, tmp_path: Path, after: float
):
    """The kill comes `after` seconds from the moment the migration has begun."""
    log = tmp_path / "begun"
    code = (
        "import pathlib, alembic.command as c, hub.cli, sys;"
        "real = c.upgrade;"
        f"c.upgrade = lambda *a: (pathlib.Path({str(log)!r}).touch(), real(*a));"
        "sys.argv = ['tsunagi', 'migrate']; hub.cli.main()"
    )
    with subprocess.Popen(
        [COMMAND[0], "-c", code],
        env=environment(database_url=empty_url),
        stdout=subprocess.DEVNULL,
    ) as process:
        while not log.exists():
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(after)
        os.kill(process.pid, signal.SIGKILL)
    tsunagi("migrate").must()
    database = Database(empty_url)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_a_schema_of_a_newer_hub_is_refused(
    tsunagi: Tsunagi, database: Database, database_url: str, monkeypatch
):
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for arguments in (
        ("migrate",),
        ("client", "list"),
        ("serve", "--dev", "--port", 0),
    ):
        assert "9999" in tsunagi(*arguments).must(2).err


def _downgrade(database: Database) -> None:
    settings = migrations.config()
    with database.engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.downgrade(settings, "base")


def _statistics(connection) -> set[str]:
    if connection.dialect.name != "postgresql":
        return set()
    query = text("SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext")
    return {row[0].replace("public.", "") for row in connection.execute(query)}


def _expected_statistics(database: Database) -> set[str]:
    """What the tables' own DDL makes, which PostgreSQL prints in its own order."""
    if database.is_sqlite:
        return set()
    with database.engine.connect() as connection:
        connection.execute(text("CREATE SCHEMA other"))
        connection.execute(text("SET search_path TO other"))
        metadata.create_all(connection)
        query = text(
            "SELECT pg_get_statisticsobjdef(e.oid) FROM pg_statistic_ext e"
            " JOIN pg_namespace n ON n.oid = e.stxnamespace WHERE n.nspname = 'other'"
        )
        found = {row[0].replace("other.", "") for row in connection.execute(query)}
        connection.rollback()
    assert len(found) == 2
    return found
