"""tsunagi client add | list | disable: the OAuth clients."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hub.cli.opening import local_settings, opened, refuse
from hub.cli.said import out, print_json, print_problem, print_table
from hub.settings import Settings

if TYPE_CHECKING:
    from hub.database import Database, Session

app = typer.Typer(help="OAuthクライアントの登録 / OAuth clients.", no_args_is_help=True)


@app.command()
def add(
    organization: Annotated[
        str, typer.Option(help="所属する組織のコード / Organization code.")
    ],
    role: Annotated[
        list[str], typer.Option(help="source | recipient | directory | privacy")
    ],
    jwks: Annotated[
        str, typer.Option(help="公開鍵（JWKS）のURLまたはファイル / JWKS URL or file.")
    ],
    scope: Annotated[
        list[str] | None, typer.Option(help="役割の代わりの scope / scopes instead.")
    ] = None,
    default_scope: Annotated[
        str | None, typer.Option(help="scope を省いたときに使う / when none is asked.")
    ] = None,
    name: Annotated[str, typer.Option(help="表示名 / display name.")] = "",
    client_id: Annotated[
        str | None, typer.Option(help="指定しなければ自動 / random if not given.")
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="JSONで出力 / as JSON.")
    ] = False,
) -> None:
    """クライアントを登録し、client_id を表示する / Register a client."""
    from hub.directory.ask import StoredDirectory
    from hub.smart import clients

    settings = local_settings()
    by_url = jwks.startswith(("https://", "http://"))
    keys = None if by_url else _read_jwks(Path(jwks))
    with _opened(settings) as database, database.transaction() as session:
        if StoredDirectory(session).organisation(organization) is None:
            print_problem(
                f"組織 {organization} はディレクトリにありません。"
                "tsunagi directory show で確かめてください。",
                "No such organisation in the directory: see `tsunagi directory show`.",
            )
            raise typer.Exit(1)
        made = clients.register(
            session,
            organization=organization,
            roles=role,
            jwks=keys,
            jwks_url=jwks if by_url else None,
            scopes=" ".join(scope) if scope else None,
            default_scope=default_scope,
            name=name,
            client_id=client_id,
        )
        _record(settings, session, "client-add", made.client_id)
    if json_:
        print_json(
            {
                "client_id": made.client_id,
                "organization": made.organisation,
                "scope": made.scopes,
            }
        )
        return
    out.print(made.client_id, markup=False)


@app.command("list")
def list_(
    json_: Annotated[
        bool, typer.Option("--json", help="JSONで出力 / as JSON.")
    ] = False,
) -> None:
    """登録済みのクライアント / All clients."""
    from hub.smart import clients

    with opened(local_settings()) as database, database.transaction() as session:
        found = clients.list_clients(session)
    if json_:
        rows = [
            {
                "client_id": c.client_id,
                "organization": c.organisation,
                "name": c.name,
                "roles": sorted(c.roles),
                "enabled": c.enabled,
            }
            for c in found
        ]
        print_json(rows)
        return
    table = Table("client_id", "organization", "name", "roles", "enabled")
    for c in found:
        enabled = "○" if c.enabled else "×"
        roles = ", ".join(sorted(c.roles))
        table.add_row(c.client_id, c.organisation, escape(c.name), roles, enabled)
    print_table(table)


@app.command()
def disable(
    client_id: Annotated[str, typer.Argument(help="止めるクライアント / which.")],
) -> None:
    """クライアントを止める（トークンもすぐ無効） / Stop a client at once."""
    from hub.smart import clients

    settings = local_settings()
    with _opened(settings) as database, database.transaction() as session:
        clients.disable(session, client_id)
        _record(settings, session, "client-change", client_id)
    out.print(f"{client_id} を無効にしました / disabled", markup=False)


@contextmanager
def _opened(settings: Settings) -> Iterator["Database"]:
    """The database, with the hub's own name for its log."""
    from hub import audit

    with opened(settings) as database:
        audit.observe(database, settings.organization, settings.base_url)
        yield database


def _record(
    settings: Settings, session: "Session", interaction: str, client_id: str
) -> None:
    """Who may call is changed in the log too (security.md §4)."""
    from hub import audit
    from hub.fhir.dates import now
    from hub.running.prepare import operator

    by = operator(settings)
    audit.record(session, by, interaction, targets=[client_id], at=now())


def _read_jwks(path: Path) -> dict[str, object]:
    """A JWKS, or one JWK, from a file; what is in it is checked at registration."""
    try:
        read = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        refuse(
            "公開鍵のファイルを読めません。JWKS（JSON）のパスかURLを指定してください。",
            "The JWKS file cannot be read: name a JSON file or a URL.",
        )
    if not isinstance(read, dict):
        return {"keys": read}
    return read if "keys" in read else {"keys": [read]}
