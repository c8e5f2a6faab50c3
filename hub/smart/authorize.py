"""The browser's way: to the OpenID provider and back, then to the client with a code.

`begin` is GET /oauth/authorize, `finish` is GET /oauth/callback. Sync, as the server.
"""

from collections.abc import Mapping

import structlog
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from hub import audit
from hub.actor import Actor
from hub.fhir.dates import now
from hub.fhir.outcome import issue
from hub.smart import logins, persons
from hub.smart.authorization_code import AuthorizationCode
from hub.smart.endpoints import digest
from hub.smart.logins import LIFETIME, Login
from hub.smart.persons import Person
from hub.smart.provider import Provider, ProviderError
from hub.smart.server import Answer, Server

_log = structlog.get_logger()


class UnavailableError(OAuth2Error):  # type: ignore[misc] # authlib is untyped
    """RFC 6749 §4.1.2.1: the provider cannot be asked now."""

    error = "temporarily_unavailable"


class Authorize:
    """Both ends of a login. `is_secure`: the hub's own URL is https."""

    def __init__(self, server: Server, provider: Provider, *, is_secure: bool) -> None:
        self._server = server
        self._provider = provider
        self._is_secure = is_secure

    def begin(self, parameters: dict[str, str], _cookies: Mapping[str, str]) -> Answer:
        """Send the browser of a valid request to the provider."""
        state = parameters.get("state")
        try:
            found = self._server.authorization(parameters)
        except OAuth2Error as error:
            return self._server.deny(error, state)
        with self._server.database.transaction() as session:
            login = logins.begin(session, parameters)
        try:
            location = self._provider.authorization_url(login)
        except ProviderError:
            return self._unavailable(found, state)
        return _redirect(location, self._cookie(login, login.secret, LIFETIME))

    def finish(self, parameters: dict[str, str], cookies: Mapping[str, str]) -> Answer:
        """Take the provider's answer, for the browser that began, once."""
        state = parameters.get("state", "")
        login = Login(state, cookies.get(self._name(state), ""))
        with self._server.database.transaction() as session:
            asked = logins.finish(session, login)
        if asked is None:
            _log.info("login_refused", reason="not begun here")
            return self._server.refuse(
                InvalidRequestError("This login was not begun in this browser.")
            )
        answer = self._finished(parameters, asked, login)
        return Answer(
            answer.status, answer.body, (*answer.headers, self._cookie(login, "", 0))
        )

    def _finished(
        self, parameters: dict[str, str], asked: dict[str, str], login: Login
    ) -> Answer:
        try:
            # Anew: the client may have been stopped or changed meanwhile.
            found = self._server.authorization(asked)
        except OAuth2Error as error:
            return self._server.deny(error, asked.get("state"))
        try:
            subject = self._subject(parameters, login)
        except ProviderError as error:
            is_refused = error.reason == "refused"
            self._refuse(found, "HUB-AUTH-041" if is_refused else "HUB-AUTH-042")
            if not is_refused:
                return self._unavailable(found, asked.get("state"))
            return self._server.authorize(found, None)
        person = self._person(found, subject)
        if person is None:
            self._refuse(found, "HUB-AUTH-040")
        return self._server.authorize(found, person)

    def _subject(self, parameters: dict[str, str], login: Login) -> str:
        if not self._provider.is_own_answer(parameters.get("iss")):
            raise ProviderError("refused")
        if "error" in parameters or not parameters.get("code"):
            raise ProviderError("refused")
        return self._provider.subject(parameters["code"], login)

    def _person(self, found: AuthorizationCode, subject: str) -> Person | None:
        organisation = found.request.client.organisation
        with self._server.database.transaction(write=False) as session:
            person = persons.find_by_subject(
                session, self._provider.issuer, subject, organisation
            )
            if person is None or not person.enabled:
                return None
            is_there = persons.is_of(session, person.practitioner, organisation)
            return person if is_there else None

    def _refuse(self, found: AuthorizationCode, id_: str) -> None:
        client = found.request.client
        actor = Actor(client.client_id, client.organisation, roles=client.roles)
        database = self._server.database
        audit.refuse(database, actor, "login", [issue(id_)], at=now())

    def _unavailable(self, found: AuthorizationCode, state: str | None) -> Answer:
        error = UnavailableError(redirect_uri=found.redirect_uri)
        return self._server.deny(error, state)

    def _name(self, state: str) -> str:
        # One for each login, so that two tabs do not end each other's. `__Host-`: no
        # other host of the domain can set it (login CSRF).
        prefix = "__Host-" if self._is_secure else ""
        return f"{prefix}tsunagi-login-{digest(state)[:16]}"

    def _cookie(self, login: Login, value: str, seconds: int) -> tuple[str, str]:
        # Lax: the provider sends the browser back by a link, from another site.
        secure = "; Secure" if self._is_secure else ""
        name = self._name(login.state)
        kept = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
        return "Set-Cookie", f"{name}={value}; {kept}"


def _redirect(location: str, cookie: tuple[str, str]) -> Answer:
    headers = (
        ("Location", location),
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"),
        cookie,
    )
    return Answer(303, b"", headers)
