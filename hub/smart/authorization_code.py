"""The authorization code grant on authlib, with what it leaves open closed.

RFC 6749 §4.1, RFC 7636, RFC 9207, RFC 9700; SMART App Launch 2.2. Each override
answers a line of security.md §2.1.
"""

import re
from typing import Any, Protocol

from authlib.oauth2.rfc6749 import (
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7636.challenge import compare_s256_code_challenge
from authlib.oauth2.rfc9207 import IssuerParameter

from hub.database import Database
from hub.smart import codes, persons
from hub.smart.assertion import METHOD
from hub.smart.clients import Client
from hub.smart.codes import Code
from hub.smart.endpoints import digest
from hub.smart.persons import Person
from hub.smart.scopes import is_well_formed

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url
_MAX_STATE = 1024


class Storage(Protocol):
    """What the grant needs of the server it is registered with."""

    database: Database
    fhir_base: str


class AuthorizationCode(AuthorizationCodeGrant):  # type: ignore[misc] # untyped
    """A person logs in; the client, which has a key, gets a token for that person."""

    TOKEN_ENDPOINT_AUTH_METHODS = (METHOD,)
    server: Storage
    request: OAuth2Request

    @staticmethod
    def validate_authorization_redirect_uri(
        request: OAuth2Request, client: Client
    ) -> str:
        # Authlib takes a registered one when it is missing: never here.
        asked: str = request.payload.redirect_uri or ""
        if not client.check_redirect_uri(asked):
            raise InvalidRequestError("redirect_uri is missing or not registered.")
        return asked

    def validate_requested_scope(self) -> None:
        data = self.request.payload.data
        # SMART 2.2 requires both. `aud` stops a client that was lured to another
        # server's FHIR base from sending this token there.
        if not 0 < len(data.get("state", "")) <= _MAX_STATE:
            raise InvalidRequestError("state is missing or too long.")
        if data.get("aud", "").rstrip("/") != self.server.fhir_base:
            raise InvalidRequestError("aud is not this server's FHIR base.")
        if not is_well_formed(data.get("scope", "")):
            raise InvalidScopeError

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        with self.server.database.transaction() as session:
            codes.save(
                session,
                digest=digest(code),
                client_id=request.client.client_id,
                person=request.user.id,
                redirect_uri=request.payload.redirect_uri,
                scope=request.scope,
                challenge=request.payload.data["code_challenge"],
            )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        # Used up here, before anything else is judged: authlib would delete it only
        # after the token was saved, and of two at once both would win.
        with self.server.database.transaction() as session:
            return codes.consume(session, digest(code), client.client_id)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Kept, used up: a second use must be seen."""

    def authenticate_user(self, authorization_code: Code) -> Person | None:
        client: Client = self.request.client
        with self.server.database.transaction(write=False) as session:
            found = persons.find(session, authorization_code.row.person)
        if found is None or found.organisation != client.organisation:
            return None
        return found if found.enabled else None


class S256(CodeChallenge):  # type: ignore[misc] # authlib is untyped
    """PKCE as SMART 2.2 wants it: always, and never `plain`."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)
    CODE_CHALLENGE_METHODS = {"S256": compare_s256_code_challenge}  # noqa: RUF012

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        del redirect_uri
        data = grant.request.payload.data
        # Authlib lets a request without a challenge pass.
        if (
            data.get("code_challenge_method")
            not in self.SUPPORTED_CODE_CHALLENGE_METHOD
        ):
            raise InvalidRequestError("code_challenge_method must be S256.")
        if not _CHALLENGE.fullmatch(data.get("code_challenge", "")):
            raise InvalidRequestError("code_challenge is missing or not S256.")


class Redirect:
    """An answer that sends the browser back to the client; authlib adds `iss`."""

    def __init__(self, location: str) -> None:
        self.location = location


class Issuer(IssuerParameter):  # type: ignore[misc] # authlib is untyped
    """RFC 9207: who answers, so that a client is not led to redeem elsewhere."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def add_issuer_parameter(self, server: Any, response: object) -> None:
        if isinstance(response, Redirect):
            super().add_issuer_parameter(server, response)

    def get_issuer(self) -> str:
        return self._issuer


def with_state(error: OAuth2Error, state: str | None) -> list[tuple[str, str]]:
    """The parameters of an error answer; nothing received but the client's state."""
    told = [("error", str(error.error))]
    return [*told, ("state", state)] if state else told
