"""Standard Webhooks: the headers by which a receiver knows who sent a message. Pure."""

import base64
import hashlib
import hmac
from collections.abc import Sequence


def signed(
    id: str, timestamp: int, body: bytes, secrets: Sequence[bytes]
) -> dict[str, str]:
    """The three headers; `timestamp` is seconds since 1970, one signature a secret."""
    content = f"{id}.{timestamp}.".encode() + body
    signatures = [
        base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }
