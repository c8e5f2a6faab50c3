"""The XHTML of a narrative as text: read from JSON, written in one canonical form.

Source: R4 Narrative. HTML's named characters are used in the wild and need no DTD to
be understood; what is allowed in a narrative is for `hub.validation.narrative`.
"""

import re
from html.entities import name2codepoint

from hub.fhir.markup import (
    XHTML,
    XML,
    Element,
    MarkupError,
    is_comment,
    line_of,
    names_of,
    parse,
)

_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_XML_ENTITIES = frozenset(("amp", "lt", "gt", "quot", "apos"))
_MOST_ATTRIBUTES = 100  # of one element; a narrative may use some sixty names
_PREFIX = f"{{{XHTML}}}"
_ATTRIBUTES = {f"{{{XML}}}{name}": f"xml:{name}" for name in ("lang", "space")}
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_VALUE = _IN_TEXT | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})


def read(div: str) -> Element:
    """The root element of `Narrative.div`. Raises MarkupError."""
    try:
        raw = _ENTITY.sub(_character, div).encode()
    except UnicodeEncodeError:
        raise MarkupError("encoding") from None
    return parse(raw)


def write(div: Element) -> str:
    """One `<div xmlns="…">` as text, without prefixes, comments kept.

    `div` is nested 64 deep at most. Raises MarkupError for an element or attribute of
    another namespace.
    """
    parts: list[str] = []
    _write(div, parts, f' xmlns="{XHTML}"')
    return "".join(parts)


def _write(node: Element, parts: list[str], declared: str = "") -> None:
    name = _name(node)
    parts.append(f"<{name}{declared}")
    names = names_of(node)
    if len(names) > _MOST_ATTRIBUTES:
        raise MarkupError("malformed", line_of(node))
    parts.extend(
        f' {_attribute(node, key)}="{_escaped(node.get(key) or "")}"' for key in names
    )
    if not len(node) and not node.text:
        parts.append("/>")
        return
    parts.append(f">{_text(node.text)}")
    for child in node:
        if is_comment(child):
            parts.append(f"<!--{child.text or ''}-->")
        else:
            _write(child, parts)
        parts.append(_text(child.tail))
    parts.append(f"</{name}>")


def _name(node: Element) -> str:
    if not isinstance(node.tag, str) or not node.tag.startswith(_PREFIX):
        raise MarkupError("malformed", line_of(node))
    return node.tag.removeprefix(_PREFIX)


def _attribute(node: Element, key: str) -> str:
    if not key.startswith("{"):
        return key
    if key not in _ATTRIBUTES:
        raise MarkupError("malformed", line_of(node))
    return _ATTRIBUTES[key]


def _text(text: str | None) -> str:
    return (text or "").translate(_IN_TEXT)


def _escaped(value: str) -> str:
    return value.translate(_IN_VALUE)


def _character(match: re.Match[str]) -> str:
    name = match[1]
    if name in _XML_ENTITIES or name not in name2codepoint:
        return match[0]
    return f"&#{name2codepoint[name]};"
