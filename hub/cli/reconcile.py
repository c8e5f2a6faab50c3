"""tsunagi reconcile: after a backup was put back (K7)."""

from typing import Annotated

import typer

from hub.cli.opening import local_settings, opened
from hub.cli.said import out, print_problem


def reconcile(
    yes: Annotated[
        bool,
        typer.Option("--yes", help="確かめて、運用を再開する / take it as it is."),
    ] = False,
) -> None:
    """バックアップを戻したあと、欠けを確かめて再開する / After a restore: see, resume.

    ハブを止めて実行する。--yes がなければ調べるだけ。 / Without --yes it only looks.
    """
    from hub.audit.reconcile import find_set_back
    from hub.audit.reconcile import reconcile as take_up
    from hub.fhir import dates
    from hub.running.parts import checkpoints_path, make_checkpoints
    from hub.running.prepare import operator
    from hub.running.safety import require_ready

    settings = local_settings()
    require_ready(settings)
    path = checkpoints_path(settings)
    with opened(settings) as database:
        found = find_set_back(database, path)
        if found is None:
            out.print("戻されたデータベースではありません / nothing to reconcile")
            return
        out.print(
            f"監査ログは {found.last.seq} 番（{found.last.time}）まで署名済みですが、"
            f"データベースは {found.seq} 番までです。{found.kept.time} より後に"
            f"受け付けたものが欠けています。"
            f" / What was accepted after {found.kept.time} is missing"
            f" ({found.missing} audit rows or more)."
        )
        if not yes:
            print_problem(
                "送信元・送付先と撤回の有無を確かめてから、tsunagi reconcile --yes を"
                "実行してください。それまでハブは読み取りだけを受け付けます。",
                "Ask senders and recipients what is missing, withdrawals first, then"
                " run `tsunagi reconcile --yes`; until then the hub only reads.",
            )
            raise typer.Exit(1)
        take_up(database, path, operator(settings), dates.now())
        make_checkpoints(settings).anchor(database)
    out.print("再開できます / reconciled: start the hub")
