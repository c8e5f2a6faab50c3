"""Schema migrations (Alembic). `upgrade(database)` brings a database up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from hub.database import Database

_HERE = Path(__file__).parent


def config() -> Config:
    """Alembic's configuration: the scripts beside this file, no ini file."""
    made = Config()
    made.set_main_option("script_location", str(_HERE))
    return made


def upgrade(database: Database) -> str:
    """Bring the schema to the newest revision; its id. Safe to run again."""
    settings = config()
    with database.engine.connect() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
        connection.commit()
    return ScriptDirectory.from_config(settings).get_current_head() or ""


def is_current(database: Database) -> bool:
    """True when the database has the newest schema."""
    head = ScriptDirectory.from_config(config()).get_current_head()
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head
