"""One JSON Schema (2020-12) per R4 type, from the same facts as the walk.

It says what JSON Schema can say: names, cardinality, primitive formats, required
codes, choice types. The tests hold the walk against it by jsonschema-rs, and it can
stand in an OpenAPI document. It is not part of `validate`: measured, the gate saves
under half a millisecond a transaction and costs megabytes for every type, while the
walk has to visit each element anyway.
"""

from typing import Any

from hub.validation.shapes import Property, Shape, shape

Schema = dict[str, Any]

_DAY = "(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = "(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_INT32 = 2**31


def _text(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


_BLANK_FREE = _text(r"\S+")
_STRING = {"type": "string", "pattern": r"\S"}
_PRIMITIVES: dict[str, Schema] = {
    "base64Binary": {"type": "string", "pattern": r"^[0-9A-Za-z+/=\s]+$"},
    "boolean": {"type": "boolean"},
    "canonical": _BLANK_FREE,
    "code": _text(r"\S+( \S+)*"),
    "date": _text(f"[0-9]{{4}}{_DAY})?)?"),
    "dateTime": _text(f"[0-9]{{4}}{_DAY}(T{_TIME}{_ZONE})?)?)?"),
    "decimal": {"type": "number"},
    "id": _text(r"[A-Za-z0-9\-.]{1,64}"),
    "instant": _text(f"[0-9]{{4}}{_DAY}))T{_TIME}{_ZONE}"),
    "integer": {"type": "integer", "minimum": -_INT32, "maximum": _INT32 - 1},
    "markdown": _STRING,
    "oid": _text(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+"),
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": _INT32 - 1},
    "string": _STRING,
    "time": _text(_TIME),
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": _INT32 - 1},
    "uri": _BLANK_FREE,
    "url": _BLANK_FREE,
    "uuid": _text("urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "xhtml": _STRING,
}


def json_schema(resource_type: str) -> Schema:
    """The schema of a resource type; resources inside it are only named as such.

    KeyError when R4 has no such type.
    """
    definitions: dict[str, Schema] = {
        "Resource": {"type": "object", "required": ["resourceType"]}
    }
    _define(shape("Element"), definitions)
    _define(shape(resource_type), definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": f"#/$defs/{resource_type}",
        "$defs": definitions,
    }


def _define(known: Shape, definitions: dict[str, Schema]) -> None:
    if known.path in definitions:
        return
    schema: Schema = {"type": "object", "additionalProperties": False}
    definitions[known.path] = schema
    properties: dict[str, Schema] = {}
    for key, one in known.properties.items():
        properties[key] = _many(one, _single(one, definitions))
        if one.ok and key != "resourceType":
            properties["_" + key] = _many(one, {"$ref": "#/$defs/Element"})
    schema["properties"] = properties
    schema["minProperties"] = 1
    if known.is_resource:
        properties["resourceType"] = {"const": known.name}
        schema["required"] = ["resourceType"]
    rules = [_one_of(keys) for _, keys in known.required]
    rules += [_exclusive(keys) for keys in _choices(known)]
    if rules:
        schema["allOf"] = rules


def _single(one: Property, definitions: dict[str, Schema]) -> Schema:
    if one.shape is not None:
        _define(one.shape, definitions)
        return {"$ref": f"#/$defs/{one.shape.path}"}
    if one.ok is None:
        return {"$ref": "#/$defs/Resource"}
    if one.allowed is not None:
        return {"enum": sorted(one.allowed)}
    return _PRIMITIVES[one.type]


def _many(one: Property, item: Schema) -> Schema:
    if not one.many:
        return item
    if one.ok is not None:
        item = {"anyOf": [item, {"type": "null"}]}  # null where only an extension is
    schema: Schema = {"type": "array", "minItems": 1, "items": item}
    if one.limit is not None:
        schema["maxItems"] = one.limit
    return schema


def _one_of(keys: tuple[str, ...]) -> Schema:
    return {"anyOf": [{"required": [key]} for key in keys]}


def _choices(known: Shape) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for key, one in known.properties.items():
        if one.choice is not None:
            groups.setdefault(one.choice, []).append(key)
    return list(groups.values())


def _exclusive(keys: list[str]) -> Schema:
    present = [_one_of((key, "_" + key)) for key in keys]
    return {"oneOf": [*present, {"not": {"anyOf": present}}]}
