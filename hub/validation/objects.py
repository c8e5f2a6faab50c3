"""Checks of single objects by their type: references, extensions, codes, narratives."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hub.terminology import is_ours, system_codes
from hub.validation import narrative
from hub.validation.references import Target, target
from hub.validation.shapes import Property, resource_shape

if TYPE_CHECKING:
    from hub.validation.walk import Path, Walk

Object = dict[str, Any]

_DIV = {
    "malformed": "HUB-VAL-021",
    "forbidden": "HUB-VAL-022",
    "empty": "HUB-VAL-023",
}
_EXTENSIONS = ("extension", "modifierExtension")


def check_reference(walk: "Walk", item: Object, one: Property, path: "Path") -> None:
    """Form, target type (stated, contained or in the Bundle), and that it resolves."""
    found = None
    reference = item.get("reference")
    if type(reference) is str and reference:
        id_, found = resolve(walk, reference)
        if id_:
            walk.add(id_, (path, "reference", None))
            return
    named = item.get("type")
    if type(named) is str and resource_shape(named) is not None:
        if found is not None and found != named:
            walk.add("HUB-VAL-069", (path, "type", None))
            return
        found = named
    # A target whose type is no text is told of where it stands.
    if one.targets is not None and type(found) is str and found not in one.targets:
        walk.add("HUB-VAL-061", path, targets="、".join(sorted(one.targets)))


def resolve(walk: "Walk", reference: str) -> tuple[str | None, Any]:
    """(issue id, None), or (None, the target's resource type if it is known)."""
    found = target(reference)
    if found.kind == "wrong":
        return "HUB-VAL-060", None
    if found.kind == "local":
        return _local(walk, reference[1:])
    return _in_bundle(walk, reference, found)


def _local(walk: "Walk", id_: str) -> tuple[str | None, Any]:
    if not id_:
        return None, None  # the container
    if id_ not in walk.contained:
        return "HUB-VAL-062", None
    return None, walk.contained[id_]


def _in_bundle(walk: "Walk", reference: str, found: Target) -> tuple[str | None, Any]:
    bundle = walk.bundle
    if found.kind == "conditional":
        allowed = bundle is not None and bundle.takes_conditional
        return (None, found.type) if allowed else ("HUB-VAL-060", None)
    if found.kind == "urn" and bundle is not None:
        if reference in bundle.types:
            return None, bundle.types[reference]
        return ("HUB-VAL-063" if bundle.is_closed else None), None
    return None, found.type


def check_extension(walk: "Walk", item: Object, one: Property, path: "Path") -> None:
    """ext-1, an absolute url, and no modifierExtension that nobody here understands."""
    is_nested = path[0][1] in _EXTENSIONS
    url = item.get("url")
    if not is_nested and type(url) is str and ":" not in url:
        walk.add("HUB-VAL-041", path)
    has_value = any(key.startswith(("value", "_value")) for key in item)
    if has_value == ("extension" in item):
        walk.add("HUB-VAL-031", path)
    if one.step == "modifierExtension":
        walk.add("HUB-VAL-040", path)


def check_concept(walk: "Walk", item: Object, one: Property, path: "Path") -> None:
    """A required binding: one coding of the value set (text alone does not do)."""
    if one.bound is None:
        return
    codings = item.get("coding")
    for coding in codings if type(codings) is list else []:
        if type(coding) is dict and _is_in(one, coding):
            return
    walk.add("HUB-VAL-051", path)


def _is_in(one: Property, coding: Object) -> bool:
    system, code = coding.get("system"), coding.get("code")
    if one.bound is None or type(system) is not str or type(code) is not str:
        return False
    return code in one.bound.get(system, frozenset())


def check_coding(walk: "Walk", item: Object, one: Property, path: "Path") -> None:
    """A required binding, an absolute system, and the hub's own code systems."""
    if one.bound is not None and not _is_in(one, item):
        walk.add("HUB-VAL-051", path)
    check_identifier(walk, item, one, path)
    system, code = item.get("system"), item.get("code")
    if walk.packages is None or type(system) is not str or not is_ours(system):
        return
    held = system_codes(walk.packages, system)
    if held is None:
        walk.add("HUB-VAL-053", (path, "system", None))
    elif type(code) is str and code not in held:
        walk.add("HUB-VAL-052", (path, "code", None))


def check_identifier(walk: "Walk", item: Object, _one: Property, path: "Path") -> None:
    """`system` is an absolute URI."""
    system = item.get("system")
    if type(system) is str and system and ":" not in system:
        walk.add("HUB-VAL-054", (path, "system", None))


def check_narrative(walk: "Walk", item: Object, _one: Property, path: "Path") -> None:
    """txt-1, txt-2 and security.md X7."""
    div = item.get("div")
    if type(div) is str and (finding := narrative.check(div)):
        walk.add(_DIV[finding], (path, "div", None))


OBJECT_CHECKS: dict[str, Callable[["Walk", Object, Property, "Path"], None]] = {
    "Reference": check_reference,
    "Extension": check_extension,
    "CodeableConcept": check_concept,
    "Coding": check_coding,
    "Identifier": check_identifier,
    "Narrative": check_narrative,
}
