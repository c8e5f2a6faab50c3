"""The walk: one pass over a resource that finds every issue with its FHIRPath.

It follows the shapes (structure, cardinality, types, required codes) and applies on
the way the invariants and the checks of `objects` and `bundles`. A path is a chain
(parent, step, index) that is written out only when something is wrong.
"""

import re
from typing import Any

from hub.fhir.outcome import Issue, Severity, issue
from hub.terminology import Packages
from hub.validation.bundles import BundleScope, check_bundle
from hub.validation.objects import OBJECT_CHECKS
from hub.validation.rules import RULES
from hub.validation.shapes import Check, Property, Shape, resource_shape, rule, shape

Object = dict[str, Any]
Path = tuple[Any, str, int | None]

MAX_ISSUES = 1000

_NAME = re.compile(r"_?[a-z][A-Za-z]{0,40}")


class Walk:
    """One validation: `found` collects its issues in document order."""

    __slots__ = ("bundle", "contained", "found", "packages")

    def __init__(self, packages: Packages | None) -> None:
        self.found: list[Issue] = []
        self.packages = packages
        self.contained: dict[str, Any] = {}  # id -> type, of the resource walked
        self.bundle: BundleScope | None = None

    def add(
        self,
        id_: str,
        path: Path,
        *,
        severity: Severity = "error",
        **fields: Any,
    ) -> None:
        # A body made of faults must not cost more than one made of content.
        if len(self.found) < MAX_ISSUES:
            self.found.append(issue(id_, expression(path), severity=severity, **fields))
        elif len(self.found) == MAX_ISSUES:
            self.found.append(issue("HUB-VAL-090", expression(path), limit=MAX_ISSUES))

    def resource(self, value: Object, path: Path) -> None:
        """A resource that stands for itself: the top one, or one of an entry."""
        known = resource_shape(value.get("resourceType"))
        if known is None:
            self.add("HUB-VAL-001", path)
            return
        outer, outer_bundle = self.contained, self.bundle
        inside = _objects(value.get("contained"))
        self.contained = {
            id_: r.get("resourceType")
            for r in inside
            if type(id_ := r.get("id")) is str
        }
        if known.name == "Bundle":
            self.bundle = BundleScope.of(value)
        self.object(value, known, path)
        if inside:
            self._check_contained(value, inside, path)
        if known.name == "Bundle":
            check_bundle(value, lambda id_, *steps: self._at(path, id_, steps))
        self.contained, self.bundle = outer, outer_bundle

    def object(self, value: Object, known: Shape, path: Path) -> None:
        """Any object against its shape."""
        if not value or (len(value) == 1 and "id" in value and not known.is_resource):
            self.add("HUB-VAL-006", path)
            return
        properties = known.properties
        for key, child in value.items():
            one = properties.get(key)
            if one is None:
                self._unlisted(key, value, known, path)
            elif one.many:
                self._many(key, child, value, one, path)
            elif one.ok is None:
                self._complex(child, one, (path, one.step, None))
            elif not one.ok(child):
                self._not_primitive(child, one, (path, one.step, None))
            elif one.allowed is not None and child not in one.allowed:
                self.add("HUB-VAL-050", (path, one.step, None))
        self._check_whole(value, known, path)

    def _check_whole(self, value: Object, known: Shape, path: Path) -> None:
        for name, keys in known.required:
            for key in keys:
                if key in value:
                    break
            else:
                self.add("HUB-VAL-010", path, name=name)
        if known.has_choice:
            self._check_choices(value, known, path)
        if known.checks:
            self._check_rules(known.checks, value, path)

    def _many(
        self, key: str, child: Any, value: Object, one: Property, path: Path
    ) -> None:
        if type(child) is not list:
            self.add(
                "HUB-VAL-007" if child is None else "HUB-VAL-004",
                (path, one.step, None),
            )
            return
        if not child:
            self.add("HUB-VAL-006", (path, one.step, None))
        if one.limit is not None and len(child) > one.limit:
            self.add("HUB-VAL-011", (path, one.step, None), limit=one.limit)
        if one.ok is None:
            for index, item in enumerate(child):
                self._complex(item, one, (path, one.step, index))
            return
        for index, item in enumerate(child):
            if item is None and _sibling(value, key, index):
                continue
            if not one.ok(item):
                self._not_primitive(item, one, (path, one.step, index))
            elif one.allowed is not None and item not in one.allowed:
                self.add("HUB-VAL-050", (path, one.step, index))

    def _complex(self, item: Any, one: Property, path: Path) -> None:
        if type(item) is not dict:
            self._not_object(item, one, path)
            return
        if one.shape is None:
            if one.step == "contained":
                self._contained(item, path)
            else:
                self.resource(item, path)
            return
        self.object(item, one.shape, path)
        if one.checks:
            self._check_rules(one.checks, item, path)
        check = OBJECT_CHECKS.get(one.type)
        if check:
            check(self, item, one, path)

    def _contained(self, value: Object, path: Path) -> None:
        known = resource_shape(value.get("resourceType"))
        if known is None:
            self.add("HUB-VAL-001", path)
            return
        self.object(value, known, path)
        if "id" not in value:
            self.add("HUB-VAL-067", path)
        if "contained" in value:
            self.add("HUB-VAL-032", path)
        meta = value.get("meta")
        if type(meta) is dict:
            if "versionId" in meta or "lastUpdated" in meta:
                self.add("HUB-VAL-033", path)
            if "security" in meta:
                self.add("HUB-VAL-034", path)

    def _check_contained(self, value: Object, inside: list[Object], path: Path) -> None:
        used = set(_local(value))
        seen = set()
        for index, resource in enumerate(inside):
            id_ = resource.get("id")
            if type(id_) is not str:
                continue
            if id_ in seen:
                self.add("HUB-VAL-066", (path, "contained", index))
            seen.add(id_)
            if "#" + id_ not in used and "#" not in _local(resource):
                self.add("HUB-VAL-064", (path, "contained", index))

    def _unlisted(self, key: str, value: Object, known: Shape, path: Path) -> None:
        one = known.properties.get(key[1:]) if key[:1] == "_" else None
        if one is None:
            # A name is shown when it looks like one; other text could be content.
            here = (path, key, None) if _NAME.fullmatch(key) else path
            self.add("HUB-VAL-002", here, type=known.name)
            return
        child, here = value[key], (path, one.step, None)
        if one.ok is None or key == "_resourceType":
            self.add("HUB-VAL-009", here)
        elif not one.many:
            self._element(child, here, bare=key[1:] not in value)
        elif type(child) is not list:
            self.add("HUB-VAL-004", here)
        else:
            values = value.get(key[1:])
            values = values if type(values) is list else []
            for index, item in enumerate(child):
                bare = index >= len(values) or values[index] is None
                if item is not None:
                    self._element(item, (path, one.step, index), bare=bare)
                elif index >= len(values):  # else told at the value itself
                    self.add("HUB-VAL-007", (path, one.step, index))
            if not child:
                self.add("HUB-VAL-006", here)

    def _element(self, item: Any, path: Path, *, bare: bool) -> None:
        if type(item) is not dict:
            id_ = "HUB-VAL-007" if item is None else "HUB-VAL-003"
            self.add(id_, path, type="Element")
        elif item.keys() == {"id"} and not bare:
            if not shape("Element").properties["id"].ok(item["id"]):  # type: ignore[misc]
                self.add("HUB-VAL-020", (path, "id", None), type="string")
        else:
            self.object(item, shape("Element"), path)

    def _not_primitive(self, child: Any, one: Property, path: Path) -> None:
        if child is None:
            self.add("HUB-VAL-007", path)
        elif type(child) is list:
            self.add("HUB-VAL-005", path)
        elif child == "":
            self.add("HUB-VAL-006", path)
        else:
            self.add("HUB-VAL-020", path, type=one.type)

    def _not_object(self, item: Any, one: Property, path: Path) -> None:
        if item is None:
            self.add("HUB-VAL-007", path)
        elif type(item) is list:
            self.add("HUB-VAL-005", path)
        else:
            self.add("HUB-VAL-003", path, type=one.type)

    def _check_choices(self, value: Object, known: Shape, path: Path) -> None:
        chosen: dict[str, Property] = {}
        told: set[str] = set()
        for key in value:
            one = known.properties.get(key.removeprefix("_"))
            if one is None or one.choice is None:
                continue
            if chosen.setdefault(one.choice, one) is not one and one.choice not in told:
                told.add(one.choice)
                self.add("HUB-VAL-008", (path, one.choice, None), name=one.choice)

    def _check_rules(self, checks: list[Check], value: Object, path: Path) -> None:
        for holds, type_, key in checks:
            if holds(value):
                continue
            facts = rule(type_, key)
            self.add(
                "HUB-VAL-030",
                path,
                severity="error" if facts["severity"] == "error" else "warning",
                key=key,
                ja=RULES[f"{type_}.{key}"].ja,
                en=facts["human"].rstrip("."),
            )

    def _at(
        self, path: Path, id_: str, steps: tuple[tuple[str, int | None], ...]
    ) -> None:
        for step, index in steps:
            path = (path, step, index)
        self.add(id_, path)


def expression(path: Path) -> str:
    """The FHIRPath of a chain, for example `Bundle.entry[2].resource.status`."""
    steps = []
    here: Path | None = path
    while here is not None:
        here, step, index = here
        steps.append(step if index is None else f"{step}[{index}]")
    return ".".join(reversed(steps))


def _objects(value: Any) -> list[Object]:
    return [v for v in value if type(v) is dict] if type(value) is list else []


def _sibling(value: Object, key: str, index: int) -> bool:
    siblings = value.get("_" + key)
    return (
        type(siblings) is list
        and index < len(siblings)
        and type(siblings[index]) is dict
    )


def _local(value: Any) -> list[str]:
    """Every string that could refer to a contained resource."""
    found: list[str] = []
    stack = [value]
    while stack:
        here = stack.pop()
        if type(here) is str:
            if here[:1] == "#":
                found.append(here)
        elif type(here) is dict:
            stack.extend(here.values())
        elif type(here) is list:
            stack.extend(here)
    return found
