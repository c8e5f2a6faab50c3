"""For any declared parameter: a resource that has a value there, and how to ask for it.

Made from the table of paths alone, so that no parameter can be forgotten.
"""

import re
from typing import Any

from hub.fhir.search import Parameter
from hub.store.parameters import Definition, declared

SYSTEM = "http://x.example/system"
# By datatype: what stands in the resource.
ELEMENTS: dict[str, Any] = {
    "CodeableConcept": {"coding": [{"system": SYSTEM, "code": "c1"}], "text": "言葉"},
    "Coding": {"system": SYSTEM, "code": "c1", "display": "言葉"},
    "Identifier": {
        "system": SYSTEM,
        "value": "c1",
        "type": {"coding": [{"system": SYSTEM, "code": "MR"}]},
    },
    "ContactPoint": {"system": "phone", "value": "c1"},
    "Quantity": {"value": 5.4, "unit": "g", "system": SYSTEM, "code": "c1"},
    "Age": {"value": 5.4, "unit": "g", "system": SYSTEM, "code": "c1"},
    "Duration": {"value": 5.4, "unit": "g", "system": SYSTEM, "code": "c1"},
    "Money": {"value": 5.4, "currency": "c1"},
    "Range": {"low": {"value": 5.4, "code": "c1"}, "high": {"value": 5.4}},
    "HumanName": {"text": "髙﨑 ハナコ", "family": "髙﨑", "given": ["ハナコ"]},
    "Address": {"text": "髙﨑 ハナコ"},
    "Reference": {"reference": "Patient/r1", "type": "Patient"},
    "Period": {"start": "2026-11-02", "end": "2026-11-02"},
    "Timing": {"event": ["2026-11-02"]},
    "boolean": True,
    "integer": 5,
    "positiveInt": 5,
    "unsignedInt": 5,
    "decimal": 5.4,
    "date": "2026-11-02",
    "dateTime": "2026-11-02T10:00:00+09:00",
    "instant": "2026-11-02T10:00:00.000+09:00",
}
WORDS = {"string", "markdown"}
URIS = {"uri", "url", "canonical", "oid", "uuid"}
URI = "http://x.example/a/b"


def element(datatype: str, kind: str, path: dict[str, Any]) -> Any:
    """A value of this datatype, where `path` ends."""
    if datatype == "Reference":
        type_ = path.get("to") or "Patient"
        return {"reference": f"{type_}/r1", "type": type_}
    if datatype == "Resource":
        return {"resourceType": path["to"], "id": "r1"}
    if datatype in URIS:
        return URI
    if datatype in WORDS and kind == "string":
        return "髙﨑 ハナコ"
    return ELEMENTS.get(datatype, "c1")


def put(document: dict[str, Any], steps: list[str], value: Any) -> None:
    """Place a value at the end of `steps`; every element on the way is a list."""
    *way, last = steps
    here = document
    for step in way:
        here = _enter(here, step)
    name, _, condition = last.partition("?")
    if condition and isinstance(value, dict):
        value = {**value, **_as_condition(condition)}
    here[name] = [value] if condition or name in ("profile", "tag") else value


def _enter(here: dict[str, Any], step: str) -> dict[str, Any]:
    name, _, condition = step.partition("?")
    below: dict[str, Any] = _as_condition(condition)
    here[name] = [below] if condition else below
    return below


def _as_condition(condition: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in filter(None, condition.split("&")):
        key, _, wanted = part.rpartition("=")
        if match := re.fullmatch(r"extension\((.*)\)", key):
            found["extension"] = [{"url": match[1], "valueCode": wanted or "x"}]
        elif key:
            found[key] = wanted
    return found


def document(type_: str, definition: Definition, path: dict[str, Any]) -> Any:
    """A resource of the type with a value at one path of the parameter."""
    made: dict[str, Any] = {"resourceType": type_}
    kind = definition.parameter.type
    if path["as"] == "composite":
        below: dict[str, Any] = {}
        parts = zip(definition.parameter.components, path["parts"], strict=True)
        for component, paths in parts:
            put(
                below, paths[0]["at"], element(paths[0]["as"], component.type, paths[0])
            )
        if not path["at"]:
            return {**made, **below}
        put(made, path["at"], below)
    elif path["as"] == "present":
        made[path["names"][0]] = True
    else:
        put(made, path["at"], element(path["as"], kind, path))
    return made


def asked(parameter: Parameter, path: dict[str, Any]) -> str:
    """The value that finds what `document` made."""
    if parameter.components:
        pairs = zip(parameter.components, path["parts"], strict=True)
        return "$".join(asked(part, paths[0]) for part, paths in pairs)
    datatype = path["as"]
    if datatype in URIS:
        return URI
    special = {"boolean": "true", "present": "true", "CodeableConcept": "言"}
    if parameter.type == "string":
        return {**special, "code": "c1"}.get(datatype, "高崎")
    number = "5" if datatype in ("integer", "positiveInt") else "5.4"
    plain = {
        "reference": f"{path.get('to') or 'Patient'}/r1",
        "date": "2026-11-02",
        "quantity": number,
        "number": number,
        "token": special.get(datatype, "c1") if datatype != "CodeableConcept" else "c1",
    }
    return plain[parameter.type]


def every() -> list[tuple[str, str]]:
    """Every (type, code) that the index answers."""
    return [
        (type_, code)
        for type_, known in sorted(declared().items())
        for code in sorted(known)
        if code not in ("_id", "_lastUpdated")
    ]
