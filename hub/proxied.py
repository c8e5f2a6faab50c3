"""What the proxy that ends TLS says of a connection: address and client certificate.

Anybody can send such headers. They count only with the secret that the proxy and the
hub share, and are taken away before anything else sees them. The proxy of
`deploy/nginx` overwrites whatever a client sends under these names.
"""

import hmac
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from hub.fhir.outcome import FhirError, issue
from hub.settings import Settings
from hub.smart.certificate import presenting, thumbprint

_SECRET = b"x-tsunagi-proxy"
_ADDRESS = b"x-tsunagi-address"
_CERTIFICATE = b"x-tsunagi-certificate"
_OURS = frozenset({_SECRET, _ADDRESS, _CERTIFICATE})
_SHORTEST = 32  # characters of the secret


class Proxied:
    """ASGI middleware around the application of a hub that has a proxy."""

    def __init__(self, app: ASGIApp, secret: bytes) -> None:
        self._app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = [pair for pair in scope["headers"] if pair[0] in _OURS]
        others = [pair for pair in scope["headers"] if pair[0] not in _OURS]
        scope = {**scope, "headers": others}
        if self._is_proxy(said):
            told = dict(said)
            if address := told.get(_ADDRESS):
                scope["client"] = (address.decode("latin-1"), 0)
            with presenting(_certificate(told.get(_CERTIFICATE, b""))):
                await self._app(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_proxy(self, said: list[tuple[bytes, bytes]]) -> bool:
        # A name that comes twice came from two hands.
        if len({name for name, _ in said}) != len(said):
            return False
        given = dict(said).get(_SECRET, b"")
        return hmac.compare_digest(given, self._secret)


def proxy_secret(settings: Settings) -> bytes | None:
    """The secret shared with the proxy; None where there is none.

    Raises FhirError HUB-KEY-011 (missing or short) and -012 (others can read it).
    """
    path: Path | None = settings.proxy_secret
    if path is None:
        return None
    try:
        if path.stat().st_mode & 0o077:
            raise FhirError(issue("HUB-KEY-012"))
        found = path.read_bytes().strip()
    except OSError:
        raise FhirError(issue("HUB-KEY-011")) from None
    if len(found) < _SHORTEST:
        raise FhirError(issue("HUB-KEY-011"))
    return found


@lru_cache(maxsize=256)
def _certificate(escaped: bytes) -> str | None:
    """The thumbprint of a certificate as nginx hands it on; None for none."""
    if not escaped:
        return None
    try:
        return thumbprint(unquote_to_bytes(escaped))
    except FhirError:
        return None
