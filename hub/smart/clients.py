"""OAuth clients: registered by the operator, bound to one Organization.

Never changed by the client itself. A client that may do something else is a new
client; this one is disabled, and its live tokens stop at once.
"""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Row, insert, select, update

from hub.database import Session
from hub.delivery.addresses import is_loopback_host, target
from hub.fhir.dates import micros, now
from hub.fhir.outcome import FhirError, issue
from hub.smart import jwks as keys
from hub.smart import scopes as smart_scopes
from hub.smart.roles import ROLES, scopes_of
from hub.smart.tables import client as table

_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_FHIR_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client.

    `scopes` and `default_scope` are scope texts in SMART v2 words; exactly one of
    `jwks` (public keys) and `jwks_url` is set; `introspects` marks a resource
    server that may introspect the tokens of others.
    """

    client_id: str
    organisation: str
    name: str
    roles: frozenset[str]
    scopes: str
    default_scope: str | None
    algorithms: tuple[str, ...]
    jwks: dict[str, Any] | None
    jwks_url: str | None
    introspects: bool
    enabled: bool
    created_at: int

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Authlib asks: private_key_jwt at every endpoint, and nothing else."""
        del endpoint
        return method == "private_key_jwt"

    def check_grant_type(self, grant_type: str) -> bool:
        """Authlib asks: only client_credentials is issued."""
        return grant_type == "client_credentials"


def register(
    session: Session,
    *,
    organization: str,
    roles: Collection[str],
    jwks: dict[str, Any] | None = None,
    jwks_url: str | None = None,
    scopes: str | None = None,
    default_scope: str | None = None,
    name: str = "",
    client_id: str | None = None,
    introspects: bool = False,
) -> Client:
    """Store a new client of `Organization/<organization>`.

    A role is a preset of scopes; `scopes` narrows or replaces it. The client id is
    random unless given. That the Organization exists is the caller's to check: the
    directory is not known here. Raises FhirError HUB-AUTH-010 to -021, -027.
    """
    _require_names(organization, roles, client_id)
    registered = _registered_scopes(frozenset(roles), scopes)
    new = Client(
        client_id=client_id or secrets.token_urlsafe(24),
        organisation=organization,
        name=name or organization,
        roles=frozenset(roles),
        scopes=registered,
        default_scope=_default_scope(default_scope, registered),
        algorithms=_algorithms(jwks, jwks_url),
        jwks=jwks,
        jwks_url=jwks_url,
        introspects=introspects,
        enabled=True,
        created_at=micros(now()),
    )
    if find(session, new.client_id) is not None:
        raise FhirError(issue("HUB-AUTH-019"))
    session.execute(insert(table), [_row(new)])
    return new


def find(session: Session, client_id: str) -> Client | None:
    """The client of this id, enabled or not; None for anything else."""
    # Nothing but ids as we give them reaches the database: PostgreSQL would answer
    # a NUL character with an error.
    if not _ID.fullmatch(client_id):
        return None
    row = session.execute(select(table).where(table.c.client_id == client_id)).first()
    return None if row is None else _client(row)


def list_clients(session: Session) -> list[Client]:
    """All clients, oldest first."""
    query = select(table).order_by(table.c.created_at, table.c.client_id)
    return [_client(row) for row in session.execute(query)]


def disable(session: Session, client_id: str) -> Client:
    """Stop a client; its live tokens are refused from the next request on.

    Raises FhirError HUB-AUTH-020 when there is no such client.
    """
    found = find(session, client_id)
    if found is None:
        raise FhirError(issue("HUB-AUTH-020"))
    session.execute(
        update(table).where(table.c.client_id == client_id).values(enabled=False)
    )
    return replace(found, enabled=False)


def _require_names(
    organization: str, roles: Collection[str], client_id: str | None
) -> None:
    if not _FHIR_ID.fullmatch(organization):
        raise FhirError(issue("HUB-AUTH-010"))
    if not roles or not set(roles) <= ROLES.keys():
        raise FhirError(issue("HUB-AUTH-011", roles=", ".join(ROLES)))
    if client_id is not None and not _ID.fullmatch(client_id):
        raise FhirError(issue("HUB-AUTH-018"))


def _algorithms(jwks: dict[str, Any] | None, jwks_url: str | None) -> tuple[str, ...]:
    if (jwks is None) == (jwks_url is None):
        raise FhirError(issue("HUB-AUTH-012"))
    if jwks is not None:
        return keys.require_fit(jwks)
    found = target(jwks_url or "")
    if found is None or (found.scheme != "https" and not is_loopback_host(found.host)):
        raise FhirError(issue("HUB-AUTH-027"))
    return keys.ALGORITHMS


def _registered_scopes(roles: frozenset[str], scopes: str | None) -> str:
    if scopes is None:
        return scopes_of(roles)
    words = [smart_scopes.parse_word(word) for word in scopes.split()]
    understood = [word.scope for word in words if word is not None]
    if len(understood) != len(words) or not words:
        raise FhirError(issue("HUB-AUTH-017"))
    if any(scope.context != "system" for scope in understood):
        raise FhirError(issue("HUB-AUTH-017"))
    return smart_scopes.render_all(set(understood))


def _default_scope(default_scope: str | None, registered: str) -> str | None:
    if default_scope is None:
        return None
    text = " ".join(default_scope.split())
    if not text or smart_scopes.grant(text, registered) != text:
        raise FhirError(issue("HUB-AUTH-021"))
    return text


def _row(new: Client) -> dict[str, Any]:
    return {
        "client_id": new.client_id,
        "organisation": new.organisation,
        "name": new.name,
        "roles": " ".join(sorted(new.roles)),
        "scopes": new.scopes,
        "default_scope": new.default_scope,
        "algorithms": " ".join(new.algorithms),
        "jwks": None if new.jwks is None else orjson.dumps(new.jwks).decode(),
        "jwks_url": new.jwks_url,
        "introspects": new.introspects,
        "enabled": new.enabled,
        "created_at": new.created_at,
    }


def _client(row: Row[Any]) -> Client:
    values = row._asdict()
    return Client(
        **{
            **values,
            "roles": frozenset(values["roles"].split()),
            "algorithms": tuple(values["algorithms"].split()),
            "jwks": None if values["jwks"] is None else orjson.loads(values["jwks"]),
        }
    )
