"""Token introspection (RFC 7662) and revocation (RFC 7009), on authlib."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from sqlalchemy import Row, select, update

from hub import audit
from hub.actor import Actor
from hub.database import Database
from hub.fhir.dates import micros, now
from hub.smart.assertion import METHOD
from hub.smart.clients import Client
from hub.smart.tables import person as person_table
from hub.smart.tables import token as token_table

_SECOND = 1_000_000  # microseconds


class Storage(Protocol):
    """What the endpoints need of the server they are registered with."""

    database: Database

    def query_client(self, client_id: str) -> Client | None: ...


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token row as authlib asks about it."""

    row: Row[Any]

    def is_expired(self) -> bool:
        return bool(self.row.expires_at <= micros(now()))

    def is_revoked(self) -> bool:
        is_stopped = self.row.person is not None and not self.row.enabled
        return is_stopped or self.row.revoked_at is not None


class _TokenQuery:
    """What introspection and revocation share."""

    CLIENT_AUTH_METHODS = (METHOD,)
    server: Storage

    def check_params(self, request: OAuth2Request, client: Client) -> None:
        # RFC 7009 §2.1: a wrong or unknown token_type_hint does not matter.
        del client
        if not request.form.get("token"):
            raise InvalidRequestError("token is missing.")

    def query_token(
        self, token_string: str, token_type_hint: str
    ) -> StoredToken | None:
        del token_type_hint
        query = (
            select(token_table, person_table.c.enabled)
            .outerjoin(person_table, person_table.c.id == token_table.c.person)
            .where(token_table.c.digest == digest(token_string))
        )
        with self.server.database.transaction(write=False) as session:
            row = session.execute(query).first()
        return None if row is None else StoredToken(row)


class Introspection(_TokenQuery, IntrospectionEndpoint):  # type: ignore[misc] # untyped
    """RFC 7662: one's own tokens, or all for a registered resource server."""

    def check_permission(
        self, token: StoredToken, client: Client, request: OAuth2Request
    ) -> bool:
        del request
        owner = self.server.query_client(token.row.client_id)
        return owner is not None and (
            client.introspects or owner.client_id == client.client_id
        )

    def introspect_token(self, token: StoredToken) -> dict[str, Any]:
        return {
            "active": True,
            "scope": token.row.scope,
            "client_id": token.row.client_id,
            "token_type": "bearer",
            "exp": token.row.expires_at // _SECOND,
            "iat": token.row.issued_at // _SECOND,
            **self._confirmation(token),
        }

    def _confirmation(self, token: StoredToken) -> dict[str, Any]:
        """RFC 8705 §3.2: what a resource server must find the token bound to."""
        owner = self.server.query_client(token.row.client_id)
        if owner is None or owner.certificate is None:
            return {}
        return {"cnf": {"x5t#S256": owner.certificate}}


class Revocation(_TokenQuery, RevocationEndpoint):  # type: ignore[misc] # untyped
    """RFC 7009. Another client's token is answered like an unknown one.

    Departs from §2.1 on purpose: an error would tell that the token exists.
    """

    def authenticate_token(
        self, request: OAuth2Request, client: Client
    ) -> StoredToken | None:
        self.check_params(request, client)
        found = self.query_token(request.form["token"], "")
        if found is None or found.row.client_id != client.client_id:
            return None
        return found

    def revoke_token(self, token: StoredToken, request: OAuth2Request) -> None:
        client: Client = request.client
        actor = Actor(client.client_id, client.organisation, roles=client.roles)
        with self.server.database.transaction() as session:
            audit.record(session, actor, "logout", at=now())
            session.execute(
                update(token_table)
                .where(
                    token_table.c.digest == token.row.digest,
                    token_table.c.revoked_at.is_(None),
                )
                .values(revoked_at=micros(now()))
            )


def digest(token: str) -> str:
    """How a token is stored: SHA-256, hexadecimal."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
