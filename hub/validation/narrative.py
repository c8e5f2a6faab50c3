"""The XHTML of a narrative: well-formed, and only what R4 allows (txt-1, txt-2).

Source: R4 Narrative; security.md X1, X7. Elements of HTML 4.0 chapters 7-11
(without 9.4) and 15, `a`, `img` and inner styles; no script, no form, no object.
"""

import re
from html.entities import name2codepoint
from typing import Literal

from lxml import etree

Finding = Literal["malformed", "forbidden", "empty"]

_XHTML = "http://www.w3.org/1999/xhtml"
_ELEMENTS_TEXT = """
a abbr acronym address b big blockquote br caption center cite code col colgroup dd
dfn div dl dt em font h1 h2 h3 h4 h5 h6 hr i img kbd li ol p pre q s samp small span
strike strong sub sup table tbody td tfoot th thead tr tt u ul var
"""
_ELEMENTS = frozenset(_ELEMENTS_TEXT.split())
_ATTRIBUTES_TEXT = """
abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing
cellvalign char charoff charset cite class clear color colspan compact coords dir
face frame headers height href hreflang hspace id lang longdesc name noshade nowrap
rel rev rowspan rules scope shape size span src start style summary tabindex title
type valign value vspace width
"""
_ATTRIBUTES = frozenset(_ATTRIBUTES_TEXT.split())
_URLS = frozenset(("cite", "href", "longdesc", "src"))
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_SAFE_URL = re.compile(
    r"\s*(?:(?:https?|mailto|tel|urn|ftp):|data:image/(?:png|gif|jpeg);|[^:]*$"
    r"|[#/?][^\s]*$)",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_XML_ENTITIES = frozenset(("amp", "lt", "gt", "quot", "apos"))


def check(div: str) -> Finding | None:
    """What is wrong with `Narrative.div`, or None. Never raises."""
    if "<!" in div and "<!DOCTYPE" in div.upper():
        return "forbidden"  # in a str a search sees every declaration there is
    try:
        root = etree.fromstring(_ENTITY.sub(_character, div), _parser())
    except (etree.XMLSyntaxError, ValueError):
        return "malformed"
    if root.tag != f"{{{_XHTML}}}div":
        return "malformed"
    has_content = False
    for node in root.iter():
        if node.tag is etree.Comment:
            continue
        if not _is_allowed(node):
            return "forbidden"
        has_content = has_content or _has_content(node, root)
    return None if has_content else "empty"


def _parser() -> etree.XMLParser:
    # A parser is not shared between threads. X1-X3: no entity, DTD or network.
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_pis=False,
    )


def _is_allowed(node: etree._Element) -> bool:
    if not isinstance(node.tag, str):
        return False  # processing instruction or entity
    namespace, _, name = node.tag.removeprefix("{").partition("}")
    if namespace != _XHTML or name not in _ELEMENTS:
        return False
    for key, value in node.attrib.items():
        if key in {_LANG, _SPACE}:
            continue
        if key not in _ATTRIBUTES:
            return False
        if key in _URLS and not _SAFE_URL.match(str(value)):
            return False
    return True


def _has_content(node: etree._Element, root: etree._Element) -> bool:
    own = (node.text or "").strip()
    tail = "" if node is root else (node.tail or "").strip()
    return bool(own or tail or node.tag == f"{{{_XHTML}}}img")


def _character(match: re.Match[str]) -> str:
    # HTML's named characters are used in the wild and need no DTD to be understood.
    name = match[1]
    if name in _XML_ENTITIES or name not in name2codepoint:
        return match[0]
    return f"&#{name2codepoint[name]};"
