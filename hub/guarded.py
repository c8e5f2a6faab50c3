"""Around every answer: what a browser may do with it, and how long a body may take.

Middleware, so that no route, error or refusal is left out. An answer's own words come
first: a page says what scripts it may load, a file that it is an attachment. Sources:
OWASP Secure Headers; RFC 6797 (HSTS); RFC 9110 §15.5.9 (408).
"""

import asyncio
from collections.abc import Sequence

import orjson
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.fhir.outcome import issue
from hub.restful import answers
from hub.restful.call import read_call
from hub.restful.formats import rendered
from hub.settings import Settings

_SAFE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_YEAR = 365 * 24 * 3600
_SAYS_BODY = frozenset({b"content-length", b"transfer-encoding"})


class StalledError(Exception):
    """A body that did not arrive in time (AB26)."""


class Guarded:
    """ASGI middleware; `body_seconds` is what a whole request body may take."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._seconds = settings.body_seconds
        safe = dict(_SAFE)
        if settings.base_url.startswith("https://"):
            safe["Strict-Transport-Security"] = f"max-age={_YEAR}"
        self._safe = [(k.lower().encode(), v.encode()) for k, v in safe.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def sent(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message["headers"] = _completed(message["headers"], self._safe)
            await send(message)

        if not _has_body(scope):
            await self._app(scope, receive, sent)
            return
        try:
            await self._app(scope, _in_time(receive, self._seconds), sent)
        except StalledError:
            if has_begun:
                raise
            await _answer_stalled(scope, receive, sent)


def _completed(
    given: Sequence[tuple[bytes, bytes]], safe: Sequence[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    said = {name for name, _ in given}
    return [*given, *(pair for pair in safe if pair[0] not in said)]


def _has_body(scope: Scope) -> bool:
    # A read has none: it is spared the watch.
    return any(name in _SAYS_BODY for name, _ in scope["headers"])


def _in_time(receive: Receive, seconds: float) -> Receive:
    """`receive` until the whole body is here: `seconds` from the first call on."""
    until: float | None = None
    is_whole = False

    async def received() -> Message:
        nonlocal until, is_whole
        if is_whole:
            return await receive()
        until = until or asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise StalledError from None
        is_whole = not message.get("more_body", False)
        return message

    return received


async def _answer_stalled(scope: Scope, receive: Receive, send: Send) -> None:
    call = read_call(Request(scope), b"")
    answer = rendered(answers.of_issues([issue("HUB-REST-113")], 408), call)
    if scope["path"].startswith("/oauth/"):
        body = orjson.dumps({"error": "invalid_request"})
        answer = answers.Answer(408, body, media_type="application/json")
    response = answers.to_response(answer, call.request_id, call.correlation_id)
    # What still comes of the body is nobody's: the connection ends.
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
