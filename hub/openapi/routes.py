"""GET /openapi.json and /docs: Swagger UI from our own files, no other host asked."""

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hub.restful.hub import Hub

_DAY = "public, max-age=86400"
# The page's own script starts it. Swagger UI sets styles on elements and draws its
# arrows as data: images; nothing else of it needs more than this origin.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_SAFE = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "start.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_PAGE = b"""<!doctype html>
<html lang="ja">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>\xe3\x81\xa4\xe3\x81\xaa\xe3\x81\x8e\xe3\x83\x8f\xe3\x83\x96 API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""


def routes(hub: Hub, served: Callable[[], Sequence[BaseRoute]]) -> list[Route]:
    """The routes; `served` gives the application's when the document is first asked.

    The document is made once, by the first request: most processes never need it.
    """

    @cache
    def made() -> tuple[bytes, str]:
        from hub.openapi.document import document

        body = orjson.dumps(document(hub, served()))
        return body, f'"{sha256(body).hexdigest()[:16]}"'

    async def openapi(request: Request) -> Response:
        body, tag = await run_in_threadpool(made)
        headers = {
            "Access-Control-Allow-Origin": "*",
            "Cache-Control": "no-cache",
            "ETag": tag,
            "X-Content-Type-Options": "nosniff",
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    return [
        Route("/openapi.json", openapi),
        Route("/docs", _page),
        Route("/docs/{asset}", _asset),
    ]


async def _page(_request: Request) -> Response:
    return Response(_PAGE, media_type="text/html; charset=utf-8", headers=_SAFE)


def _asset(request: Request) -> Response:
    name = request.path_params["asset"]
    if name not in _ASSETS:
        raise HTTPException(404)
    headers = {**_SAFE, "Cache-Control": _DAY}
    return Response(_read(name), media_type=_ASSETS[name], headers=headers)


@cache
def _read(name: str) -> bytes:
    return files("hub.openapi").joinpath("swagger", name).read_bytes()
