"""Schema migrations (Alembic). `upgrade(database)` brings a database up to date.

Alembic is imported only to migrate: a start on a current schema asks for a number.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from hub.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

_HERE = Path(__file__).parent
_LOCK = 7_352_247  # any constant: the key of the advisory lock of migrations
# Alembic's environment is global to the process.
_one_at_a_time = threading.Lock()


def config() -> "Config":
    """Alembic's configuration: the scripts beside this file, no ini file."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(_HERE))
    return made


def upgrade(database: Database) -> str:
    """Bring the schema to the newest revision; its id.

    Safe to run again, also after a kill half-way: all of it is one transaction.
    Two at once wait for each other, by SQLite's file lock or an advisory lock.
    """
    from alembic import command

    settings = config()
    with _one_at_a_time, database.engine.begin() as connection:
        if not database.is_sqlite:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK}
            )
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
    return head()


def head() -> str:
    """The newest revision: the last of `versions/<revision>_<title>.py` by name."""
    names = sorted(path.name for path in (_HERE / "versions").glob("[0-9]*_*.py"))
    return names[-1].partition("_")[0]


def is_current(database: Database) -> bool:
    """True when the database has the newest schema."""
    return revision(database) == head()


def revision(database: Database) -> str | None:
    """The revision that the database has; None before the first migration."""
    with database.engine.connect() as connection:
        try:
            found = connection.exec_driver_sql(
                "SELECT version_num FROM alembic_version"
            )
        except (OperationalError, ProgrammingError):
            connection.rollback()
            # Answers only when the server does; else its own error says why.
            connection.exec_driver_sql("SELECT 1")
            return None
        return found.scalar_one_or_none()
