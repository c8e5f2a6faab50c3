"""Signed page links: position, criteria and caller; foreign and stale ones are 404."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

from hub.actor import Actor
from hub.fhir.outcome import FhirError, issue
from hub.fhir.search import TRANSPORT
from hub.restful.hub import Hub

PAGE = "_page"
_SECONDS = 3600
_MAC = 32  # bytes


def next_link(
    hub: Hub,
    actor: Actor,
    path: str,
    criteria: Any,
    position: Any,
    relation: str = "next",
) -> Any:
    """The link to another page of `path` (below the base); values are plain data."""
    body = json.dumps(
        {
            "t": path,
            "q": criteria,
            "p": position,
            "o": actor.client_id,
            "e": int(time.time()) + _SECONDS,
        }
    ).encode()
    token = base64.urlsafe_b64encode(_mac(hub, body) + body).decode().rstrip("=")
    return {
        "relation": relation,
        "url": f"{hub.base}/{path}?{urlencode({PAGE: token})}",
    }


def follow(
    hub: Hub, actor: Actor, path: str, asked: list[tuple[str, str]]
) -> tuple[Any, Any] | None:
    """(criteria, position) of a next link; None when `asked` holds no page.

    Bad, foreign and expired links are 404 alike, as is one with criteria added.
    """
    wanted = [(name, value) for name, value in asked if name not in TRANSPORT]
    token = next((value for name, value in wanted if name == PAGE), None)
    if token is None:
        return None
    link = _read(hub, token)
    if (
        len(wanted) > 1
        or link.get("t") != path
        or link.get("o") != actor.client_id
        or link.get("e", 0) < time.time()
    ):
        raise FhirError(issue("HUB-REST-001"))
    return link["q"], link["p"]


def _read(hub: Hub, token: str) -> dict[str, Any]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return {}
    mac, body = raw[:_MAC], raw[_MAC:]
    if not hmac.compare_digest(mac, _mac(hub, body)):
        return {}
    link: dict[str, Any] = json.loads(body)
    return link


def _mac(hub: Hub, body: bytes) -> bytes:
    return hmac.new(hub.link_key, body, hashlib.sha256).digest()
