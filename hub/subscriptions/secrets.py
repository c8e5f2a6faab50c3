"""Secrets of subscriptions: headers sealed at rest, and each endpoint's signing key.

Both hang on the hub's signing keys, which lie outside the database: who reads a
backup neither sees a receiver's token nor can sign as the hub. During a rotation of
those keys the old one still opens, and notifications carry a signature of each.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc.jwk import ECKey

_NONCE = 12  # bytes (NIST SP 800-38D)


def keys(signing_keys: Sequence[ECKey]) -> tuple[bytes, ...]:
    """The keys of this module, derived: 32 bytes for each signing key, in order."""
    return tuple(
        hashlib.sha256(key.as_pem(private=True) + b"subscriptions").digest()
        for key in signing_keys
    )


def seal(keys: Sequence[bytes], id: str, headers: Mapping[str, str]) -> bytes | None:
    """Headers for the Subscription `id`, readable with a key alone; None for none."""
    if not headers:
        return None
    nonce = secrets.token_bytes(_NONCE)
    plain = orjson.dumps(dict(headers))
    return nonce + AESGCM(keys[0]).encrypt(nonce, plain, id.encode())


def unseal(
    keys: Sequence[bytes], id: str, sealed: bytes | None
) -> dict[str, str] | None:
    """What was sealed for this Subscription; None when no key opens it."""
    if sealed is None:
        return {}
    for key in keys:
        try:
            plain = AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], id.encode())
        except InvalidTag:
            continue
        opened: dict[str, str] = orjson.loads(plain)
        return opened
    return None


def webhook_secrets(keys: Sequence[bytes], id: str) -> tuple[bytes, ...]:
    """The endpoint's secrets for Standard Webhooks, the one that is shown first."""
    return tuple(
        hmac.new(key, b"webhook|" + id.encode(), hashlib.sha256).digest()
        for key in keys
    )


def shown(secret: bytes) -> str:
    """A secret as Standard Webhooks writes it."""
    return f"whsec_{base64.b64encode(secret).decode()}"
