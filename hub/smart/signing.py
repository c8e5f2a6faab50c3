"""The hub's own signing keys, with which it proves itself to receivers.

A private JWK (EC P-384, ES384), or a JWKS of them whose first one signs and whose
others are only published during a rotation. It lives in a file, outside the
database: who reads a backup of the database cannot speak as the hub.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from hub.fhir.outcome import FhirError, issue
from hub.settings import Settings

FILE_NAME = "signing-key.json"
_MIN_RSA_BITS = 2048


def signing_keys(settings: Settings) -> tuple[ECKey, ...]:
    """The private keys, the one that signs first; each has a `kid`.

    With `dev` a missing file is made (mode 0600); otherwise it must be there.
    Raises FhirError HUB-AUTH-022 (missing), -023 (not a private P-384 JWK), -024
    (readable by other users of the machine).
    """
    path = settings.signing_key or settings.state / FILE_NAME
    if settings.dev and not path.exists():
        _create(path)
    return _load(path)


def login_key(settings: Settings, own: Sequence[ECKey]) -> ECKey | RSAKey:
    """The private key with which the hub redeems codes at the OpenID provider.

    The hub's own, which /oauth/jwks publishes, unless a setting names another file.
    Raises FhirError HUB-AUTH-038.
    """
    if settings.oidc_key is None:
        return own[0]
    try:
        if settings.oidc_key.stat().st_mode & 0o077:
            raise FhirError(issue("HUB-AUTH-038"))
        key = JWKRegistry.import_key(orjson.loads(settings.oidc_key.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, JoseError):
        raise FhirError(issue("HUB-AUTH-038")) from None
    if isinstance(key, ECKey):
        is_fit = key.curve_name in ("P-256", "P-384")
    else:
        is_fit = isinstance(key, RSAKey) and key.raw_value.key_size >= _MIN_RSA_BITS
    if not is_fit or not key.is_private or not isinstance(key, ECKey | RSAKey):
        raise FhirError(issue("HUB-AUTH-038"))
    return key


def public_jwks(keys: Sequence[ECKey]) -> dict[str, Any]:
    """The JWKS to publish: public members only."""
    return {"keys": [_public(key) for key in keys]}


def generate() -> ECKey:
    """A fresh P-384 key whose kid is its thumbprint (RFC 7638)."""
    key = ECKey.generate_key("P-384", {"use": "sig", "alg": "ES384"})
    return _private(key.as_dict(private=True))


def _public(key: ECKey) -> dict[str, Any]:
    members = {"kty", "crv", "x", "y", "kid"}
    shown = {k: v for k, v in key.as_dict(private=False).items() if k in members}
    return {**shown, "use": "sig", "alg": "ES384"}


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(orjson.dumps(generate().as_dict(private=True)))
            file.flush()
            os.fsync(file.fileno())
        # Linking fails when another process was first; then its key counts.
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()


def _load(path: Path) -> tuple[ECKey, ...]:
    try:
        if path.stat().st_mode & 0o077:
            raise FhirError(issue("HUB-AUTH-024"))
        raw = path.read_bytes()
    except OSError:
        raise FhirError(issue("HUB-AUTH-022")) from None
    try:
        value = orjson.loads(raw)
        keys = tuple(_private(member) for member in value.get("keys", [value]))
    except (ValueError, TypeError, AttributeError, JoseError):
        raise FhirError(issue("HUB-AUTH-023")) from None
    if not keys:
        raise FhirError(issue("HUB-AUTH-023"))
    return keys


def _private(member: dict[str, Any]) -> ECKey:
    key = ECKey.import_key(member)
    if not key.is_private or key.curve_name != "P-384":
        raise ValueError("not a private P-384 key")
    if key.kid:
        return key
    return ECKey.import_key({**member, "kid": key.thumbprint()})
