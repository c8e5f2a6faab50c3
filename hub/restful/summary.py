"""Parts of a resource: `_elements` and `_summary`, marked SUBSETTED (F2)."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from hub.fhir.outcome import FhirError, issue
from hub.fhir.search import Query
from hub.validation.shapes import shape

_ALWAYS = frozenset({"resourceType", "id", "meta", "modifierExtension"})
_SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}


def require_summary(summary: str | None, elements: Sequence[str]) -> None:
    """400 for `_summary` beside `_elements`, which ask for different things."""
    if summary not in (None, "count") and elements:
        raise FhirError(issue("HUB-SEARCH-003", name="_summary"))


def is_part(query: Query) -> bool:
    """True when less than the whole resource was asked for."""
    return bool(query.elements) or query.summary in ("true", "text", "data")


def subset(
    resource: dict[str, Any], summary: str | None, elements: Sequence[str]
) -> dict[str, Any]:
    """The part that was asked for; the resource itself when nothing was.

    `true` is what R4 marks isSummary, `text` the narrative and what R4 requires at
    the top level, `data` all but the narrative.
    """
    if summary == "true":
        known = _summaries().get(resource["resourceType"], {})
        kept = _ALWAYS | _required(resource["resourceType"]) | {*known.get("", ())}
        short = {k: v for k, v in resource.items() if k.lstrip("_") in kept}
        return _marked({k: _short(v, k, known) for k, v in short.items()})
    if summary == "text":
        kept = _ALWAYS | {"text"} | _required(resource["resourceType"])
        return _marked({k: v for k, v in resource.items() if k in kept})
    if summary == "data":
        return _marked({k: v for k, v in resource.items() if k != "text"})
    if elements:
        kept = _ALWAYS | set(elements) | _required(resource["resourceType"])
        return _marked({k: v for k, v in resource.items() if k.lstrip("_") in kept})
    return resource


def _short(value: Any, path: str, known: Mapping[str, Sequence[str]]) -> Any:
    """A backbone element with its summary elements only; a datatype is kept whole."""
    if isinstance(value, list):
        return [_short(item, path, known) for item in value]
    if not isinstance(value, dict) or path not in known:
        return value
    kept = {"id", "modifierExtension", *known[path]}
    return {
        k: _short(v, f"{path}.{k}", known)
        for k, v in value.items()
        if k.lstrip("_") in kept
    }


@cache
def _summaries() -> dict[str, dict[str, list[str]]]:
    source = files("hub.restful").joinpath("summaries.json")
    table: dict[str, dict[str, list[str]]] = json.loads(source.read_bytes())
    return table


def _required(resource_type: str) -> frozenset[str]:
    return frozenset(key for _, keys in shape(resource_type).required for key in keys)


def _marked(part: dict[str, Any]) -> dict[str, Any]:
    tags = [*part["meta"].get("tag", ()), _SUBSETTED]
    return {**part, "meta": {**part["meta"], "tag": tags}}
