"""One operation of a FHIRPath Patch, as R4's Parameters say it (fhirpatch.html)."""

from dataclasses import dataclass, field
from typing import Any

from hub.fhir.fhirpath import Path
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue

_PARTS = ("type", "path", "name", "value", "index", "source", "destination")
_TEXT, _NUMBER = ("valueCode", "valueString"), ("valueInteger",)
_NEEDED = {
    "add": {"name", "value"},
    "insert": {"index", "value"},
    "delete": set(),
    "replace": {"value"},
    "move": {"source", "destination"},
}


@dataclass(slots=True)
class Operation:
    """One operation; `where` is its FHIRPath in the Parameters.

    `value` is the `value` part as sent: `value[x]`, `resource`, or parts of its own.
    """

    where: str
    type: str
    path: Path
    name: str | None = None
    value: dict[str, Any] | None = None
    numbers: dict[str, int] = field(default_factory=dict)

    def refuse(self, id: str, part: str = "") -> FhirError:
        return FhirError(issue(id, self.where + part))


def operations_of(
    parameters: Resource, where: str = "Parameters"
) -> tuple[Operation, ...]:
    """The operations of a Parameters resource; 422 HUB-REST-040 and -041."""
    raw = parameters.get("parameter", [])
    if parameters.get("resourceType") != "Parameters" or not isinstance(raw, list):
        raise FhirError(issue("HUB-REST-040", where))
    return tuple(
        _operation(one, f"{where}.parameter[{index}]") for index, one in enumerate(raw)
    )


def _operation(raw: Any, where: str) -> Operation:
    wrong = FhirError(issue("HUB-REST-040", where))
    if not isinstance(raw, dict) or raw.get("name") != "operation":
        raise wrong
    parts: dict[str, dict[str, Any]] = {}
    for part in raw.get("part") or ():
        name = part.get("name") if isinstance(part, dict) else None
        if name not in _PARTS or name in parts:
            raise wrong
        parts[name] = part
    type_, path = _one(parts, "type", _TEXT, str), _one(parts, "path", _TEXT, str)
    numbers: dict[str, int] = {
        name: _one(parts, name, _NUMBER, int)
        for name in ("index", "source", "destination")
        if name in parts
    }
    needed = _NEEDED.get(type_ or "")
    if needed is None or path is None or None in numbers.values():
        raise wrong
    if parts.keys() - {"type", "path"} != needed:
        raise wrong
    return Operation(
        where,
        str(type_),
        Path(path, where),
        _one(parts, "name", _TEXT, str),
        parts.get("value"),
        numbers,
    )


def _one(
    parts: dict[str, dict[str, Any]], name: str, keys: tuple[str, ...], kind: type
) -> Any:
    held = parts.get(name, {})
    value = next((held[key] for key in keys if key in held), None)
    return value if type(value) is kind else None
