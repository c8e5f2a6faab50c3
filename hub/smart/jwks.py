"""Public keys of clients: which are fit, and which one verifies an assertion. Pure.

RFC 7517, RFC 7518; SMART 2.2 §Asymmetric Authentication: RS384 with RSA >= 2048
bits, ES384 with EC P-384.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from hub.fhir.outcome import FhirError, issue

Key = ECKey | RSAKey

ALGORITHMS = ("ES384", "RS384")
MIN_RSA_BITS = 2048
_MAX_RSA_BITS = 8192  # verifying with a giant key would be slow for us
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def require_fit(jwks: object) -> tuple[str, ...]:
    """Check a JWKS given at registration; the algorithms its keys can serve.

    Raises FhirError HUB-AUTH-013 (not a JWKS), -014 (holds a private or secret
    key), -015 (no kid, or one twice), -016 (a key that is too weak or unusable).
    """
    keys = _members(jwks)
    for position, key in enumerate(keys, start=1):
        if _PRIVATE_MEMBERS & key.keys():
            raise FhirError(issue("HUB-AUTH-014", position=position))
    kids = [key.get("kid") for key in keys]
    if not all(isinstance(kid, str) and kid for kid in kids) or len(set(kids)) != len(
        kids
    ):
        raise FhirError(issue("HUB-AUTH-015"))
    for position, key in enumerate(keys, start=1):
        if not any(fitting(key, algorithm) for algorithm in ALGORITHMS):
            raise FhirError(issue("HUB-AUTH-016", position=position))
    return tuple(a for a in ALGORITHMS if any(fitting(key, a) for key in keys))


def choose(jwks: object, kid: str, algorithm: str) -> Key | None:
    """The one key of this kid that fits the algorithm; None when not exactly one.

    Two keys of one kid are refused even when only one of them fits: which of them
    the client meant cannot be known (SMART 2.2).
    """
    try:
        named = [key for key in _members(jwks) if key.get("kid") == kid]
    except FhirError:
        return None
    return fitting(named[0], algorithm) if len(named) == 1 else None


def fitting(key: Mapping[str, Any], algorithm: str) -> Key | None:
    """Read a JWK as a public key for this algorithm; None when it does not fit."""
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
        return None
    operations = key.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    public = {k: v for k, v in key.items() if k not in _PRIVATE_MEMBERS}
    try:
        return _read(public, algorithm)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _read(key: Mapping[str, Any], algorithm: str) -> Key | None:
    if algorithm == "ES384" and (key.get("kty"), key.get("crv")) == ("EC", "P-384"):
        return ECKey.import_key(dict(key))
    if algorithm == "RS384" and key.get("kty") == "RSA":
        # Measured before import: joserfc warns about short keys instead of refusing.
        bits = len(str(key["n"]).rstrip("=")) * 6
        if not MIN_RSA_BITS - 6 < bits <= _MAX_RSA_BITS + 6:
            return None
        read = RSAKey.import_key(dict(key))
        if read.raw_value.key_size >= MIN_RSA_BITS:
            return read
    return None


def _members(jwks: object) -> Sequence[dict[str, Any]]:
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if (
        not isinstance(keys, list)
        or not keys
        or not all(isinstance(key, dict) for key in keys)
    ):
        raise FhirError(issue("HUB-AUTH-013"))
    return keys
