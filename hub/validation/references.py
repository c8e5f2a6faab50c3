"""References as R4 writes them: what a reference string points to.

Source: R4 references; the RESTful URL pattern there, without its list of types.
"""

import re
from typing import Literal, NamedTuple

from hub.terminology import resource_types
from hub.validation.primitives import is_oid, is_uri

Kind = Literal["local", "relative", "absolute", "urn", "conditional", "wrong"]

_REST = re.compile(
    r"(?P<base>https?://[^\s?#]+/)?(?P<type>[A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}"
    r"(?:/_history/[A-Za-z0-9\-.]{1,64})?(?:#\S+)?"
)
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?[^\s=]+=\S*")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_FULL_URL = re.compile(r"https?://\S+/(?P<type>[A-Z][A-Za-z]+)/(?P<id>[^/\s?#]+)")


class Target(NamedTuple):
    """`type` is the resource type the string names, or None when it names none."""

    kind: Kind
    type: str | None = None


def target(reference: str) -> Target:
    """Take a reference string apart; kind `wrong` when R4 has no such form."""
    match = _REST.fullmatch(reference)
    if match:
        known = match["type"] in resource_types()
        if match["base"]:
            return Target("absolute", match["type"] if known else None)
        return Target("relative", match["type"]) if known else Target("wrong")
    if reference.startswith("#"):
        return Target("local")
    if reference.startswith(("urn:uuid:", "urn:oid:")):
        # Whether the UUID is one is asked of the fullUrl it has to meet.
        return Target("urn")
    if match := _CONDITIONAL.fullmatch(reference):
        known = match[1] in resource_types()
        return Target("conditional", match[1]) if known else Target("wrong")
    return Target("absolute" if _ABSOLUTE.fullmatch(reference) else "wrong")


def is_full_url(url: str) -> bool:
    """An absolute URL, urn:uuid or urn:oid."""
    if url.startswith("urn:oid:"):
        return is_oid(url)
    return _ABSOLUTE.fullmatch(url) is not None and is_uri(url)


def identity(full_url: str) -> tuple[str, str] | None:
    """(type, id) that a RESTful fullUrl ends with; None for any other URL."""
    match = _FULL_URL.fullmatch(full_url)
    if match and match["type"] in resource_types():
        return match["type"], match["id"]
    return None
