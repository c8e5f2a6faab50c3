"""OAuth clients: registered by the operator, bound to one Organization.

Never changed by the client itself. A client of another organisation or role is a new
client; what is disabled or narrowed counts from the next request on, also for tokens
that live.
"""

import re
import secrets
from collections.abc import Collection, Sequence
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
from hub.smart.scopes import Context
from hub.smart.tables import client as table

_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_FHIR_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url
_MAX_URI = 2000
# Each grant type and the scopes it gives: a system's, or a person's.
GRANT_TYPES: dict[str, Context] = {
    "client_credentials": "system",
    "authorization_code": "user",
}


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client.

    `scopes` and `default_scope` are scope texts in SMART v2 words; exactly one of
    `jwks` (public keys) and `jwks_url` is set; `introspects` marks a resource
    server that may introspect the tokens of others. `redirect_uris` are compared as
    strings. `certificate` is the `x5t#S256` of the TLS certificate it must show at
    every call (RFC 8705 §3). `high_assurance` asks for sender-constrained tokens: a
    client without a certificate then gets no token at all.
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
    grant_types: tuple[str, ...] = ("client_credentials",)
    redirect_uris: tuple[str, ...] = ()
    high_assurance: bool = False
    certificate: str | None = None

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Authlib asks: private_key_jwt at every endpoint, and nothing else."""
        del endpoint
        return method == "private_key_jwt"

    def check_grant_type(self, grant_type: str) -> bool:
        """Authlib asks: what was registered, and only with tokens it may be given."""
        is_bound = self.certificate is not None
        return grant_type in self.grant_types and (is_bound or not self.high_assurance)

    def check_response_type(self, response_type: str) -> bool:
        """Authlib asks at the authorization endpoint."""
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Authlib asks: exactly as registered (RFC 9700 §2.1)."""
        return redirect_uri in self.redirect_uris

    def get_default_redirect_uri(self) -> None:
        """Authlib asks: there is none, a request always names its own."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Authlib asks what a person's token may have; None for nothing."""
        asked = scope or self.default_scope or ""
        return smart_scopes.grant(asked, self.scopes, "user") or None


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
    grant_types: Collection[str] = ("client_credentials",),
    redirect_uris: Sequence[str] = (),
    high_assurance: bool = False,
    certificate: str | None = None,
) -> Client:
    """Store a new client of `Organization/<organization>`.

    A role is a preset of scopes; `scopes` narrows or replaces it. The client id is
    random unless given. That the Organization exists is the caller's to check: the
    directory is not known here. Raises FhirError HUB-AUTH-010 to -021, -027, -030 to
    -032.
    """
    _require_names(organization, roles, client_id)
    grants = _grant_types(grant_types)
    contexts = tuple(GRANT_TYPES[name] for name in grants)
    registered = _registered_scopes(frozenset(roles), scopes, contexts)
    new = Client(
        client_id=client_id or secrets.token_urlsafe(24),
        organisation=organization,
        name=name or organization,
        roles=frozenset(roles),
        scopes=registered,
        default_scope=_default_scope(default_scope, registered, contexts),
        algorithms=_algorithms(jwks, jwks_url),
        jwks=jwks,
        jwks_url=jwks_url,
        introspects=introspects,
        enabled=True,
        created_at=micros(now()),
        grant_types=grants,
        redirect_uris=_redirect_uris(redirect_uris, grants),
        high_assurance=high_assurance,
        certificate=_certificate(certificate),
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
    return _store(session, replace(require(session, client_id), enabled=False))


def enable(session: Session, client_id: str) -> Client:
    """Let a client that was stopped work again. Raises as `disable`."""
    return _store(session, replace(require(session, client_id), enabled=True))


def change(
    session: Session,
    client_id: str,
    *,
    jwks: dict[str, Any] | None = None,
    jwks_url: str | None = None,
    scopes: str | None = None,
    default_scope: str | None = None,
    name: str | None = None,
    grant_types: Collection[str] | None = None,
    redirect_uris: Sequence[str] | None = None,
    high_assurance: bool | None = None,
    certificate: str | None = None,
) -> Client:
    """Replace what is given of a client; "" takes default_scope or certificate away.

    Raises as `register`, and HUB-AUTH-020 when there is no such client. Organization
    and roles stay: who acts for whom is settled once.
    """
    old = require(session, client_id)
    has_keys = jwks is not None or jwks_url is not None
    grants = old.grant_types if grant_types is None else _grant_types(grant_types)
    contexts = tuple(GRANT_TYPES[word] for word in grants)
    registered = _registered_scopes(old.roles, scopes or old.scopes, contexts)
    default = old.default_scope if default_scope is None else default_scope or None
    uris = old.redirect_uris if redirect_uris is None else redirect_uris
    new = replace(
        old,
        jwks=jwks if has_keys else old.jwks,
        jwks_url=jwks_url if has_keys else old.jwks_url,
        algorithms=_algorithms(jwks, jwks_url) if has_keys else old.algorithms,
        scopes=registered,
        default_scope=_default_scope(default, registered, contexts),
        name=old.name if name is None else name or old.organisation,
        grant_types=grants,
        redirect_uris=_redirect_uris(uris, grants),
        high_assurance=old.high_assurance if high_assurance is None else high_assurance,
        certificate=_certificate(
            old.certificate if certificate is None else certificate
        ),
    )
    return _store(session, new)


def require(session: Session, client_id: str) -> Client:
    """The client of this id; raises FhirError HUB-AUTH-020 when there is none."""
    found = find(session, client_id)
    if found is None:
        raise FhirError(issue("HUB-AUTH-020"))
    return found


def _store(session: Session, new: Client) -> Client:
    session.execute(
        update(table).where(table.c.client_id == new.client_id).values(**_row(new))
    )
    return new


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


def _certificate(thumbprint: str | None) -> str | None:
    if thumbprint and not _THUMBPRINT.fullmatch(thumbprint):
        raise FhirError(issue("HUB-KEY-013"))
    return thumbprint or None


def _grant_types(words: Collection[str]) -> tuple[str, ...]:
    if not words or not set(words) <= GRANT_TYPES.keys():
        raise FhirError(issue("HUB-AUTH-030", names=", ".join(GRANT_TYPES)))
    return tuple(sorted(set(words)))


def _redirect_uris(
    uris: Sequence[str], grant_types: tuple[str, ...]
) -> tuple[str, ...]:
    """Absolute https URLs (http on this machine), where a person can be sent back."""
    if bool(uris) != ("authorization_code" in grant_types):
        raise FhirError(issue("HUB-AUTH-031"))
    for uri in uris:
        found = target(uri) if len(uri) <= _MAX_URI else None
        is_https = found is not None and found.scheme == "https"
        if found is None or not (is_https or is_loopback_host(found.host)):
            raise FhirError(issue("HUB-AUTH-032"))
    return tuple(dict.fromkeys(uris))


def _registered_scopes(
    roles: frozenset[str], scopes: str | None, contexts: tuple[Context, ...]
) -> str:
    if scopes is None:
        return scopes_of(roles, *contexts)
    words = [smart_scopes.parse_word(word) for word in scopes.split()]
    understood = [word.scope for word in words if word is not None]
    if len(understood) != len(words) or not words:
        raise FhirError(issue("HUB-AUTH-017"))
    if any(scope.context not in contexts for scope in understood):
        raise FhirError(issue("HUB-AUTH-017"))
    return smart_scopes.render_all(set(understood))


def _default_scope(
    default_scope: str | None, registered: str, contexts: tuple[Context, ...]
) -> str | None:
    if default_scope is None:
        return None
    text = " ".join(default_scope.split())
    granted = [smart_scopes.grant(text, registered, context) for context in contexts]
    if not text or {*text.split()} != {*" ".join(granted).split()}:
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
        "grant_types": " ".join(new.grant_types),
        "redirect_uris": " ".join(new.redirect_uris),
        "high_assurance": new.high_assurance,
        "certificate": new.certificate,
    }


def _client(row: Row[Any]) -> Client:
    values = row._asdict()
    return Client(
        **{
            **values,
            "roles": frozenset(values["roles"].split()),
            "algorithms": tuple(values["algorithms"].split()),
            "grant_types": tuple(values["grant_types"].split()),
            "redirect_uris": tuple(values["redirect_uris"].split()),
            "jwks": None if values["jwks"] is None else orjson.loads(values["jwks"]),
        }
    )
