"""The official R4 examples of the served types, and what each may be found by."""

import json
import re
import tarfile
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from hub.restful.served import SERVED
from hub.store.parameters import definitions

SHARED = Path(__file__).resolve().parents[3] / "shared" / "fhir" / "packages"
EXAMPLES = SHARED / "hl7.fhir.r4.examples-4.0.1-instances.tgz"
CORE = SHARED / "hl7.fhir.r4.core-4.0.1.tgz"

# The examples package has none of these: the core package's own are the examples,
# every so-many-th of them, and the one whose url holds its version.
FROM_CORE = {
    "StructureDefinition": 60,
    "SearchParameter": 60,
    "ValueSet": 60,
    "CodeSystem": 50,
    "ConceptMap": 8,
    "OperationDefinition": 5,
}
# Whatever status a client sends, the hub sets its own.
SET_BY_THE_HUB = {"Subscription"}
ALWAYS = ("CodeSystem-v2-2.1-0006.json",)
_SPECIAL = re.compile(r"([\\,$|])")
_CONTROL = re.compile("[\\x00-\\x1f]")
_HUMAN_NAME = ("family", "given", "prefix", "suffix", "text")
_ADDRESS = ("line", "city", "district", "state", "country", "postalCode", "text")


@cache
def examples() -> dict[str, bytes]:
    """{file name: bytes} of every example of a served type, sorted by name."""
    kinds = SERVED.keys() - SET_BY_THE_HUB
    found = {name: raw for name, raw in _files(EXAMPLES) if _kind(name) in kinds}
    by_kind: dict[str, list[tuple[str, bytes]]] = {}
    for name, raw in _files(CORE):
        if _kind(name) in FROM_CORE:
            by_kind.setdefault(_kind(name), []).append((name, raw))
    for kind, some in by_kind.items():
        found.update(sorted(some)[:: FROM_CORE[kind]])
        found.update((name, raw) for name, raw in some if name in ALWAYS)
    return dict(sorted(found.items()))


def _files(package: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(package) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            content = archive.extractfile(member)
            if content and name.endswith(".json") and "-" in name:
                yield name, content.read()


def _kind(name: str) -> str:
    return name.partition("-")[0]


def as_written(raw: bytes) -> str:
    """What must be kept: every element but the stamp, in order, decimals as digits."""
    document = json.loads(raw, parse_float=Decimal)
    document.pop("id", None)
    meta = document.pop("meta", {})
    kept = {
        k: v for k, v in meta.items() if k not in ("versionId", "lastUpdated")
    } or None
    return json.dumps([kept, document], default=_digits, ensure_ascii=False)


def _digits(value: Any) -> str:
    return f"decimal {value.as_tuple()}"


def asked(resource: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(parameter, value) of every search that must find a resource.

    Values are taken from the resource by the published paths alone, not from the index.
    """
    for code, definition in definitions()[resource["resourceType"]].items():
        if code == "_lastUpdated":  # the hub's own stamp
            continue
        for path in definition.paths:
            for value in _at(resource, path["at"]):
                for one in _values(definition.parameter.type, path, value):
                    yield code, one


def _at(value: Any, steps: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _at(item, steps)
    elif not steps:
        yield value
    elif isinstance(value, dict):
        name, _, condition = steps[0].partition("?")
        key, _, wanted = condition.partition("=")
        below = value.get(name)
        for item in below if isinstance(below, list) else [below]:
            if item is not None and (not key or item.get(key) == wanted):
                yield from _at(item, steps[1:])


def _values(kind: str, path: dict[str, Any], value: Any) -> Iterator[str]:
    datatype = path["as"]
    match kind:
        case "token":
            yield from _tokens(datatype, value)
        case "string":
            yield from _strings(datatype, value)
        case "reference":
            yield from _references(datatype, path.get("to"), value)
        case "date":
            yield from _dates(datatype, value)
        case "quantity" | "number":
            yield from _quantities(datatype, value)
        case "uri":
            yield escaped(value)


def _tokens(datatype: str, value: Any) -> Iterator[str]:
    if datatype == "CodeableConcept":
        for coding in value.get("coding", ()):
            yield from _tokens("Coding", coding)
    elif datatype in ("Coding", "Quantity", "Identifier"):
        code = value.get("value" if datatype == "Identifier" else "code")
        if isinstance(code, str):
            system = f"{escaped(value['system'])}|" if value.get("system") else ""
            yield system + escaped(code)
    elif datatype == "ContactPoint":
        if "value" in value:
            yield escaped(value["value"])
    elif isinstance(value, bool):
        yield str(value).lower()
    elif isinstance(value, str):
        yield escaped(value)


def _strings(datatype: str, value: Any) -> Iterator[str]:
    names = {
        "HumanName": _HUMAN_NAME,
        "Address": _ADDRESS,
        "CodeableConcept": ("text",),
    }.get(datatype)
    parts = [value] if names is None else [value[n] for n in names if n in value]
    for part in parts:
        for text in part if isinstance(part, list) else [part]:
            if isinstance(text, str) and any(c.isalnum() for c in text):
                # A string matches by how it begins; a query holds no line break.
                yield escaped(_CONTROL.split(text)[0][:60].rstrip())


def _references(datatype: str, to: str | None, value: Any) -> Iterator[str]:
    if datatype != "Reference":
        if not value.startswith("#"):
            yield escaped(value)
        return
    target = value.get("reference", "#")
    if not target.startswith("#"):
        bare = target.partition("/_history/")[0]
        if to is None or bare.split("/")[-2:][0] == to:
            yield escaped(bare)


def _dates(datatype: str, value: Any) -> Iterator[str]:
    if datatype == "Timing":
        yield from (event for event in value.get("event", ()))
        value = value.get("repeat", {}).get("boundsPeriod", {})
    if isinstance(value, str):
        yield value
    elif "start" in value:
        yield f"ge{value['start']}"
    elif "end" in value:
        yield f"le{value['end']}"


def _quantities(datatype: str, value: Any) -> Iterator[str]:
    if datatype == "Range":
        value = {**value.get("low", {}), "comparator": ">"}
        if "value" in value:
            yield f"ge{value['value']}"
    elif not isinstance(value, dict):
        yield str(value)
    elif "value" in value:
        if "comparator" in value:
            yield f"{'le' if value['comparator'][0] == '<' else 'ge'}{value['value']}"
        elif "code" in value:
            yield f"{value['value']}|{value.get('system', '')}|{value['code']}"
        else:
            yield str(value["value"])


def escaped(value: str) -> str:
    """A value in which nothing separates: commas, bars and dollars are meant."""
    return _SPECIAL.sub(r"\\\1", value)
