"""tsunagi person add | list | disable | enable: who may log in."""

from typing import Annotated

import typer
from rich.table import Table

from hub.cli.accounts import administering
from hub.cli.opening import local_settings, refuse
from hub.cli.said import out, print_json, print_table

app = typer.Typer(help="ログインできる人 / who may log in.", no_args_is_help=True)


@app.command()
def add(
    organization: Annotated[
        str, typer.Option(help="所属する組織のコード / Organization code.")
    ],
    practitioner: Annotated[
        str,
        typer.Option(help="PractitionerRole/ID か Practitioner/ID / in the directory."),
    ],
    subject: Annotated[
        str, typer.Option(help="提供者での利用者識別子（sub） / the provider's `sub`.")
    ],
    issuer: Annotated[
        str | None,
        typer.Option(help="省くと TSUNAGI_OIDC_ISSUER / that of the settings if not."),
    ] = None,
) -> None:
    """人がログインできるようにし、その番号を表示する / Let a person log in."""
    from hub.smart import administer

    issuer = issuer or local_settings().oidc_issuer
    if not issuer:
        refuse(
            "--issuer か TSUNAGI_OIDC_ISSUER を指定してください。",
            "Give --issuer, or set TSUNAGI_OIDC_ISSUER.",
        )
    with administering() as session:
        made = administer.add_person(
            session,
            administer.OPERATOR,
            organization=organization,
            practitioner=practitioner,
            issuer=issuer,
            subject=subject,
        )
    out.print(made.id, markup=False)


@app.command("list")
def list_(
    json_: Annotated[
        bool, typer.Option("--json", help="JSONで出力 / as JSON.")
    ] = False,
) -> None:
    """登録済みの人 / All persons."""
    from hub.smart import administer
    from hub.smart.shown import shown_person

    with administering() as session:
        found = administer.list_persons(session, administer.OPERATOR)
    if json_:
        print_json([shown_person(one) for one in found])
        return
    table = Table("id", "organization", "practitioner", "issuer", "enabled")
    for one in found:
        enabled = "○" if one.enabled else "×"
        table.add_row(one.id, one.organisation, one.practitioner, one.issuer, enabled)
    print_table(table)


@app.command()
def disable(
    id_: Annotated[str, typer.Argument(metavar="ID", help="誰を / who.")],
) -> None:
    """人を止める（トークンもすぐ無効） / Stop a person at once."""
    _switch(id_, enabled=False)
    out.print(f"{id_} を無効にしました / disabled", markup=False)


@app.command()
def enable(
    id_: Annotated[str, typer.Argument(metavar="ID", help="誰を / who.")],
) -> None:
    """止めた人を再びログインできるようにする / Let a person in again."""
    _switch(id_, enabled=True)
    out.print(f"{id_} を有効にしました / enabled", markup=False)


def _switch(id_: str, *, enabled: bool) -> None:
    from hub.smart import administer

    with administering() as session:
        administer.switch_person(session, administer.OPERATOR, id_, enabled=enabled)
