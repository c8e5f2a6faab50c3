"""From the Authorization header to the Actor (RFC 6750). Asked on every request."""

import re
from collections.abc import Sequence

from sqlalchemy import and_, bindparam, or_, select

from hub.actor import Actor
from hub.database import Database, Session, run
from hub.fhir.dates import micros, now
from hub.fhir.outcome import FhirError, issue
from hub.smart.certificate import presented
from hub.smart.endpoints import digest
from hub.smart.scopes import effective
from hub.smart.tables import client, person, token

# RFC 6750 §2.1; the scheme is case-insensitive (RFC 9110 §11.1).
_BEARER = re.compile(r"bearer(?: +(?P<token>\S.*))?", re.IGNORECASE | re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,512}=*")
_CHALLENGES = {
    "HUB-AUTH-001": "Bearer",
    "HUB-AUTH-002": 'Bearer error="invalid_token"',
    "HUB-AUTH-003": 'Bearer error="insufficient_scope"',
}

# Built once: this is asked on every request.
_LIVE = (
    select(
        client.c.client_id,
        client.c.organisation,
        client.c.roles,
        client.c.scopes,
        client.c.certificate,
        token.c.scope,
        person.c.practitioner,
    )
    .join(client, client.c.client_id == token.c.client_id)
    .outerjoin(person, person.c.id == token.c.person)
    .where(
        token.c.digest == bindparam("digest"),
        token.c.revoked_at.is_(None),
        token.c.expires_at > bindparam("at"),
        client.c.enabled.is_(True),
        or_(
            token.c.person.is_(None),
            and_(
                person.c.enabled.is_(True),
                person.c.organisation == client.c.organisation,
            ),
        ),
    )
)


def authenticate(
    where: Database | Session,
    authorization_headers: Sequence[str],
    request_id: str = "",
    correlation_id: str = "",
) -> Actor:
    """The Actor of a live access token.

    `authorization_headers` are all values of that header, in order. Scopes are
    those of the token that are still registered. Raises FhirError HUB-AUTH-001
    (none), -002 (invalid, expired, revoked, client or person disabled), -004 (two
    headers).
    """
    raw_token = _bearer(authorization_headers)
    if isinstance(where, Database):
        with where.glance() as session:
            return _actor(session, raw_token, request_id, correlation_id)
    return _actor(where, raw_token, request_id, correlation_id)


def challenge(error: FhirError) -> str | None:
    """The WWW-Authenticate value that belongs to a refusal (RFC 6750 §3), if any."""
    return next((_CHALLENGES[i.id] for i in error.issues if i.id in _CHALLENGES), None)


def _bearer(headers: Sequence[str]) -> str:
    if len(headers) > 1:
        raise FhirError(issue("HUB-AUTH-004"))
    match = _BEARER.fullmatch(headers[0]) if headers else None
    if match is None or match["token"] is None:
        raise FhirError(issue("HUB-AUTH-001"))
    if not _TOKEN.fullmatch(match["token"]):
        raise FhirError(issue("HUB-AUTH-002"))
    return match["token"]


def _actor(
    session: Session, raw_token: str, request_id: str, correlation_id: str
) -> Actor:
    asked = {"digest": digest(raw_token), "at": micros(now())}
    row = run(session, _LIVE, asked).first()
    # RFC 8705 §3: whoever holds the token must hold the certificate's key too.
    if row is None or row.certificate not in (None, presented()):
        raise FhirError(issue("HUB-AUTH-002"))
    return Actor(
        client_id=row.client_id,
        organisation=row.organisation,
        scopes=effective(row.scope, row.scopes),
        roles=frozenset(row.roles.split()),
        request_id=request_id,
        correlation_id=correlation_id,
        person=row.practitioner or "",
    )
