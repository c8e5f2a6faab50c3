"""The XHTML of a narrative: well-formed, and only what R4 allows (txt-1, txt-2).

Source: R4 Narrative; security.md X1, X7. Elements of HTML 4.0 chapters 7-11
(without 9.4) and 15, `a`, `img` and inner styles; no script, no form, no object.
"""

import re
from typing import Literal

from hub.fhir import xhtml
from hub.fhir.markup import (
    XHTML,
    XML,
    Element,
    MarkupError,
    is_comment,
    is_deep,
    names_of,
)

Finding = Literal["malformed", "forbidden", "empty"]

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
_ATTRIBUTES = frozenset(
    (*_ATTRIBUTES_TEXT.split(), f"{{{XML}}}lang", f"{{{XML}}}space")
)
_URLS = frozenset(("cite", "href", "longdesc", "src"))
_SAFE_URL = re.compile(
    r"\s*(?:(?:https?|mailto|tel|urn|ftp):|data:image/(?:png|gif|jpeg);|[^:]*$"
    r"|[#/?][^\s]*$)",
    re.IGNORECASE,
)


def check(div: str) -> Finding | None:
    """What is wrong with `Narrative.div`, or None. Never raises."""
    try:
        root = xhtml.read(div)
    except MarkupError as error:
        declared = error.fault in ("doctype", "instruction")
        return "forbidden" if declared else "malformed"
    if root.tag != f"{{{XHTML}}}div":
        return "malformed"
    if is_deep(root):
        return "forbidden"
    has_content = False
    for node in root.iter():
        if is_comment(node):
            continue
        if not _is_allowed(node):
            return "forbidden"
        has_content = has_content or _has_content(node, root)
    return None if has_content else "empty"


def _is_allowed(node: Element) -> bool:
    namespace, _, name = str(node.tag).removeprefix("{").partition("}")
    if namespace != XHTML or name not in _ELEMENTS:
        return False
    names = names_of(node)
    if not _ATTRIBUTES.issuperset(names):
        return False
    return all(_SAFE_URL.match(node.get(key) or "") for key in _URLS & {*names})


def _has_content(node: Element, root: Element) -> bool:
    own = (node.text or "").strip()
    tail = "" if node is root else (node.tail or "").strip()
    return bool(own or tail or node.tag == f"{{{XHTML}}}img")
