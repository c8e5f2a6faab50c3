"""Prepare a hub for use: the schema, the directory, the forms and codes."""

from pathlib import Path

from sqlalchemy import func, select

from hub import audit, changes, sealing
from hub.actor import Actor
from hub.app import know
from hub.changes import By
from hub.database import Database
from hub.directory.seeds import read
from hub.directory.tables import organisations
from hub.migrations import is_current, upgrade
from hub.sealing.keys import content_keys
from hub.settings import Settings


def prepare(settings: Settings) -> None:
    """With `--dev`: migrate, and import the directory that comes with the hub."""
    database = Database(settings.database_url)
    try:
        if not is_current(database):
            upgrade(database)
        with database.transaction() as session:
            known = session.execute(select(func.count()).select_from(organisations))
            is_empty = known.scalar_one() == 0
        if is_empty:
            import_directory(settings, database)
    finally:
        database.close()


def import_directory(
    settings: Settings, database: Database, folder: Path | None = None
) -> int:
    """Write a directory folder, and the hub's forms and codes, through `changes`."""
    seed = read(folder or settings.profiles / "directory")
    published = know(settings).published()
    audit.observe(database, settings.organization, settings.base_url)
    sealing.keep(database, content_keys(settings))
    with database.transaction() as session:
        by = By(operator(settings))
        for resource in (*seed.resources, *published):
            changes.put(session, by, resource)
    return len(seed.resources) + len(published)


def operator(settings: Settings) -> Actor:
    """The hub itself, acting for the person at the command line."""
    return Actor(
        client_id="cli",
        organisation=settings.organization,
        roles=frozenset({"hub"}),
    )
