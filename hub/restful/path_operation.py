"""One operation of a FHIRPath Patch, as R4's Parameters say it (fhirpatch.html)."""

from dataclasses import dataclass, field
from typing import Any

from hub.fhir.fhirpath import Path
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue

MOST = 200  # operations of one patch
_LONGEST = 10_000  # characters of all its paths: reading one costs 0.3 ms a character
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
    """The operations of a Parameters resource; 422 HUB-REST-040, -041; 413 -034."""
    raw = parameters.get("parameter", [])
    if parameters.get("resourceType") != "Parameters" or not isinstance(raw, list):
        raise FhirError(issue("HUB-REST-040", where))
    _require_bounded(raw)
    return tuple(
        _operation(one, f"{where}.parameter[{index}]") for index, one in enumerate(raw)
    )


def _require_bounded(raw: list[Any]) -> None:
    """Asked before the first path is read (AB26)."""
    parts = [part for one in raw for part in _parts(one)]
    paths = [part.get("valueString") for part in parts if part.get("name") == "path"]
    length = sum(len(path) for path in paths if isinstance(path, str))
    if len(raw) > MOST or length > _LONGEST:
        raise FhirError(issue("HUB-REST-034", limit=MOST))


def _parts(raw: Any) -> list[dict[str, Any]]:
    held = raw.get("part") if isinstance(raw, dict) else None
    found = held if isinstance(held, list) else []
    return [part for part in found if isinstance(part, dict)]


def _operation(raw: Any, where: str) -> Operation:
    wrong = FhirError(issue("HUB-REST-040", where))
    if not isinstance(raw, dict) or raw.get("name") != "operation":
        raise wrong
    parts: dict[str, dict[str, Any]] = {}
    for part in _parts(raw):
        name = part.get("name")
        if name not in _PARTS or name in parts:
            raise wrong
        parts[name] = part
    type_ = _one(parts, "type", _TEXT, str)
    path = _one(parts, "path", ("valueString",), str)
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
