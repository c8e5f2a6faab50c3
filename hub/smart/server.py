"""The authorization server: authlib's, with our storage and our stricter rules.

RFC 6749 (client_credentials, and authorization_code where persons can log in); SMART
2.2. Sync: call it in a thread.
"""

import secrets
from dataclasses import dataclass
from typing import Any

import orjson
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidGrantError,
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
from hub.smart import clients, codes
from hub.smart.assertion import METHOD, SKEW, ClientAssertion
from hub.smart.authorization_code import (
    S256,
    AuthorizationCode,
    Issuer,
    Redirect,
    with_state,
)
from hub.smart.clients import Client
from hub.smart.endpoints import Introspection, Revocation, digest
from hub.smart.keys import ClientKeys
from hub.smart.persons import Person
from hub.smart.scopes import grant, is_well_formed
from hub.smart.tables import code as code_table
from hub.smart.tables import login as login_table
from hub.smart.tables import token as token_table
from hub.smart.tables import used_assertion

_SECOND = 1_000_000  # microseconds
# Kept long past their end: a clock that steps back must not revive an assertion.
_KEEP_USED = (24 * 3600 + SKEW) * _SECOND
_KEEP_EXPIRED = 3600 * _SECOND
_DESCRIPTIONS = {
    "invalid_client": "Client authentication failed.",
    "unsupported_grant_type": "This grant type is not supported.",
    "unauthorized_client": "The client is not registered for this.",
    "unsupported_response_type": "Only code is supported.",
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


class QueryRequest(OAuth2Request):  # type: ignore[misc] # authlib is untyped
    """A request of the authorization endpoint; `uri` comes from settings."""

    def __init__(self, uri: str, parameters: dict[str, str]) -> None:
        super().__init__("GET", uri)
        self.args_ = parameters
        self.payload = BasicOAuth2Payload(parameters)

    @property
    def args(self) -> dict[str, str]:
        return self.args_

    @property
    def form(self) -> dict[str, str]:
        return {}


class Server(AuthorizationServer):  # type: ignore[misc] # authlib is untyped
    """Tokens, introspection and revocation for registered clients."""

    def __init__(
        self, settings: Settings, database: Database, keys: ClientKeys
    ) -> None:
        super().__init__()
        self._settings = settings
        self.database = database
        self.fhir_base = settings.fhir_base
        self.register_client_auth_method(
            METHOD, ClientAssertion(settings.token_url, keys, self._use_once)
        )
        self.register_token_generator("default", self._token)
        self.register_grant(ClientCredentials)
        self.register_endpoint(Introspection)
        self.register_endpoint(Revocation)
        self._issuer = Issuer(settings.base_url.rstrip("/"))
        if settings.has_login:
            self.register_grant(AuthorizationCode, [S256()])
            self.register_extension(self._issuer)

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

    def authorization(self, parameters: dict[str, str]) -> AuthorizationCode:
        """The grant of a valid authorization request; raises OAuth2Error."""
        uri = f"{self._settings.base_url.rstrip('/')}/oauth/authorize"
        grant_: AuthorizationCode = self.get_consent_grant(
            QueryRequest(uri, parameters)
        )
        return grant_

    def authorize(self, found: AuthorizationCode, person: Person | None) -> Answer:
        """Send the browser back: with a code for the person, or with access_denied."""
        answer: Answer | Redirect = self.create_authorization_response(
            found.request, grant_user=person, grant=found
        )
        return _sent(answer)

    def deny(self, error: OAuth2Error, state: str | None) -> Answer:
        """Tell a client of an error, by its redirect URI once that is known good."""
        if not error.redirect_uri:
            # One answer whether client or address is unknown, and no redirect: an
            # address that is not registered may be anybody's (open redirect).
            return self.refuse(InvalidRequestError("client_id or redirect_uri."))
        told = Redirect(add_params_to_uri(error.redirect_uri, with_state(error, state)))
        self._issuer.add_issuer_parameter(self, told)
        return _sent(told)

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
        person: Person | None = request.user
        actor = Actor(
            client.client_id,
            client.organisation,
            roles=client.roles,
            person=person.practitioner if person else "",
        )
        # A code's token takes its turn with a second use of the code.
        with self.database.transaction(write=person is not None) as session:
            if person is not None:
                row["person"] = person.id
                row["code"] = request.authorization_code.row.digest
                if codes.is_revoked(session, row["code"]):
                    raise InvalidGrantError
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
    ) -> Answer | Redirect:
        # Authlib's others are the same for all; ours are set in `_answer`.
        location = dict(headers).get("Location")
        return Redirect(location) if location else _answer(status, body)

    def handle_error_response(
        self, request: OAuth2Request, error: OAuth2Error
    ) -> Answer | Redirect:
        if error.redirect_uri:
            told = with_state(error, request.payload.state)
            return Redirect(add_params_to_uri(error.redirect_uri, told))
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
    spent = delete(code_table).where(code_table.c.expires_at < moment - _KEEP_USED)
    logins = delete(login_table).where(login_table.c.expires_at < moment)
    return sum(session.execute(one).rowcount for one in (tokens, used, spent, logins))


def _sent(answer: Answer | Redirect) -> Answer:
    """303, so that a form that was posted is never posted on (RFC 9700 §4.12)."""
    if isinstance(answer, Answer):
        return answer
    headers = (
        ("Location", answer.location),
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"),  # the code stands in the address
    )
    return Answer(303, b"", headers)


def _answer(
    status: int, body: dict[str, Any], headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    no_store = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
    return Answer(status, orjson.dumps(body), no_store + headers)
