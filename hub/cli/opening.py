"""What every command needs first: the settings and a database that is up to date."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from sqlalchemy.exc import OperationalError

from hub.cli.said import print_problem
from hub.database import Database
from hub.migrations import is_current
from hub.settings import Settings


def read_settings(*, dev: bool = False, port: int | None = None) -> Settings:
    """The settings of the environment; `--dev` and `--port` are said on top."""
    given: dict[str, object] = {}
    if dev:
        given["dev"] = True
        if port is not None and not _has_base_url():
            given["base_url"] = f"http://127.0.0.1:{port}"
    return Settings(**given)  # type: ignore[arg-type] # pydantic checks the values


def local_settings() -> Settings:
    """Settings of a command that only touches the database: no base URL needed."""
    return Settings() if _has_base_url() else Settings(dev=True)


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """A database whose schema is current; else say `tsunagi migrate` and exit 2."""
    database = Database(settings.database_url)
    try:
        current = is_current(database)
    except OperationalError:
        print_problem(
            "データベースに接続できません。TSUNAGI_DATABASE_URL を確かめてください。"
            " / The database cannot be reached: check TSUNAGI_DATABASE_URL."
        )
        raise typer.Exit(2) from None
    if not current:
        print_problem(
            "データベースの準備ができていません。tsunagi migrate を実行してください。"
            " / Run `tsunagi migrate` first."
        )
        raise typer.Exit(2)
    try:
        yield database
    finally:
        database.close()


def _has_base_url() -> bool:
    import os

    return bool(os.environ.get("TSUNAGI_BASE_URL"))
