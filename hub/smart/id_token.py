"""An id_token of the provider: signature and claims. OpenID Connect Core §3.1.3.7."""

import hmac
import time
from collections.abc import Callable
from math import isfinite
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

SKEW = 30  # seconds
# No `none`, nothing symmetric: a public key must never serve as a secret.
ALGORITHMS = ("ES256", "ES384", "PS256", "PS384", "RS256", "RS384", "EdDSA")
_MIN_RSA_BITS = 2048
_LONG = "n" * _MIN_RSA_BITS  # stands for the modulus a key of another kind has not
_MAX_SUBJECT = 255

Key = ECKey | RSAKey | OKPKey


class IdTokenError(Exception):
    """Why an id_token is not believed, in a word of ours."""


def verified_subject(
    raw: str,
    jwks: Callable[[str], Any],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
) -> str:
    """`sub` of an id_token that holds; raises IdTokenError.

    `jwks` gives the provider's key set for a kid ("" when the token names none).
    """

    def key_of(token: Any) -> Key:
        return _key(token.headers(), jwks)

    try:
        token = jwt.decode(raw, key_of, algorithms=list(ALGORITHMS))
    except (JoseError, ValueError, TypeError, KeyError):
        raise IdTokenError("signature") from None
    if token.header.get("typ", "JWT") != "JWT":
        raise IdTokenError("typ")  # an access or logout token of the same issuer
    _require_claims(token.claims, token.header, issuer, client_id, nonce)
    return str(token.claims["sub"])


def _key(header: dict[str, Any], jwks: Callable[[str], Any]) -> Key:
    """The one key the token can have been signed with; raises ValueError."""
    kid = header.get("kid", "")
    if not isinstance(kid, str):
        raise ValueError("kid")  # noqa: TRY004 - one kind of refusal
    found = jwks(kid)
    members = found.get("keys") if isinstance(found, dict) else None
    fitting = [
        member
        for member in members or ()
        if isinstance(member, dict)
        and member.get("kty") in ("EC", "OKP", "RSA")
        and (not kid or member.get("kid") == kid)
        and member.get("use", "sig") == "sig"
        and member.get("alg", header.get("alg")) == header.get("alg")
    ]
    if len(fitting) != 1:
        raise ValueError("not exactly one key")
    # Measured before import: joserfc warns about short keys instead of refusing.
    if len(str(fitting[0].get("n", _LONG)).rstrip("=")) * 6 < _MIN_RSA_BITS:
        raise ValueError("short")
    (key,) = KeySet.import_key_set({"keys": fitting}).keys
    if not isinstance(key, ECKey | OKPKey | RSAKey):
        raise ValueError("kind")  # noqa: TRY004 - one kind of refusal
    return key


def _require_claims(
    claims: dict[str, Any],
    header: dict[str, Any],
    issuer: str,
    client_id: str,
    nonce: str,
) -> None:
    for reason, holds in (
        ("iss", claims.get("iss") == issuer),
        # Stricter than Core: a token that also serves others may come from them.
        ("aud", claims.get("aud") in (client_id, [client_id])),
        ("exp", _is_number(claims.get("exp"))),
        ("iat", _is_number(claims.get("iat"))),
        ("sub", _is_subject(claims.get("sub"))),
        ("nonce", _is_same(claims.get("nonce"), nonce)),
    ):
        if not holds:
            raise IdTokenError(reason)
    checked = CodeIDToken(
        claims, header, params={"nonce": nonce, "client_id": client_id}
    )
    try:
        checked.validate(now=int(time.time()), leeway=SKEW)
    except JoseError as error:
        raise IdTokenError(str(getattr(error, "claim", "claims"))) from None


def _is_number(moment: object) -> bool:
    return type(moment) in (int, float) and isfinite(moment)  # type: ignore[arg-type]


def _is_subject(subject: object) -> bool:
    return isinstance(subject, str) and 0 < len(subject) <= _MAX_SUBJECT


def _is_same(received: object, nonce: str) -> bool:
    return isinstance(received, str) and hmac.compare_digest(
        received.encode("utf-8", "surrogatepass"), nonce.encode()
    )
