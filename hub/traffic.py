"""Every request counted, timed and told in the log: by route template, never by URL.

A URL has ids and criteria, a criterion may be a name: neither leaves this module
(security.md AB20). The request id is settled here, so that each log line of the
request has it, and the answer and the audit log the same.
"""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.metrics import Requests

log = structlog.get_logger(__name__)

_TOKEN = re.compile(r"[\x21-\x7e]{1,255}")
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}
)
# Asked every few seconds by who watches: counted, not told.
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class Traffic:
    """ASGI middleware around the application; `tells` writes the log lines."""

    def __init__(self, app: ASGIApp, requests: Requests, *, tells: bool) -> None:
        self._app = app
        self._requests = requests
        self._tells = tells
        self._templates: dict[object, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = _settled(scope)
        status = 500  # what an exception that nobody handled becomes
        started = time.perf_counter()

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with structlog.contextvars.bound_contextvars(**ids):
            try:
                await self._app(scope, receive, sent)
            finally:
                self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = self._template(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.note(method, route, status, seconds)
        if self._tells and route not in _PROBES:
            log.info(
                "request",
                method=method,
                route=route,
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )

    def _template(self, scope: Scope) -> str:
        """`/fhir/R4/{type}` for what was asked; `none` for a path that is not ours."""
        if not self._templates:
            routes = [r for r in scope["app"].routes if isinstance(r, Route)]
            self._templates = {r.endpoint: r.path_format for r in routes}
        return self._templates.get(scope.get("endpoint"), "none")


def _settled(scope: Scope) -> dict[str, str]:
    """Request and correlation id; a request without a good id gets one."""
    given = Headers(scope=scope)
    request_id = given.get("x-request-id", "")
    if not _TOKEN.fullmatch(request_id):
        request_id = str(uuid.uuid4())
        headers = MutableHeaders(scope=scope)
        del headers["x-request-id"]
        headers["x-request-id"] = request_id
    ids = {"request_id": request_id}
    correlation_id = given.get("x-correlation-id", "")
    if _TOKEN.fullmatch(correlation_id):
        ids["correlation_id"] = correlation_id
    return ids
