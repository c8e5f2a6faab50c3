"""tsunagi client key | token: what a newcomer needs to speak to a hub by hand."""

import json
import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from hub.cli.said import out, print_problem

# More than any client has: the answer is what is registered.
_EVERYTHING = "system/*.cruds system/AuditEvent.rs"


def key(
    file: Annotated[Path, typer.Argument(help="秘密鍵を書くファイル（JWK）")],
) -> None:
    """鍵の組を作る。公開鍵は FILE に .public を挟んだ名前 / Make a key pair."""
    from joserfc.jwk import ECKey

    if file.exists():
        print_problem(
            f"{file} はすでにあります。上書きしません。", "It exists already."
        )
        raise typer.Exit(1)
    made = ECKey.generate_key("P-384", {"kid": secrets.token_hex(8), "use": "sig"})
    file.parent.mkdir(parents=True, exist_ok=True)
    # Nobody else on the machine may read a private key, not even for a moment.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as private:
        json.dump(made.as_dict(private=True), private)
    public = file.with_suffix(f".public{file.suffix}")
    public.write_text(json.dumps({"keys": [made.as_dict(private=False)]}))
    out.print(f"{file}\n{public}", markup=False)


def token(
    client_id: Annotated[str, typer.Argument(help="client_id")],
    key_file: Annotated[Path, typer.Option("--key", help="秘密鍵のファイル（JWK）")],
    url: Annotated[
        str, typer.Option(help="ハブのURL / the hub's base URL")
    ] = "http://127.0.0.1:8080",
    scope: Annotated[str, typer.Option(help="scope")] = _EVERYTHING,
) -> None:
    """動いているハブからアクセストークンを取る / Get a token from a running hub."""
    from hub.delivery.fetch import FetchError
    from hub.demo.client import HubClient, RefusedError

    try:
        jwk = json.loads(key_file.read_text("utf-8"))
        client = HubClient(f"{url.rstrip('/')}/fhir/R4", client_id, jwk, scope=scope)
        out.print(client.token(), markup=False)
    except (OSError, ValueError, KeyError):
        print_problem("鍵のファイルを読めません。", "The key file cannot be read.")
        raise typer.Exit(2) from None
    except FetchError:
        print_problem(f"{url} に接続できません。", "No hub answers there.")
        raise typer.Exit(1) from None
    except RefusedError as error:
        print_problem(
            f"ハブが断りました（{error.status}）。client_id と鍵を確かめてください。",
            "The hub refused: check client_id and key.",
        )
        raise typer.Exit(1) from None
