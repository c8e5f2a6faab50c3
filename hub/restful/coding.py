"""Content codings: gzip of answers and of request bodies (RFC 9110 §8.4, §12.5.3).

BREACH needs a secret and text of the attacker's choice in one compressed answer, and a
victim's browser that sends the request. Here a request counts by its bearer token
alone, which no page of another site can add (no cookie, no CORS), and no answer of
these routes holds a token or key; the token endpoint is not among them.
"""

import re
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from gzip import compress

from starlette.requests import Request

from hub.fhir.outcome import FhirError, issue
from hub.restful.answers import Answer

# Below this a packet is saved at most; a single resource is mostly smaller, and a hot
# read pays nothing.
SMALLEST = 4096  # bytes of an answer that is worth compressing
_LEVEL = 5
# JSON of our resources shrinks to a tenth; a bomb to a thousandth.
_MOST_RATIO = 100
_FREE = 100_000  # expanded bytes before the ratio is asked
_GZIP = ("gzip", "x-gzip")
_NEVER = re.compile(r"\s*q\s*=\s*0(?:\.0*)?\s*")


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, expanded; sizes are counted on the stream (J6, §7).

    413 HUB-REST-007 over `limit` bytes, compressed or expanded, and HUB-REST-046 for
    a ratio that is no text's; 400 HUB-REST-047 for what is no gzip; 415 HUB-REST-048
    for another coding.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding in _GZIP:
        return await _expanded(request.stream(), limit)
    if coding != "identity":
        raise FhirError(issue("HUB-REST-048"))
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise FhirError(issue("HUB-REST-007", limit=limit))
        parts.append(chunk)
    return b"".join(parts)


async def _expanded(stream: AsyncIterator[bytes], limit: int) -> bytes:
    expander = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    parts: list[bytes] = []
    came = size = 0
    async for chunk in stream:
        came += len(chunk)
        if came > limit:
            raise FhirError(issue("HUB-REST-007", limit=limit))
        try:
            # Never more than one byte over the limit is held, whatever comes.
            part = expander.decompress(chunk, limit - size + 1)
        except zlib.error:
            raise FhirError(issue("HUB-REST-047")) from None
        size += len(part)
        if size > limit:
            raise FhirError(issue("HUB-REST-007", limit=limit))
        if size > _FREE and size > came * _MOST_RATIO:
            raise FhirError(issue("HUB-REST-046", limit=_MOST_RATIO))
        parts.append(part)
    # A second member or anything after the first would be read by some and not others.
    if came and (not expander.eof or expander.unused_data):
        raise FhirError(issue("HUB-REST-047"))
    return b"".join(parts)


def is_compressible(answer: Answer, headers: Mapping[str, str]) -> bool:
    """True for an answer large enough to a client that accepts gzip."""
    if len(answer.body) < SMALLEST:
        return False
    accepted: dict[str, bool] = {}
    for part in headers.get("accept-encoding", "").split(","):
        name, *parameters = part.split(";")
        wanted = not any(_NEVER.fullmatch(one) for one in parameters)
        accepted[name.strip().lower()] = wanted
    return accepted.get("gzip", accepted.get("*", False))


def compressed(answer: Answer) -> Answer:
    """The answer in gzip: after expanding, the same bytes; the ETag is weak, and stays.

    Without a moment in it, so that the same answer is the same bytes.
    """
    headers = {
        **answer.headers,
        "Content-Encoding": "gzip",
        "Vary": "Accept-Encoding",
    }
    return replace(answer, body=compress(answer.body, _LEVEL, mtime=0), headers=headers)
