"""The typed FHIR models: the only importer of fhir.resources.

`fhir.resources` has no R4 any more; its R4B package takes what R4 4.0.1 has for the
hub's types, with these known differences: a primitive sibling inside an Extension
(`_valueString`) is refused; decimals, instants and base64 are rewritten on the way
out, so a dump of a model is never stored; codes, ids, uris, narratives and
invariants are not checked (`hub.validation` does that).
"""

from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

Resource = dict[str, Any]


@cache
def model(resource_type: str) -> type[BaseModel]:
    """The model class of a resource or datatype, imported when first asked for.

    KeyError when R4B has no such type.
    """
    # The package as a whole takes seconds to import; one type takes milliseconds.
    from fhir.resources.R4B import get_fhir_model_class  # noqa: TID251

    try:
        found: type[BaseModel] = get_fhir_model_class(resource_type)
    except ValueError:
        raise KeyError(resource_type) from None
    return found


def second_opinion(resource: Resource) -> list[str]:
    """Where the R4B model refuses a resource, as dotted paths; empty when it accepts.

    `resource` is decoded JSON with resourceType. Values are not repeated.
    """
    kept = _without_extension_siblings(resource)
    try:
        model(resource["resourceType"]).model_validate(kept)
    except ValidationError as error:
        return [".".join(map(str, e["loc"])) for e in error.errors()]
    return []


def _without_extension_siblings(value: Any, *, inside: bool = False) -> Any:
    if isinstance(value, list):
        return [_without_extension_siblings(v, inside=inside) for v in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_extension_siblings(
            child, inside=key in {"extension", "modifierExtension"}
        )
        for key, child in value.items()
        if not (inside and key.startswith("_value"))
    }
