"""tsunagi: the command line. Each command imports only what it runs.

Exit codes: 0 done, 1 refused or found something wrong, 2 wrong usage or settings.
"""

import sys

import typer
from pydantic import ValidationError

from hub.cli import audit, client, directory, intake, keys, report, serve
from hub.cli.said import print_issues, print_problem
from hub.fhir.outcome import FhirError

app = typer.Typer(
    name="tsunagi",
    help="つなぎハブ / Tsunagi Hub: a FHIR R4 hub for referrals.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("serve")(serve.serve)
app.command("work")(serve.work)
app.command("demo")(serve.demo)
app.command("migrate")(serve.migrate)
app.command("intake")(intake.intake)
client.app.command("key")(keys.key)
client.app.command("token")(keys.token)
app.add_typer(client.app, name="client")
app.add_typer(directory.app, name="directory")
app.add_typer(report.app, name="report")
app.add_typer(audit.app, name="audit")


def main() -> None:
    """Run a command; what it refuses is said in a sentence, never as a traceback."""
    try:
        app()
    except FhirError as error:
        print_issues(error.issues)
        sys.exit(1)
    except ValidationError as error:
        for one in error.errors():
            where = ".".join(str(part) for part in one["loc"])
            name = f"TSUNAGI_{where.upper()}: " if where else ""
            print_problem(f"{name}{one['msg'].removeprefix('Value error, ')}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
