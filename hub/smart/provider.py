"""The one OpenID provider at which persons log in: the hub is its client.

OpenID Connect Core 1.0 §3.1 (code flow), Discovery 1.0 §4, RFC 7636, RFC 7523, RFC
9207. Everything comes through the guarded fetcher; the issuer is pinned in settings.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.discovery import get_well_known_url
from joserfc.jwk import ECKey, RSAKey

from hub.delivery.addresses import is_loopback_host, target
from hub.delivery.fetch import Fetcher, FetchError, Response
from hub.fhir.json import decode_value
from hub.fhir.outcome import FhirError
from hub.settings import Settings
from hub.smart import id_token
from hub.smart.keys import ClientKeys
from hub.smart.logins import Login

_log = structlog.get_logger()

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "application/json",
}
_MAX_BYTES = 256 * 1024
_TIMEOUT = 5.0
_KEEP = 3600.0
_RETRY_FAILED = 10.0
_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384"}

Reason = Literal["unreachable", "refused"]


class ProviderError(Exception):
    """No login came of it: `unreachable` may be tried again, `refused` not."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the hub needs of the provider's discovery document."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself: bool  # RFC 9207: it sends `iss` with every answer


class Provider:
    """Thread-safe; one a process. `key` is the hub's private key at the provider."""

    def __init__(
        self,
        settings: Settings,
        fetcher: Fetcher,
        key: ECKey | RSAKey,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._callback = settings.callback_url
        self._fetcher = fetcher
        self._key = key
        self._keys = ClientKeys(fetcher, clock)
        self._clock = clock
        self._lock = threading.Lock()
        self._metadata: Metadata | None = None
        self._until = float("-inf")

    def authorization_url(self, login: Login) -> str:
        """Where to send the browser. Raises ProviderError."""
        return str(
            prepare_grant_uri(
                self.metadata().authorization_endpoint,
                client_id=self._client_id,
                response_type="code",
                redirect_uri=self._callback,
                scope="openid",
                state=login.state,
                nonce=login.nonce,
                code_challenge=create_s256_code_challenge(login.verifier),
                code_challenge_method="S256",
            )
        )

    def is_own_answer(self, iss: str | None) -> bool:
        """RFC 9207 §2.4: an answer of another server is none of ours (mix-up)."""
        if iss is None:
            return not self.metadata().names_itself
        return iss == self.issuer

    def subject(self, code: str, login: Login) -> str:
        """Redeem the provider's code: `sub` of the verified id_token.

        Raises ProviderError.
        """
        metadata = self.metadata()
        answer = self._object(self._redeem(metadata, code, login), "refused")
        raw = answer.get("id_token")
        if not isinstance(raw, str):
            raise ProviderError("refused")
        try:
            return id_token.verified_subject(
                raw,
                lambda kid: self._keys.at(metadata.jwks_uri, kid),
                issuer=self.issuer,
                client_id=self._client_id,
                nonce=login.nonce,
            )
        except id_token.IdTokenError as error:
            _log.warning("id_token_refused", reason=str(error))
            raise ProviderError("refused") from None

    def metadata(self) -> Metadata:
        """The discovery document, kept an hour. Raises ProviderError."""
        with self._lock:
            if self._clock() >= self._until:
                self._metadata, age = None, _RETRY_FAILED
                try:
                    self._metadata, age = self._discover(), _KEEP
                finally:
                    self._until = self._clock() + age
            if self._metadata is None:
                raise ProviderError("unreachable")
            return self._metadata

    def _discover(self) -> Metadata:
        url = get_well_known_url(self.issuer, external=True)
        found = self._object(self._request("GET", url), "unreachable")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        endpoints = {name: found.get(name) for name in names}
        is_safe = all(_is_safe(url) for url in endpoints.values())
        # Discovery §4.3: exactly the issuer that was asked, or another speaks for it.
        if found.get("issuer") != self.issuer or not is_safe:
            _log.warning("discovery_refused")
            raise ProviderError("unreachable")
        says = found.get("authorization_response_iss_parameter_supported")
        return Metadata(
            **{name: str(url) for name, url in endpoints.items()},
            names_itself=says is True,
        )

    def _redeem(self, metadata: Metadata, code: str, login: Login) -> Response:
        body = prepare_token_request(
            "authorization_code",
            redirect_uri=self._callback,
            code=code,
            code_verifier=login.verifier,
            client_id=self._client_id,
            client_assertion_type=_ASSERTION_TYPE,
            client_assertion=self._assertion(metadata.token_endpoint),
        )
        return self._request("POST", metadata.token_endpoint, str(body).encode())

    def _assertion(self, audience: str) -> str:
        header = {"kid": self._key.kid or self._key.thumbprint()}
        return str(
            private_key_jwt_sign(
                self._key,
                self._client_id,
                audience,
                alg=algorithm(self._key),
                header=header,
                expires_in=60,
            )
        )

    def _request(self, method: str, url: str, body: bytes = b"") -> Response:
        try:
            return self._fetcher.request(
                method,
                url,
                headers=_FORM if body else {"Accept": "application/json"},
                content=body,
                max_bytes=_MAX_BYTES,
                timeout=_TIMEOUT,
            )
        except FetchError as error:
            _log.warning("provider_unreachable", reason=error.reason)
            raise ProviderError("unreachable") from None

    @staticmethod
    def _object(response: Response, otherwise: Reason) -> dict[str, Any]:
        if response.status != 200:  # noqa: PLR2004
            raise ProviderError(
                "unreachable" if response.status >= 500 else otherwise  # noqa: PLR2004
            )
        try:
            value = decode_value(response.content, max_depth=16)
        except FhirError:
            raise ProviderError(otherwise) from None
        if not isinstance(value, dict):
            raise ProviderError(otherwise)
        return value


def algorithm(key: ECKey | RSAKey) -> str:
    """The algorithm the key signs with: as it says, else by its kind."""
    stated = key.as_dict(private=False).get("alg")
    if isinstance(stated, str):
        return stated
    return "PS256" if isinstance(key, RSAKey) else _ALGORITHMS[str(key.curve_name)]


def _is_safe(url: object) -> bool:
    found = target(url) if isinstance(url, str) else None
    return found is not None and (
        found.scheme == "https" or is_loopback_host(found.host)
    )
