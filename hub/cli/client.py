"""tsunagi client add | change | list | disable | enable: the OAuth clients."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from hub.cli.accounts import administering
from hub.cli.opening import refuse
from hub.cli.said import out, print_json, print_problem, print_table

app = typer.Typer(help="OAuthクライアントの登録 / OAuth clients.", no_args_is_help=True)


@app.command()
def add(
    organization: Annotated[
        str, typer.Option(help="所属する組織のコード / Organization code.")
    ],
    role: Annotated[
        list[str], typer.Option(help="source | recipient | directory | privacy | admin")
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
    grant_type: Annotated[
        list[str] | None,
        typer.Option(help="client_credentials（既定） | authorization_code"),
    ] = None,
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option(help="authorization_code の戻り先 / where persons come back to."),
    ] = None,
    high_assurance: Annotated[
        bool,
        typer.Option(
            "--high-assurance",
            help="証明書に結び付いたトークンだけ / only certificate-bound tokens.",
        ),
    ] = False,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="毎回示すTLS証明書（PEM） / the TLS certificate it must show."
        ),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="JSONで出力 / as JSON.")
    ] = False,
) -> None:
    """クライアントを登録し、client_id を表示する / Register a client."""
    from hub.directory.ask import StoredDirectory
    from hub.smart import administer

    with administering() as session:
        if StoredDirectory(session).organisation(organization) is None:
            print_problem(
                f"組織 {organization} はディレクトリにありません。"
                "tsunagi directory show で確かめてください。",
                "No such organisation in the directory: see `tsunagi directory show`.",
            )
            raise typer.Exit(1)
        made = administer.add_client(
            session,
            administer.OPERATOR,
            organization=organization,
            roles=role,
            **_keys(jwks),
            scopes=" ".join(scope) if scope else None,
            default_scope=default_scope,
            name=name,
            client_id=client_id,
            grant_types=grant_type or ["client_credentials"],
            redirect_uris=redirect_uri or [],
            high_assurance=high_assurance,
            certificate=_thumbprint(certificate),
        )
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


@app.command()
def change(
    client_id: Annotated[str, typer.Argument(help="どのクライアントを / which.")],
    jwks: Annotated[
        str | None, typer.Option(help="新しい公開鍵（JWKS）のURLかファイル / new keys.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="新しい scope のすべて / all new scopes.")
    ] = None,
    default_scope: Annotated[
        str | None, typer.Option(help='既定の scope（"" で外す） / "" takes it away.')
    ] = None,
    name: Annotated[str | None, typer.Option(help="表示名 / display name.")] = None,
    grant_type: Annotated[
        list[str] | None, typer.Option(help="新しい grant type のすべて / all of them.")
    ] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option(help="新しい戻り先のすべて / all redirect URIs.")
    ] = None,
    high_assurance: Annotated[
        bool | None,
        typer.Option(
            "--high-assurance/--no-high-assurance",
            help="証明書に結び付いたトークンだけ / only certificate-bound tokens.",
        ),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="新しいTLS証明書（PEM） / its new certificate.")
    ] = None,
) -> None:
    """指定したものだけを替える。すぐ効く / Replace what is named, at once."""
    from hub.smart import administer

    with administering() as session:
        administer.change_client(
            session,
            administer.OPERATOR,
            client_id,
            enabled=None,
            **_keys(jwks),
            scopes=" ".join(scope) if scope else None,
            default_scope=default_scope,
            name=name,
            grant_types=grant_type,
            redirect_uris=redirect_uri,
            high_assurance=high_assurance,
            certificate=_thumbprint(certificate),
        )
    out.print(f"{client_id} を変更しました / changed", markup=False)


@app.command("list")
def list_(
    json_: Annotated[
        bool, typer.Option("--json", help="JSONで出力 / as JSON.")
    ] = False,
) -> None:
    """登録済みのクライアント / All clients."""
    from hub.smart import administer
    from hub.smart.shown import shown

    with administering() as session:
        found = administer.list_clients(session, administer.OPERATOR)
    if json_:
        print_json([shown(one) for one in found])
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
    _switch(client_id, enabled=False)
    out.print(f"{client_id} を無効にしました / disabled", markup=False)


@app.command()
def enable(
    client_id: Annotated[str, typer.Argument(help="動かすクライアント / which.")],
) -> None:
    """止めたクライアントを再び動かす / Let a client work again."""
    _switch(client_id, enabled=True)
    out.print(f"{client_id} を有効にしました / enabled", markup=False)


def _switch(client_id: str, *, enabled: bool) -> None:
    from hub.smart import administer

    with administering() as session:
        administer.change_client(
            session, administer.OPERATOR, client_id, enabled=enabled
        )


def _thumbprint(path: Path | None) -> str | None:
    from hub.smart.certificate import thumbprint

    return None if path is None else thumbprint(path.read_bytes())


def _keys(jwks: str | None) -> dict[str, Any]:
    """The keys as `clients.register` takes them: by URL or by value, if any."""
    if jwks is None:
        return {}
    if jwks.startswith(("https://", "http://")):
        return {"jwks_url": jwks}
    return {"jwks": _read_jwks(Path(jwks))}


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
