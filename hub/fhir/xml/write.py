"""The dict of a resource to FHIR XML, in the order of the definitions."""

import re
from typing import Any

from hub.fhir import xhtml
from hub.fhir.json import Resource
from hub.fhir.markup import FHIR, MarkupError
from hub.fhir.outcome import FhirError, issue
from hub.fhir.xml.layout import Definitions, Layout, Place, attributes, by_key

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
_SPECIAL = re.compile('[&<>"\t\n\r]')
# In an attribute a bare tab or line break would come back as a space.
_ESCAPES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "\t": "&#9;",
        "\n": "&#10;",
        "\r": "&#13;",
    }
)
# XML 1.0 has no way to write these, not even as a reference.
_UNSAYABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def encode(resource: Resource, definitions: Definitions) -> bytes:
    """Write a valid resource as UTF-8 XML; decimals keep the digits they came with.

    Raises FhirError HUB-XML-016 (406) for what XML cannot say, ValueError for a key
    that the definitions do not have: nothing is left out silently.
    """
    writer = _Writer(definitions)
    writer.resource(resource, f' xmlns="{FHIR}"')
    text = "".join((_HEAD, *writer.parts))
    if _UNSAYABLE.search(text):
        raise FhirError(issue("HUB-XML-016"))
    return text.encode()


class _Writer:
    """One writing: `parts` of the text so far."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.parts: list[str] = []

    def resource(self, value: Resource, declared: str = "") -> None:
        name = value["resourceType"]
        layout = self.definitions.resource(name)
        if layout is None:
            raise ValueError("no resource type of R4")
        own = {key: held for key, held in value.items() if key != "resourceType"}
        self._object(name, own, layout, declared)

    def _object(
        self, name: str, value: dict[str, Any], layout: Layout, declared: str = ""
    ) -> None:
        self.parts.append(f"<{name}{declared}")
        in_head = attributes(layout)
        for key in ("id", "url"):
            if key in in_head and key in value:
                self.parts.append(f' {key}="{_escaped(value[key])}"')
        self._children(name, value, layout, in_head)

    def _children(
        self,
        name: str,
        value: dict[str, Any],
        layout: Layout,
        in_head: frozenset[str],
    ) -> None:
        """The rest of an element whose start tag is still open."""
        places = by_key(layout)
        try:
            here = {places[k.removeprefix("_")] for k in value if k not in in_head}
        except KeyError:
            raise ValueError(f"a key that {layout.name} does not have") from None
        if not here:
            self.parts.append("/>")
            return
        self.parts.append(">")
        for place in sorted(here, key=_order):
            held, extra = value.get(place.key), value.get("_" + place.key)
            if place.part.many:
                self._many(place, held or [], extra or [])
            else:
                self._one(place, held, extra)
        self.parts.append(f"</{name}>")

    def _many(self, place: Place, held: list[Any], extras: list[Any]) -> None:
        for index in range(max(len(held), len(extras))):
            one = held[index] if index < len(held) else None
            extra = extras[index] if index < len(extras) else None
            self._one(place, one, extra)

    def _one(self, place: Place, held: Any, extra: dict[str, Any] | None) -> None:
        if place.part.shape is not None:
            self._object(place.key, held, place.part.shape)
        elif place.kind == "primitive":
            self._primitive(place.key, held, extra or {})
        elif place.kind == "xhtml":
            self.parts.append(_div(held))
        else:
            self.parts.append(f"<{place.key}>")
            self.resource(held)
            self.parts.append(f"</{place.key}>")

    def _primitive(self, name: str, value: Any, extra: dict[str, Any]) -> None:
        self.parts.append(f"<{name}")
        if "id" in extra:
            self.parts.append(f' id="{_escaped(extra["id"])}"')
        if value is not None:
            self.parts.append(f' value="{_text(value)}"')
        if extra:
            element = self.definitions.element
            self._children(name, extra, element, attributes(element))
        else:
            self.parts.append("/>")


def _order(place: Place) -> int:
    return place.order


def _text(value: Any) -> str:
    if type(value) is str:
        return _escaped(value)
    if type(value) is bool:
        return "true" if value else "false"
    return str(value)


def _escaped(value: str) -> str:
    return value.translate(_ESCAPES) if _SPECIAL.search(value) else value


def _div(div: str) -> str:
    try:
        return xhtml.write(xhtml.read(div))
    except MarkupError:
        raise FhirError(issue("HUB-XML-016")) from None
