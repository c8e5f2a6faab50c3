"""JSON or XML: what a body is in, and what an answer goes out in (rest.md F15, §8).

The hub thinks and stores JSON. XML is read at the door and written at the very end,
so that a JSON answer stays the stored bytes and nothing between knows the difference.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from hub.fhir import json, xml
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.restful import answers
from hub.restful.answers import FHIR_JSON, FHIR_XML, Answer
from hub.restful.call import FORM, JSON_TYPES, Call, pairs, require_media
from hub.restful.hub import Hub
from hub.validation.layouts import definitions

Format = Literal["json", "xml", "pdf"]

XML_TYPES = (FHIR_XML, "application/xml", "text/xml", "application/xml+fhir")
_NAMES: Mapping[Format, frozenset[str]] = {
    "json": frozenset((*JSON_TYPES, "json")),
    "xml": frozenset((*XML_TYPES, "xml")),
    "pdf": frozenset(("application/pdf", "pdf")),
}
# What every answer goes out in; a printed sheet is offered by few.
FHIR: tuple[Format, ...] = ("json", "xml")
PRINTED: tuple[Format, ...] = (*FHIR, "pdf")
# R4 http.html#version-parameter: the publication; 4.0.1 is the one in full.
_VERSIONS = frozenset(("4.0", "4.0.1"))
_WEIGHT = re.compile(r"[01](?:\.[0-9]{0,3})?")


def read_resource(hub: Hub, call: Call) -> Resource:
    """The resource in a body, by its Content-Type; none given counts as FHIR JSON.

    415 HUB-REST-005 for another media type, charset or FHIR version; what the readers
    raise for the body itself.
    """
    limit = hub.settings.max_depth
    if _sent_in(call) == "xml":
        return xml.decode(call.body, definitions(), limit)
    return json.decode(call.body, limit)


def require_acceptable(call: Call, offered: tuple[Format, ...] = FHIR) -> None:
    """406 when neither `_format` nor Accept allows a format that is offered."""
    if _asked_for(call, offered) is None:
        raise FhirError(issue("HUB-REST-006"))


def is_xml(call: Call) -> bool:
    """True when the answer, an error too, is to be XML. Never raises."""
    try:
        return _asked_for(call, FHIR) == "xml"
    except FhirError:  # a query that cannot be read is refused, in JSON
        return False


def is_pdf(call: Call) -> bool:
    """True when a printed sheet is wanted more than a resource, where both are offered.

    The caller was found acceptable among them.
    """
    return _asked_for(call, PRINTED) == "pdf"


def rendered(answer: Answer, call: Call) -> Answer:
    """The answer in the format that the call asks for."""
    if not is_xml(call):
        return answer
    return in_xml(answer, is_named=any(name == "_format" for name, _ in call.query))


def in_xml(answer: Answer, *, is_named: bool = False) -> Answer:
    """The answer with its resource written as XML; one that is no FHIR JSON as it is.

    `is_named` when the URL asked for it: the links to other pages then do so, too.
    406 HUB-XML-016, itself in XML, when the content has what XML cannot say.
    """
    is_fhir = answer.media_type == FHIR_JSON and "Content-Type" not in answer.headers
    if not answer.body or not is_fhir:
        return answer
    resource = json.decode_own(answer.body)
    if is_named and resource["resourceType"] == "Bundle":
        _keep_format(resource)
    try:
        return replace(answer, body=_encoded(resource), media_type=FHIR_XML)
    except FhirError as error:
        told = answers.of_issues(error.issues, error.status)
        body = _encoded(json.decode_own(told.body))
        return replace(told, body=body, media_type=FHIR_XML)


def _encoded(resource: Resource) -> bytes:
    return xml.encode(resource, definitions())


def _keep_format(bundle: Resource) -> None:
    for link in bundle.get("link", ()):
        if link["relation"] != "self":
            link["url"] += "&_format=xml"


def _sent_in(call: Call) -> Format:
    if call.header("content-type") is None:
        return "json"
    require_media(call, (*JSON_TYPES, *XML_TYPES), "HUB-REST-005")
    one = _media(call.header("content-type") or "")
    if not one.is_ours:
        raise FhirError(issue("HUB-REST-005"))
    return "xml" if one.name in XML_TYPES else "json"


def _asked_for(call: Call, offered: tuple[Format, ...]) -> Format | None:
    """`_format` goes before Accept; two that ask for different formats get none."""
    named = [value for name, value in call.query if name == "_format"]
    if call.method == "POST":
        named += _posted(call)
    if not named:
        return _preferred(call.header("accept") or "*/*", offered)
    found = {_preferred(value, offered) for value in named}
    return found.pop() if len(found) == 1 else None


def _posted(call: Call) -> list[str]:
    """`_format` of a posted search."""
    if _media(call.header("content-type") or "").name not in FORM:
        return []
    return [value for name, value in pairs(call.body) if name == "_format"]


class _Media(NamedTuple):
    """A media type or range; `is_ours` is False for another charset or version."""

    name: str
    weight: float
    is_ours: bool


class _Rank(NamedTuple):
    """How much a format is wanted: by weight, then as named, then as listed."""

    weight: float
    named: int
    earlier: int


@lru_cache(maxsize=64)
def _preferred(accept: str, offered: tuple[Format, ...]) -> Format | None:
    """The format of `offered` that an Accept header wants most (RFC 9110 §12.5.1)."""
    ranges = [_media(part) for part in accept.split(",")]
    best: tuple[_Rank, Format] | None = None
    for format_ in offered:
        rank = _rank(ranges, format_)
        if rank.weight > 0 and (best is None or rank > best[0]):
            best = (rank, format_)
    return best[1] if best else None


def _rank(ranges: list[_Media], format_: Format) -> _Rank:
    """That of the most specific range; a type by name beats `*/*`, q=0 included."""
    found = [
        (specific, one.weight, -position)
        for position, one in enumerate(ranges)
        if one.is_ours and (specific := _specific(one.name, format_)) is not None
    ]
    specific, weight, earlier = max(found, default=(0, 0.0, 0))
    return _Rank(weight, specific, earlier)


def _specific(name: str, format_: Format) -> int | None:
    if name in _NAMES[format_]:
        return 2
    return {"application/*": 1, "text/*": 1, "*/*": 0}.get(name)


def _media(text: str) -> _Media:
    name, *parameters = text.split(";")
    given = {key.strip().lower(): value for key, value in map(_pair, parameters)}
    version = given.get("fhirversion", "4.0")
    charset = given.get("charset", "utf-8").lower()
    weight = given.get("q", "1")
    return _Media(
        # A `+` that was not encoded arrives as a space.
        name=name.strip().lower().replace(" ", "+"),
        weight=float(weight) if _WEIGHT.fullmatch(weight) else 1.0,
        is_ours=version in _VERSIONS and charset in ("utf-8", "utf8"),
    )


def _pair(parameter: str) -> tuple[str, Any]:
    key, _, value = parameter.partition("=")
    return key, value.strip().strip('"')
