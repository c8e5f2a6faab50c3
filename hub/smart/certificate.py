"""The client's TLS certificate, as the proxy before the hub has seen it (RFC 8705).

A client that is registered with a certificate proves possession of its key at every
call: with its token request and with every request that uses the token. The proxy
ends TLS, so it alone can say which certificate there was (hub/proxied.py).
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hub.fhir.outcome import FhirError, issue

# Threads that answer a request inherit it.
_presented: ContextVar[str | None] = ContextVar("presented", default=None)


def presented() -> str | None:
    """The thumbprint of the certificate of this request's connection, if any."""
    return _presented.get()


@contextmanager
def presenting(thumbprint: str | None) -> Iterator[None]:
    """What `presented` says meanwhile."""
    token = _presented.set(thumbprint)
    try:
        yield
    finally:
        _presented.reset(token)


def thumbprint(pem: bytes) -> str:
    """`x5t#S256` of a certificate (RFC 8705 §3.1); HUB-KEY-013 for what is none."""
    try:
        der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError:
        raise FhirError(issue("HUB-KEY-013")) from None
    digest = hashlib.sha256(der).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
