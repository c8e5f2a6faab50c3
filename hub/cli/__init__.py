"""tsunagi: the command line. Each command imports only what it runs.

Exit codes: 0 done, 1 refused or found something wrong, 2 wrong usage or settings.
"""

import os
import sys

import typer
from pydantic import ValidationError

from hub.cli import (
    audit,
    by_hand,
    client,
    directory,
    intake,
    keys,
    person,
    reconcile,
    report,
    serve,
)
from hub.cli.said import print_issues, print_problem
from hub.fhir.outcome import FhirError

_CODES = (
    "終了コード：0 できた、1 断った・問題が見つかった、2 使い方か設定の誤り"
    "\n\nExit codes: 0 done, 1 refused or found something wrong, 2 usage or settings"
)

# Broken programmes, unsafe start, the hub's signing key: the operator's to mend.
_SETTINGS = (
    "HUB-PROG-01",
    *(f"HUB-AUTH-02{n}" for n in "23456"),
    *(f"HUB-AUTH-03{n}" for n in "78"),
    *(f"HUB-KEY-00{n}" for n in "234789"),
    *(f"HUB-KEY-01{n}" for n in "012"),
    "HUB-REST-110",
    "HUB-REST-111",
)

app = typer.Typer(
    name="tsunagi",
    help="つなぎハブ / Tsunagi Hub: a FHIR R4 hub for referrals.",
    epilog=_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("serve")(serve.serve)
app.command("work")(serve.work)
app.command("demo")(serve.demo)
app.command("migrate")(serve.migrate)
app.command("reconcile")(reconcile.reconcile)
app.command("intake")(intake.intake)
client.app.command("key")(by_hand.key)
client.app.command("token")(by_hand.token)
app.add_typer(keys.app, name="keys")
app.add_typer(client.app, name="client")
app.add_typer(person.app, name="person")
app.add_typer(directory.app, name="directory")
app.add_typer(report.app, name="report")
app.add_typer(audit.app, name="audit")


def main() -> None:
    """Run a command; what it refuses is said in a sentence, never as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding shows an escape instead of a traceback.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except FhirError as error:
        print_issues(error.issues)
        sys.exit(2 if error.issues[0].id.startswith(_SETTINGS) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not _say(error):
            raise
        sys.exit(2)


def _say(error: Exception) -> bool:
    """Say what is wrong with the surroundings; False for a fault of our own."""
    # Only an error needs to know these.
    from sqlalchemy.exc import DBAPIError

    from hub.audit.checkpoint import SetBackError
    from hub.packages import PackagesError

    if isinstance(error, ValidationError):
        _say_settings(error)
    elif isinstance(error, PackagesError):
        print_problem(
            f"profiles の内容を読めません：{error}",
            "A file of the profiles folder is broken; the message names it."
            " Check TSUNAGI_PROFILES and TSUNAGI_PROGRAMMES.",
        )
    elif isinstance(error, SetBackError):
        print_problem(*str(error).split(" / ", 1))
    elif isinstance(error, DBAPIError):
        # The driver's sentence may hold values that were to be stored.
        name = type(error.orig or error).__name__
        print_problem(
            f"データベースの操作に失敗しました（{name}）。接続と空き容量を確かめてください。",
            "The database failed: check that it runs and has room.",
        )
    elif isinstance(error, OSError) and error.filename:
        name = os.fsdecode(error.filename)
        print_problem(
            f"ファイルを読み書きできません：{name}（{error.strerror}）。"
            "場所と権限を確かめてください。",
            f"Cannot read or write {name}: {error.strerror}. Check path and rights.",
        )
    else:
        return False
    return True


def _say_settings(error: ValidationError) -> None:
    for one in error.errors():
        where = ".".join(str(part) for part in one["loc"])
        name = f"TSUNAGI_{where.upper()}: " if where else ""
        said = one["msg"].removeprefix("Value error, ")
        japanese, slash, english = said.partition(" / ")
        if not slash:
            japanese = "設定の値が正しくありません"
            english = said
        print_problem(f"{name}{japanese}", f"{name}{english}")
