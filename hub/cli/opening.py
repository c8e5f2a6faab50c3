"""What every command needs first: the settings and a database that is up to date."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from sqlalchemy.exc import ArgumentError, DBAPIError

from hub.cli.said import print_problem
from hub.database import Database
from hub.migrations import head, revision
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
def connected(settings: Settings, seconds: float | None = None) -> Iterator[Database]:
    """A database that answers, whatever its schema; else say why not and exit 2.

    `seconds` as for Database.
    """
    try:
        database = Database(settings.database_url, seconds)
    except (ArgumentError, ImportError, ValueError):  # a port that is no number
        refuse(
            "TSUNAGI_DATABASE_URL を読めません。sqlite:///ファイル か"
            " postgresql://利用者@ホスト/名前 の形で指定してください。",
            "TSUNAGI_DATABASE_URL cannot be read: use sqlite:///FILE or"
            " postgresql://USER@HOST/NAME.",
        )
    try:
        _require_answer(database)
        yield database
    finally:
        database.close()


@contextmanager
def opened(settings: Settings, seconds: float | None = None) -> Iterator[Database]:
    """A database whose schema is current; else say `tsunagi migrate` and exit 2."""
    with connected(settings, seconds) as database:
        if revision(database) != head():
            require_not_newer(database)
            refuse(
                "データベースが未準備です。tsunagi migrate を実行してください。",
                "The database is not ready: run `tsunagi migrate` first.",
            )
        _open_content(settings, database)
        yield database


def require_not_newer(database: Database) -> None:
    """Refuse a schema that a newer version of the hub has made."""
    found = revision(database)
    if found is not None and found > head():
        refuse(
            f"データベース（{found}）はこのハブ（{head()}）より新しい形です。"
            "新しいハブを使ってください。",
            f"The database ({found}) is newer than this hub ({head()}): use a newer"
            " hub.",
        )


def refuse(japanese: str, english: str) -> NoReturn:
    """Say what is wrong with usage or settings and exit 2."""
    print_problem(japanese, english)
    raise typer.Exit(2)


def _open_content(settings: Settings, database: Database) -> None:
    """What a command reads may be sealed; one that reads no content needs no key."""
    from hub import sealing
    from hub.sealing.keys import ContentKeys, path_of

    if path_of(settings).exists():
        sealing.keep(database, ContentKeys(path_of(settings)))


def _require_answer(database: Database) -> None:
    try:
        revision(database)
    except DBAPIError:
        # The driver's own sentence may quote the URL with its password.
        refuse(
            "データベースに接続できないか、読み書きできません。"
            "TSUNAGI_DATABASE_URL とデータベースの状態を確かめてください。",
            "The database cannot be reached, read or written: check"
            " TSUNAGI_DATABASE_URL and that the database runs.",
        )


def _has_base_url() -> bool:
    return bool(os.environ.get("TSUNAGI_BASE_URL"))
