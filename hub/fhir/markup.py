"""The one XML parser: FHIR XML, and the XHTML of narratives (security.md X1-X4).

Nothing else in the hub calls lxml. What comes out has no DOCTYPE, no entity and no
processing instruction, so that what follows sees elements, text and comments only.
"""

import re
from typing import Literal

from lxml import etree

Element = etree._Element  # noqa: SLF001 - lxml has no public name for it
Fault = Literal["encoding", "malformed", "doctype", "instruction"]

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"
XML = "http://www.w3.org/XML/1998/namespace"
MAX_DEPTH = 64

_DECLARED = re.compile(
    rb"(?:\xef\xbb\xbf)?<\?xml\b[^>]*?\sencoding\s*=\s*[\"']([^\"']*)"
)
_DEEP = etree.XPath("boolean(" + "*/" * (MAX_DEPTH - 1) + "*)")
# `[1]`: a set of a million instructions took minutes to make.
_INSTRUCTIONS = etree.XPath("boolean(//processing-instruction()[1])")


class MarkupError(Exception):
    """Markup that is not read; `line` is 1-based, 0 when it is not known."""

    def __init__(self, fault: Fault, line: int = 0) -> None:
        super().__init__(fault)
        self.fault: Fault = fault
        self.line = line


def parse(raw: bytes) -> Element:
    """The root element of a document in UTF-8. Raises MarkupError, nothing else.

    The size is the caller's to limit (X5); libxml2 itself stops at 256 levels.
    """
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        raise MarkupError("encoding") from None
    # Measured: lxml reads UTF-7 when it is declared, and UTF-16 without being told;
    # both would hide a DOCTYPE.
    declared = _DECLARED.match(raw)
    if b"\0" in raw or (declared and declared[1].lower() != b"utf-8"):
        raise MarkupError("encoding")
    # In UTF-8 a search sees every declaration there is: none is ever parsed.
    if b"<!DOCTYPE" in raw:
        raise MarkupError("doctype")
    try:
        root = etree.fromstring(raw, _parser())
    except etree.XMLSyntaxError as error:
        raise MarkupError("malformed", (error.position or (0, 0))[0]) from None
    except ValueError:
        raise MarkupError("malformed") from None
    told = root.getroottree().docinfo
    if told.internalDTD is not None or told.externalDTD is not None:
        raise MarkupError("doctype")
    if (told.encoding or "utf-8").lower() != "utf-8":
        raise MarkupError("encoding")
    if told.xml_version not in (None, "1.0"):
        raise MarkupError("malformed", 1)
    if _INSTRUCTIONS(root):
        raise MarkupError("instruction")
    return root


def is_deep(root: Element) -> bool:
    """True when elements are nested in `root` over 64 deep, itself counted (X4)."""
    return bool(_DEEP(root))


def names_of(node: Element) -> list[str]:
    """The names of a node's attributes, of which a sender may have put any number.

    Measured: `attrib.items()` is quadratic, 450,000 attributes (5 MB) took over ten
    minutes. Judge the names first; few are left to ask a value of.
    """
    return [str(name) for name in node.attrib]


def line_of(node: Element) -> int:
    """The line a node stands on, 0 when it is not known."""
    return node.sourceline if isinstance(node.sourceline, int) else 0


def is_comment(node: Element) -> bool:
    """True for a comment, the one node beside elements that `parse` lets through."""
    return not isinstance(node.tag, str)


def _parser() -> etree.XMLParser:
    # A parser is not shared between threads.
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_pis=False,
    )
