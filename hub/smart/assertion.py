"""Client authentication by private_key_jwt (RFC 7523, SMART 2.2), on authlib.

Each override below closes something that authlib 1.9.9 leaves open (security.md
§2.1). Whatever is wrong, the caller reads one fixed description; the reason goes
to the log.
"""

import re
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from hub.fhir.json import decode_value
from hub.fhir.outcome import FhirError
from hub.smart.certificate import presented
from hub.smart.clients import Client
from hub.smart.jwks import ALGORITHMS, Key
from hub.smart.keys import ClientKeys

_log = structlog.get_logger()

METHOD = "private_key_jwt"
LIFETIME = 300  # seconds; SMART 2.2: "no more than five minutes in the future"
SKEW = 30  # seconds
_TRUSTED_BY_NOBODY = ("jwk", "x5c", "x5u", "crit")
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_JTI = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,255}")


@dataclass(frozen=True, slots=True)
class _Unverified:
    header: dict[str, Any]
    claims: dict[str, Any]

    def text(self, part: dict[str, Any], name: str) -> str:
        value = part.get(name)
        return value if isinstance(value, str) else ""


class ClientAssertion(JWTBearerClientAssertion):  # type: ignore[misc] # untyped
    """Authenticates a client by its signed assertion; uses each assertion once.

    `use_once(client_id, jti, exp)` answers False when the pair was used before.
    """

    CLIENT_AUTH_METHOD = METHOD

    def __init__(
        self,
        token_url: str,
        keys: ClientKeys,
        use_once: Callable[[str, str, int], bool],
    ) -> None:
        super().__init__(leeway=SKEW)
        self._audience = token_url
        self._keys = keys
        self._use_once = use_once
        self._decoys: dict[str, Key] = {
            "ES384": ECKey.generate_key("P-384"),
            "RS384": _rsa_decoy(),
        }

    def __call__(
        self, query_client: Callable[[str], Client | None], request: Any
    ) -> Client | None:
        form = request.form
        if form.get("client_assertion_type") != self.CLIENT_ASSERTION_TYPE:
            return None
        assertion = form.get("client_assertion")
        if not assertion:
            return None
        unverified = _peek(assertion)
        named = unverified.text(unverified.claims, "sub")
        client = query_client(named)
        claims = self._verify(assertion, unverified, client)
        if client is None or claims is None:
            raise refused("unknown client" if client is None else "signature")
        if form.get("client_id", client.client_id) != client.client_id:
            raise refused("client_id of another", client)
        if client.certificate not in (None, presented()):
            raise refused("certificate", client)
        self._require_claims(claims, client)
        request.client = client
        return client

    def get_audiences(self) -> list[str]:
        return [self._audience]

    def validate_jti(self, claims: dict[str, Any], jti: str) -> bool:
        return self._use_once(claims["sub"], jti, claims["exp"])

    def _verify(
        self, assertion: str, unverified: _Unverified, client: Client | None
    ) -> dict[str, Any] | None:
        """The claims once the signature holds; None when it does not."""
        algorithm = unverified.text(unverified.header, "alg")
        key = None
        if client is not None and _is_acceptable(unverified.header, client):
            kid = unverified.text(unverified.header, "kid")
            key = self._keys.find(client, kid, algorithm)
        # A decoy is verified when there is no key, so that time does not tell an
        # unknown client from a bad signature.
        decoy = self._decoys.get(algorithm, self._decoys["ES384"])
        try:
            token = jwt.decode(assertion, key or decoy, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):
            return None
        return None if key is None else token.claims

    def _require_claims(self, claims: dict[str, Any], client: Client) -> None:
        for reason, holds in (
            ("iss", claims.get("iss") == claims.get("sub") == client.client_id),
            # A list is refused though RFC 7523 §3 allows it: an assertion that
            # also serves elsewhere can be replayed from there.
            ("aud", claims.get("aud") == self._audience),
            ("exp", _is_soon(claims.get("exp"))),
            ("iat", _is_past(claims.get("iat"))),
            ("nbf", _is_past(claims.get("nbf"))),
            ("jti", _is_id(claims.get("jti"))),
        ):
            if not holds:
                raise refused(reason, client)
        try:
            self.verify_claims(claims)
        except InvalidClientError as error:
            raise refused("claims", client) from error


def refused(reason: str, client: Client | None = None) -> InvalidClientError:
    """The one refusal a caller sees; the reason is logged, with ids of ours only."""
    _log.info(
        "client_refused",
        reason=reason,
        client_id=None if client is None else client.client_id,
    )
    return InvalidClientError()


def _peek(assertion: str) -> _Unverified:
    """Read header and claims before anything is verified."""
    match = _COMPACT.fullmatch(assertion)
    if match is None:
        raise refused("unreadable")
    try:
        header, claims = (
            decode_value(urlsafe_b64decode(part + "=" * (-len(part) % 4)), max_depth=8)
            for part in (match[1], match[2])
        )
    except (ValueError, FhirError):
        raise refused("unreadable") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise refused("unreadable")
    return _Unverified(header, claims)


def _rsa_decoy() -> RSAKey:
    # A random number stands in for the modulus: making primes would slow the start,
    # and nothing that verifies against a decoy is ever accepted.
    modulus = bytearray(secrets.token_bytes(256))
    modulus[0] |= 0x80
    modulus[-1] |= 1
    n = urlsafe_b64encode(bytes(modulus)).rstrip(b"=").decode()
    return RSAKey.import_key({"kty": "RSA", "n": n, "e": "AQAB"})


def _is_acceptable(header: dict[str, Any], client: Client) -> bool:
    return (
        header.get("alg") in client.algorithms
        and header.get("typ") == "JWT"
        and isinstance(header.get("kid"), str)
        and header["kid"] != ""
        and not any(name in header for name in _TRUSTED_BY_NOBODY)
        # Only what was registered is ever fetched (SMART 2.2; SSRF).
        and ("jku" not in header or header["jku"] == (client.jwks_url or object()))
    )


def _is_soon(exp: object) -> bool:
    # bool is an int to Python; floats and 10^30 pass authlib.
    return type(exp) is int and -SKEW <= exp - time.time() <= LIFETIME + SKEW


def _is_past(moment: object) -> bool:
    return moment is None or (type(moment) is int and moment <= time.time() + SKEW)


def _is_id(jti: object) -> bool:
    return isinstance(jti, str) and _JTI.fullmatch(jti) is not None
