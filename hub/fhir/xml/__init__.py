"""The one reader and writer of FHIR XML (security.md X1-X8).

Both work on the dict that `hub.fhir.json` reads and writes: decimals as they were
written, `_name` for ids and extensions of primitives. What an element is called, in
which order, how often and of which type is handed in as Definitions.
Source: R4 XML Representation of Resources.
"""

from hub.fhir.xml.layout import Definitions, Layout, Part
from hub.fhir.xml.read import decode
from hub.fhir.xml.write import encode

__all__ = ["Definitions", "Layout", "Part", "decode", "encode"]
