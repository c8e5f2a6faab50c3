"""Authorization codes: 60 seconds, one use. A second use ends what the first brought.

RFC 6749 §4.1.2; RFC 9700 §2.1.1. Call within a writing transaction: those take
turns, so that of two redemptions one is the first.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from hub.database import Session
from hub.fhir.dates import micros, now
from hub.smart.tables import code as table
from hub.smart.tables import token as token_table

LIFETIME = 60_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Code:
    """A stored code as authlib asks about it."""

    row: Row[Any]

    def get_redirect_uri(self) -> str:
        return str(self.row.redirect_uri)

    def get_scope(self) -> str:
        return str(self.row.scope)

    @property
    def code_challenge(self) -> str:
        return str(self.row.challenge)

    @property
    def code_challenge_method(self) -> str:
        return "S256"


def save(
    session: Session,
    *,
    digest: str,
    client_id: str,
    person: str,
    redirect_uri: str,
    scope: str,
    challenge: str,
) -> None:
    """Keep a code that is now on its way to the client, by its SHA-256."""
    row = {
        "digest": digest,
        "client_id": client_id,
        "person": person,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "challenge": challenge,
        "expires_at": micros(now()) + LIFETIME,
    }
    session.execute(insert(table), [row])


def consume(session: Session, digest: str, client_id: str) -> Code | None:
    """The code, used up now; None when it is unknown, used, expired or another's.

    Whoever comes second, and whichever client it is, has a code that leaked: the token
    of the first is revoked, and if it is not issued yet it never will be.
    """
    at = micros(now())
    this = table.c.digest == digest
    row = session.execute(select(table).where(this)).first()
    if row is None:
        return None
    first = update(table).where(this, table.c.used_at.is_(None)).values(used_at=at)
    if session.execute(first).rowcount != 1:
        session.execute(update(table).where(this).values(revoked_at=at))
        _end_token(session, digest, at)
        return None
    is_good = row.client_id == client_id and row.expires_at > at
    return Code(row) if is_good else None


def is_revoked(session: Session, digest: str) -> bool:
    """True when a code was used twice before its token was issued."""
    query = select(table.c.revoked_at).where(table.c.digest == digest)
    return session.execute(query).scalar_one_or_none() is not None


def _end_token(session: Session, digest: str, at: int) -> None:
    session.execute(
        update(token_table)
        .where(token_table.c.code == digest, token_table.c.revoked_at.is_(None))
        .values(revoked_at=at)
    )
