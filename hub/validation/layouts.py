"""The R4 definitions as the XML reader and writer want them."""

from functools import cache

from hub.fhir.xml import Definitions
from hub.validation.shapes import resource_shape, shape


@cache
def definitions() -> Definitions:
    """Element order, cardinality and types, from the shapes that validate."""
    return Definitions(resource=resource_shape, element=shape("Element"))
