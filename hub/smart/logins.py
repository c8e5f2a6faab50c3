"""Logins under way: begun by a client, at the provider now, each finished once.

`state` alone finishes nothing: the browser that began holds a secret in a cookie, of
which the nonce and the PKCE verifier are made. So nobody can be logged in as another
by a link (login CSRF), and a database read in between gives nothing away.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

import orjson
from sqlalchemy import delete, insert, select

from hub.database import Session
from hub.fhir.dates import micros, now
from hub.smart.endpoints import digest
from hub.smart.tables import login as table

LIFETIME = 600  # seconds to log in at the provider


@dataclass(frozen=True, slots=True)
class Login:
    """`state` goes through the provider, `secret` stays in the browser's cookie."""

    state: str
    secret: str

    @property
    def nonce(self) -> str:
        return _derived(self.secret, b"nonce")

    @property
    def verifier(self) -> str:
        """PKCE towards the provider: 43 characters (RFC 7636 §4.1)."""
        return _derived(self.secret, b"verifier")


def begin(session: Session, request: dict[str, str]) -> Login:
    """Keep the client's parameters until the browser comes back."""
    made = Login(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    row = {
        "state": digest(made.state),
        "browser": digest(made.secret),
        "request": orjson.dumps(request).decode(),
        "expires_at": micros(now()) + LIFETIME * 1_000_000,
    }
    session.execute(insert(table), [row])
    return made


def finish(session: Session, login: Login) -> dict[str, str] | None:
    """The client's parameters, once; None when not begun here, over, or used up.

    Call within a writing transaction.
    """
    this = table.c.state == digest(login.state)
    mine = (this, table.c.browser == digest(login.secret))
    row = session.execute(select(table).where(*mine)).first()
    if row is None or session.execute(delete(table).where(*mine)).rowcount != 1:
        return None
    if row.expires_at <= micros(now()):
        return None
    parameters: dict[str, str] = orjson.loads(row.request)
    return parameters


def _derived(secret: str, label: bytes) -> str:
    made = hmac.new(secret.encode("utf-8", "surrogatepass"), label, sha256).digest()
    return urlsafe_b64encode(made).rstrip(b"=").decode()
