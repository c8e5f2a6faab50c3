"""The authorization server: authlib's, with our storage and our stricter rules.

RFC 6749 (client_credentials); SMART 2.2 Backend Services. Sync: call it
in a thread.
"""

import secrets
from dataclasses import dataclass
from typing import Any

import orjson
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError

from hub import audit
from hub.actor import Actor
from hub.database import Database, Session
from hub.fhir.dates import micros, now
from hub.fhir.outcome import issue
from hub.settings import Settings
from hub.smart import clients
from hub.smart.assertion import METHOD, SKEW, ClientAssertion
from hub.smart.clients import Client
from hub.smart.endpoints import Introspection, Revocation, digest
from hub.smart.keys import ClientKeys
from hub.smart.scopes import grant, is_well_formed
from hub.smart.tables import token as token_table
from hub.smart.tables import used_assertion

_SECOND = 1_000_000  # microseconds
# Kept long past their end: a clock that steps back must not revive an assertion.
_KEEP_USED = (24 * 3600 + SKEW) * _SECOND
_KEEP_EXPIRED = 3600 * _SECOND
_DESCRIPTIONS = {
    "invalid_client": "Client authentication failed.",
    "unsupported_grant_type": "Only client_credentials is supported.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answers: HTTP status, JSON body, extra headers."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


class FormRequest(OAuth2Request):  # type: ignore[misc] # authlib is untyped
    """A POSTed form as authlib wants it; `uri` comes from settings, not from Host."""

    def __init__(self, uri: str, form: dict[str, str]) -> None:
        super().__init__("POST", uri)
        self._form = form
        self.payload = BasicOAuth2Payload(form)

    @property
    def args(self) -> dict[str, str]:
        return {}

    @property
    def form(self) -> dict[str, str]:
        return self._form


class Server(AuthorizationServer):  # type: ignore[misc] # authlib is untyped
    """Tokens, introspection and revocation for registered clients."""

    def __init__(
        self, settings: Settings, database: Database, keys: ClientKeys
    ) -> None:
        super().__init__()
        self._settings = settings
        self.database = database
        self.register_client_auth_method(
            METHOD, ClientAssertion(settings.token_url, keys, self._use_once)
        )
        self.register_token_generator("default", self._token)
        self.register_grant(ClientCredentials)
        self.register_endpoint(Introspection)
        self.register_endpoint(Revocation)

    def token(self, form: dict[str, str]) -> Answer:
        """POST /oauth/token."""
        if not form.get("grant_type"):
            return self.refuse_unread(InvalidRequestError("grant_type is missing."))
        answer: Answer = self.create_token_response(form)
        return answer

    def introspect(self, form: dict[str, str]) -> Answer:
        """POST /oauth/introspect."""
        answer: Answer = self.create_endpoint_response("introspection", form)
        return answer

    def revoke(self, form: dict[str, str]) -> Answer:
        """POST /oauth/revoke."""
        answer: Answer = self.create_endpoint_response("revocation", form)
        return answer

    def refuse_unread(self, error: OAuth2Error) -> Answer:
        """Refuse a request whose form could not be read, and record that."""
        audit.refuse(self.database, None, "login", [issue("HUB-AUTH-005")], at=now())
        return self.refuse(error)

    def refuse(self, error: OAuth2Error) -> Answer:
        """Render an error as RFC 6749 §5.2 says, without anything received."""
        description = _DESCRIPTIONS.get(error.error, error.description)
        body = {"error": error.error}
        if description:
            body["error_description"] = description
        if error.error == "invalid_client":
            return _answer(401, body, (("WWW-Authenticate", "Bearer"),))
        return _answer(error.status_code, body)

    # What authlib calls -------------------------------------------------------

    def query_client(self, client_id: str) -> Client | None:
        with self.database.transaction(write=False) as session:
            found = clients.find(session, client_id)
        return found if found is not None and found.enabled else None

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        issued = micros(now())
        row = {
            "digest": digest(token["access_token"]),
            "client_id": request.client.client_id,
            "scope": token["scope"],
            "issued_at": issued,
            "expires_at": issued + token["expires_in"] * _SECOND,
        }
        client: Client = request.client
        actor = Actor(client.client_id, client.organisation, roles=client.roles)
        with self.database.transaction(write=False) as session:
            session.execute(insert(token_table), [row])
            # No audit row, no token (security.md §4).
            asked = f"scope={token['scope']}"
            audit.record(session, actor, "login", query=asked, at=now())

    def create_oauth2_request(self, request: Any) -> OAuth2Request:
        if isinstance(request, OAuth2Request):
            return request
        return FormRequest(self._settings.token_url, request)

    def handle_response(
        self, status: int, body: Any, headers: list[tuple[str, str]]
    ) -> Answer:
        del headers  # authlib's are the same for all; ours are set in `_answer`
        return _answer(status, body)

    def handle_error_response(
        self, request: OAuth2Request, error: OAuth2Error
    ) -> Answer:
        del request
        # Who it was is not known: whatever the assertion says is unverified.
        kind = "HUB-AUTH-006" if error.error == "invalid_client" else "HUB-AUTH-005"
        audit.refuse(self.database, None, "login", [issue(kind)], at=now())
        return self.refuse(error)

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Authlib's hook for frameworks with signals; the hub has none."""

    def _token(self, scope: str, **_asked: Any) -> dict[str, Any]:
        return {
            "access_token": secrets.token_urlsafe(32),  # 43 characters
            "token_type": "bearer",
            "expires_in": self._settings.token_seconds,
            "scope": scope,
        }

    def _use_once(self, client_id: str, jti: str, exp: int) -> bool:
        # In its own transaction: a later refusal must not give the assertion back.
        row = {"client_id": client_id, "jti": jti, "expires_at": exp * _SECOND}
        try:
            with self.database.transaction(write=False) as session:
                session.execute(insert(used_assertion), [row])
        except IntegrityError:
            return False
        return True


class ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc] # untyped
    """RFC 6749 §4.4; authlib would grant whatever scope was asked."""

    TOKEN_ENDPOINT_AUTH_METHODS = (METHOD,)

    def validate_requested_scope(self) -> None:
        client: Client = self.request.client
        asked = self.request.payload.scope or client.default_scope or ""
        if not is_well_formed(asked):
            raise InvalidScopeError
        self.request.scope = grant(asked, client.scopes)
        if not self.request.scope:
            raise InvalidScopeError

    def create_token_response(self) -> tuple[int, dict[str, Any], list[Any]]:
        token = self.generate_token(
            scope=self.request.scope, include_refresh_token=False
        )
        self.save_token(token)
        return 200, token, []


def cleanup(session: Session) -> int:
    """Delete tokens and used assertions that can no longer matter; the row count."""
    moment = micros(now())
    tokens = delete(token_table).where(
        token_table.c.expires_at < moment - _KEEP_EXPIRED
    )
    used = delete(used_assertion).where(
        used_assertion.c.expires_at < moment - _KEEP_USED
    )
    return session.execute(tokens).rowcount + session.execute(used).rowcount


def _answer(
    status: int, body: dict[str, Any], headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    no_store = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
    return Answer(status, orjson.dumps(body), no_store + headers)
