"""FHIR XML to the dict of a resource, strictly."""

import re
from typing import Any

from hub.fhir import json, markup, xhtml
from hub.fhir.json import Resource
from hub.fhir.markup import (
    FHIR,
    Element,
    MarkupError,
    is_comment,
    is_deep,
    line_of,
    names_of,
    parse,
)
from hub.fhir.outcome import FhirError, issue
from hub.fhir.xml.layout import (
    NUMBERS,
    Definitions,
    Layout,
    Place,
    attributes,
    by_tag,
)

Path = tuple[Any, str, int | None]

_BLANK = " \t\r\n"
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NAME = re.compile(r"[a-z][A-Za-z]{0,40}")
_VALUE_ONLY = ["value"]
_PRIMITIVE = frozenset(("id", "value"))
_FAULTS = {
    "encoding": "HUB-XML-002",
    "malformed": "HUB-XML-003",
    "doctype": "HUB-XML-004",
    "instruction": "HUB-XML-005",
}


def decode(
    raw: bytes, definitions: Definitions, max_depth: int = json.MAX_DEPTH
) -> Resource:
    """Read one FHIR XML resource strictly: what `json.decode` gives for its JSON.

    A value that is not of its type (`<active value="yes"/>`) stays the text it is,
    for validation to refuse. Raises FhirError `HUB-XML-001`…`HUB-XML-015` (400) with
    the line and, inside a resource, the expression; never repeats the input.
    `max_depth` counts as in JSON, so that what is read here is read there again.
    """
    if not raw.strip():
        raise FhirError(issue("HUB-XML-001"))
    try:
        root = parse(raw)
    except MarkupError as error:
        raise FhirError(issue(_FAULTS[error.fault], line=error.line)) from None
    reader = _Reader(definitions, max_depth)
    return reader.resource(root, (None, _local(root), None), 1)


class _Reader:
    """One reading. `depth` is that of the JSON value being made."""

    def __init__(self, definitions: Definitions, max_depth: int) -> None:
        self.definitions, self.max_depth = definitions, max_depth

    def resource(self, node: Element, path: Path, depth: int) -> Resource:
        layout = None
        if node.tag == f"{{{FHIR}}}{_local(node)}":
            layout = self.definitions.resource(_local(node))
        if layout is None:
            at = path if path[0] else None
            raise _error("HUB-XML-007", at, node)
        return {
            "resourceType": layout.name,
            **self.object(node, layout, path, depth),
        }

    def object(
        self, node: Element, layout: Layout, path: Path, depth: int
    ) -> dict[str, Any]:
        if depth > self.max_depth:
            raise _error("HUB-XML-006", path, node, limit=self.max_depth)
        found: dict[str, Any] = {}
        allowed = attributes(layout)
        for key in names_of(node):
            if key not in allowed:
                raise _error("HUB-XML-009", path, node)
        found.update((key, node.get(key)) for key in names_of(node))
        self._children(node, layout, path, depth, found)
        return found

    def _children(
        self,
        node: Element,
        layout: Layout,
        path: Path,
        depth: int,
        found: dict[str, Any],
    ) -> None:
        _require_blank(node.text, path, node)
        places, before, count = by_tag(layout), -1, 0
        extras: dict[str, list[Any]] = {}
        for child in node:
            _require_blank(child.tail, path, child)
            if is_comment(child):
                continue
            place = places.get(child.tag)
            if place is None:
                raise _error("HUB-XML-008", _shown(path, child), child)
            count = count + 1 if place.order == before else 0
            here = (path, place.part.step, count if place.part.many else None)
            _require_order(place, before, count, here, child)
            before = place.order
            self._add(child, place, here, depth, found, extras)
        for key, items in extras.items():
            _align(found, key, items)

    def _add(
        self,
        node: Element,
        place: Place,
        path: Path,
        depth: int,
        found: dict[str, Any],
        extras: dict[str, list[Any]],
    ) -> None:
        """One child as the value of its key, or one more of its array."""
        key, many, extra = place.key, place.part.many, None
        inside = depth + 2 if many else depth + 1
        if place.kind == "primitive":
            value, extra = self._primitive(node, place, path, inside)
        else:
            value = self._value(node, place, path, inside)
        if many:
            if depth >= self.max_depth:
                raise _error("HUB-XML-006", path, node, limit=self.max_depth)
            found.setdefault(key, []).append(value)
            if place.kind == "primitive":
                extras.setdefault(key, []).append(extra)
            return
        if value is not None:
            found[key] = value
        if extra is not None:
            found["_" + key] = extra

    def _value(self, node: Element, place: Place, path: Path, depth: int) -> Any:
        if place.part.shape is not None:
            return self.object(node, place.part.shape, path, depth)
        if place.kind == "xhtml":
            return _div(node, path)
        return self._held(node, path, depth)

    def _held(self, node: Element, path: Path, depth: int) -> Resource:
        """The one resource inside `contained`, `resource` or `outcome`."""
        if node.attrib:
            raise _error("HUB-XML-009", path, node)
        _require_blank(node.text, path, node)
        inside = [child for child in node if not is_comment(child)]
        for child in node:
            _require_blank(child.tail, path, child)
        if len(inside) != 1:
            raise _error("HUB-XML-015", path, node)
        return self.resource(inside[0], path, depth)

    def _primitive(
        self, node: Element, place: Place, path: Path, depth: int
    ) -> tuple[Any, dict[str, Any] | None]:
        """The value, None when there is none, and what JSON keeps under `_name`."""
        raw = node.get("value")
        value = None if raw is None else _typed(raw, place.part.type, path, node)
        names = names_of(node)
        if not len(node) and names == _VALUE_ONLY:
            _require_blank(node.text, path, node)
            return value, None
        if depth > self.max_depth:
            raise _error("HUB-XML-006", path, node, limit=self.max_depth)
        extra: dict[str, Any] = {}
        for key in names:
            if key not in _PRIMITIVE:
                raise _error("HUB-XML-009", path, node)
        if "id" in names:
            extra["id"] = node.get("id")
        self._children(node, self.definitions.element, path, depth, extra)
        return value, extra if extra or value is None else None


def _typed(raw: str, type_: str, path: Path, node: Element) -> Any:
    """The JSON value of an attribute; the text itself when it is of another type."""
    if type_ == "boolean":
        return {"true": True, "false": False}.get(raw, raw)
    try:
        if type_ in NUMBERS and _INTEGER.fullmatch(raw):
            return json.integer(raw)
        if type_ == "decimal" and (match := _DECIMAL.fullmatch(raw)):
            has_point = match[1] or match[2]
            return json.decimal(raw) if has_point else json.integer(raw)
    except FhirError:
        raise _error("HUB-XML-013", path, node) from None
    return raw


def _div(node: Element, path: Path) -> str:
    if is_deep(node):
        raise _error("HUB-XML-006", path, node, limit=markup.MAX_DEPTH)
    try:
        return xhtml.write(node)
    except MarkupError:
        raise _error("HUB-XML-014", path, node) from None


def _align(found: dict[str, Any], key: str, extras: list[Any]) -> None:
    """Leave out the array of values, or of what goes with them, that holds nothing."""
    if any(extra is not None for extra in extras):
        found["_" + key] = extras
        if all(value is None for value in found[key]):
            del found[key]


def _require_order(
    place: Place, before: int, count: int, path: Path, node: Element
) -> None:
    if place.order < before:
        raise _error("HUB-XML-010", path, node)
    if count and not place.part.many:
        # The last of two would win silently, here and elsewhere not (as J3).
        raise _error("HUB-XML-011", path, node)


def _require_blank(text: str | None, path: Path, node: Element) -> None:
    if text and text.strip(_BLANK):
        raise _error("HUB-XML-012", path, node)


def _local(node: Element) -> str:
    return str(node.tag).rpartition("}")[2]


def _shown(path: Path, node: Element) -> Path:
    """The path of an unknown element, named when its name looks like one of FHIR."""
    name = _local(node)
    is_ours = node.tag == f"{{{FHIR}}}{name}" and _NAME.fullmatch(name)
    return (path, name, None) if is_ours else path


def _error(id: str, path: Path | None, node: Element, limit: int = 0) -> FhirError:
    at = _expression(path) if path is not None else None
    return FhirError(issue(id, at, line=line_of(node), limit=limit))


def _expression(path: Path) -> str:
    steps = []
    here: Path | None = path
    while here is not None:
        here, step, index = here
        steps.append(step if index is None else f"{step}[{index}]")
    return ".".join(reversed(steps))
