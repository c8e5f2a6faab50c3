"""Make `search_parameters.json` from the R4 core package (4.0.1).

    python -m hub.store.build hl7.fhir.r4.core-4.0.1.tgz

Each SearchParameter expression is reduced to plain steps with the datatype at the
end, so that the extractor needs no FHIRPath at run time. What cannot be reduced is
listed under `unsupported` and therefore never declared. Parameters of the hub and of
JP Core stand in `MORE`, in the same shape.
"""

import json
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TYPES = (
    "Appointment",
    "AuditEvent",
    "Binary",
    "Bundle",
    "CapabilityStatement",
    "CarePlan",
    "CareTeam",
    "ClinicalImpression",
    "CodeSystem",
    "Communication",
    "Composition",
    "ConceptMap",
    "Condition",
    "Consent",
    "DocumentReference",
    "Encounter",
    "Endpoint",
    "EpisodeOfCare",
    "FamilyMemberHistory",
    "Group",
    "HealthcareService",
    "List",
    "Location",
    "Measure",
    "MeasureReport",
    "Observation",
    "OperationDefinition",
    "Organization",
    "OrganizationAffiliation",
    "Patient",
    "PlanDefinition",
    "Practitioner",
    "PractitionerRole",
    "Provenance",
    "Questionnaire",
    "QuestionnaireResponse",
    "RelatedPerson",
    "RiskAssessment",
    "SearchParameter",
    "ServiceRequest",
    "StructureDefinition",
    "Subscription",
    "Task",
    "ValueSet",
)
OUTPUT = Path(__file__).with_name("search_parameters.json")

# A name's script (ISO 21090): ideographs IDE, kana SYL, alphabet ABC.
_SCRIPT = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
_IS_KANA = f"extension('{_SCRIPT}').value='SYL'"
MORE: tuple[dict[str, Any], ...] = (
    # JP Core 1.1.2: the full name in kana, to sort by.
    {
        "id": "jp-kana-sort",
        "code": "jp-kana-sort",
        "type": "string",
        "base": ["Patient"],
        "expression": f"Patient.name.where({_IS_KANA} and use='usual').text",
    },
    # Ours: any part of a name in kana, whatever its use.
    *(
        {
            "id": f"{resource_type}-name-kana",
            "code": "name-kana",
            "type": "string",
            "base": [resource_type],
            "expression": f"{resource_type}.name.where({_IS_KANA})",
        }
        for resource_type in ("Patient", "Practitioner", "RelatedPerson")
    ),
)

_URIS = frozenset({"uri", "url", "canonical", "oid"})
_TEXTS = frozenset({"string", "markdown"})
# Which datatypes a parameter of each type can index (search.html, R4 4.0.1).
_FITTING: dict[str, frozenset[str]] = {
    "token": _URIS
    | _TEXTS
    | {"CodeableConcept", "Coding", "Identifier", "ContactPoint", "Quantity"}
    | {"code", "boolean", "id", "uuid"},
    "string": _TEXTS | {"HumanName", "Address", "CodeableConcept", "code"},
    "reference": _URIS | {"Reference", "Resource"},
    "date": frozenset({"date", "dateTime", "instant", "Period", "Timing"}),
    "quantity": frozenset({"Quantity", "Age", "Duration", "Money", "Range"}),
    "number": frozenset({"integer", "decimal", "positiveInt", "unsignedInt"}),
    "uri": _URIS | {"uuid"},
}
_STEP = re.compile(
    r"\.?(?:(?:as|ofType)\((?P<cast>\w+)\)"
    r"|where\(resolve\(\) is (?P<to>\w+)\)"
    r"|where\((?P<where>(?:[^()']|'[^']*'|\('[^']*'\))*)\)"
    r"|\[(?P<index>\d+)\]"
    r"|extension\('(?P<extension>[^']*)'\)"
    r"|(?P<name>[a-zA-Z]+)(?!\())"
)
_CONDITION = re.compile(
    r"(?P<key>\w+)\s*=\s*'(?P<value>[^']*)'"
    r"|hasExtension\('(?P<has>[^']*)'\)"
    r"|extension\('(?P<of>[^']*)'\)\.value\s*=\s*'(?P<is>[^']*)'"
)
_CAST = re.compile(r"\(([\w.]+) as (\w+)\)")
# R4 4.0.1 says `code` of the reference and `target` of the token of
# `DocumentReference.relationship`.
_MIXED_UP = {"relatesto": "target", "relation": "code"}
_PRESENT = re.compile(r"(\w+)\.(\w+)\.exists\(\) and \1\.\2 != false")

Element = dict[str, Any]


class UnsupportedError(Exception):
    """An expression that plain steps cannot say."""


class Definitions:
    """StructureDefinitions, ValueSets, SearchParameters, CompartmentDefinitions."""

    def __init__(self, package: Path) -> None:
        self.elements: dict[str, Element] = {}
        self.value_sets: dict[str, Any] = {}
        self.compartments: dict[str, dict[str, Any]] = {}
        self.parameters: list[dict[str, Any]] = list(MORE)
        for resource in _resources(package):
            self._add(resource)
        self.by_url = {p["url"]: p for p in self.parameters if "url" in p}

    def _add(self, resource: dict[str, Any]) -> None:
        kind = resource["resourceType"]
        if kind == "SearchParameter" and resource["id"].count("-"):
            self.parameters.append(resource)
        elif kind == "CompartmentDefinition" and resource["id"] != "example":
            self.compartments[resource["code"]] = resource
        elif kind == "ValueSet":
            self.value_sets[resource["url"]] = resource
        elif kind == "StructureDefinition" and resource.get("derivation") != (
            "constraint"
        ):
            for element in resource["snapshot"]["element"]:
                self.elements[element["path"]] = element

    def child(self, at: str, name: str) -> tuple[str, Element] | None:
        """The element `name` (or `name[x]`) below the path `at`, with its path."""
        for path in (f"{at}.{name}", f"{at}.{name}[x]"):
            element = self.elements.get(path)
            if element and "contentReference" in element:
                same_as = element["contentReference"].removeprefix("#")
                return same_as, {**element, "type": [{"code": "BackboneElement"}]}
            if element:
                return path, element
        return None

    def code_system(self, element: Element) -> str | None:
        """The one system of a required binding: what a bare code means."""
        binding = element.get("binding") or {}
        url = binding.get("valueSet", "").split("|")[0]
        included = self.value_sets.get(url, {}).get("compose", {}).get("include", [])
        if binding.get("strength") == "required" and len(included) == 1:
            system: str | None = included[0].get("system")
            return system
        return None


def _resources(package: Path) -> Iterator[dict[str, Any]]:
    wanted = re.compile(
        r"package/(SearchParameter|StructureDefinition|ValueSet|CompartmentDefinition)-"
    )
    with tarfile.open(package) as archive:
        for member in archive:
            stream = archive.extractfile(member) if wanted.match(member.name) else None
            if stream:
                yield json.load(stream)


def build(definitions: Definitions) -> dict[str, Any]:
    """`{"parameters": {type: [row]}, "unsupported": {type: [code]}}`, both sorted,
    and `"compartments": {compartment: {type: [code]}}`, the types of which are in it.

    A row has `code`, `type`, `targets` (reference only; `*` = any), `components`
    (composite only; `code` and `type` of each) and `paths`: a list of
    `{"at": steps, "as": datatype, "to"?: type, "system"?: uri}`; of a composite
    `{"at": steps, "as": "composite", "parts": [paths of each component]}`. A step is
    an element name, with `?condition&condition` when the elements are filtered:
    `key=value`, `extension(url)=value` (any value when empty), or `[0]`, the place.
    """
    parameters: dict[str, list[Any]] = {name: [] for name in TYPES}
    unsupported: dict[str, list[str]] = {name: [] for name in TYPES}
    for definition in definitions.parameters:
        for resource_type in _bases(definition):
            try:
                row = _row(definitions, definition, resource_type)
            except UnsupportedError:
                unsupported[resource_type].append(definition["code"])
            else:
                parameters[resource_type].append(row)
    return {
        "parameters": {
            name: sorted(rows, key=lambda row: str(row["code"]))
            for name, rows in parameters.items()
        },
        "unsupported": {k: sorted(set(v)) for k, v in unsupported.items() if v},
        "compartments": {
            name: _compartment(found)
            for name, found in sorted(definitions.compartments.items())
        },
    }


def _compartment(definition: dict[str, Any]) -> dict[str, list[str]]:
    """By which parameters a type is in the compartment; `{def}` is the type itself."""
    return {
        row["code"]: [code for code in row["param"] if code != "{def}"]
        for row in definition["resource"]
        if row["code"] in TYPES and "param" in row
    }


def _bases(definition: dict[str, Any]) -> list[str]:
    bases = definition.get("base", [])
    if "Resource" in bases or "DomainResource" in bases:
        return list(TYPES)
    return [base for base in bases if base in TYPES]


def _row(
    definitions: Definitions, definition: dict[str, Any], resource_type: str
) -> dict[str, Any]:
    kind = definition["type"]
    if kind == "composite":
        return _composite(definitions, definition, resource_type)
    if kind not in _FITTING or not definition.get("expression"):
        raise UnsupportedError
    paths = [
        path
        for branch in _branches(definition["expression"], resource_type)
        for path in _paths(definitions, branch, resource_type, kind)
    ]
    if not paths:
        raise UnsupportedError
    row = {"code": definition["code"], "type": kind, "paths": paths}
    if kind == "reference":
        row["targets"] = _targets(definition)
        for path in paths:
            if path["as"] == "Resource":  # the first resource of a Bundle itself
                path["to"] = definition["target"][0]
    return row


def _composite(
    definitions: Definitions, definition: dict[str, Any], resource_type: str
) -> dict[str, Any]:
    """A row whose paths lead to the element that holds both components."""
    parts = [_component(definitions, part) for part in definition["component"]]
    if all(kind != "token" for _code, kind, _expression in parts):
        raise UnsupportedError  # the index is entered by a code
    paths = []
    for branch in _branches(definition["expression"], resource_type):
        for at, below in _bases_of_parts(definitions, branch, resource_type):
            found = [
                _relative(definitions, below, expression, kind)
                for _code, kind, expression in parts
            ]
            paths.append({"at": list(at), "as": "composite", "parts": found})
    components = [{"code": code, "type": kind} for code, kind, _expression in parts]
    return {
        "code": definition["code"],
        "type": "composite",
        "components": components,
        "paths": paths,
    }


def _component(
    definitions: Definitions, part: dict[str, Any]
) -> tuple[str, str, tuple[str, ...]]:
    """Code, type and expressions of a component."""
    own = definitions.by_url[part["definition"]]
    expressions = part["expression"].replace("DateTime", "dateTime").split(" | ")
    if own["code"] in _MIXED_UP:
        expressions = [_MIXED_UP[own["code"]]]
    return own["code"], own["type"], tuple(expressions)


def _bases_of_parts(
    definitions: Definitions, branch: str, resource_type: str
) -> Iterator[tuple[tuple[str, ...], str]]:
    """JSON steps to the common element, and the element path below which to go on."""
    if branch == resource_type:
        yield (), resource_type
        return
    steps, _to = _steps(branch)
    for at, datatype, element in _walk(definitions, resource_type, steps):
        is_backbone = datatype == "BackboneElement"
        yield at, element["path"] if is_backbone else datatype


def _relative(
    definitions: Definitions, below: str, expressions: tuple[str, ...], kind: str
) -> list[dict[str, Any]]:
    """Paths of one component from the common element on."""
    found = [
        _path(at, datatype, None, definitions.code_system(element))
        for expression in expressions
        for at, datatype, element in _walk(
            definitions, below, _steps(f"{below}.{expression}", len(below))[0]
        )
        if datatype in _FITTING[kind]
    ]
    if not found:
        raise UnsupportedError
    return found


def _targets(definition: dict[str, Any]) -> list[str]:
    named = definition.get("target", [])
    served = sorted(set(named) & set(TYPES))
    return ["*"] if len(served) == len(TYPES) or not named else served


def _branches(expression: str, resource_type: str) -> Iterator[str]:
    """The members of a union that begin at this type, `(x as T)` as `x.as(T)`."""
    if _PRESENT.fullmatch(expression):
        yield expression
        return
    for branch in expression.split(" | "):
        plain = _CAST.sub(r"\1.as(\2)", branch.strip())
        head = plain.split(".")[0]
        if head in (resource_type, "Resource"):
            yield plain


def _paths(
    definitions: Definitions, branch: str, resource_type: str, kind: str
) -> list[dict[str, Any]]:
    if match := _PRESENT.fullmatch(branch):
        return [_present(definitions, resource_type, match[2])]
    steps, to = _steps(branch)
    ends = _walk(definitions, resource_type, steps)
    return [
        _path(at, datatype, to, definitions.code_system(element))
        for at, datatype, element in ends
        if datatype in _FITTING[kind]
    ]


def _path(
    at: tuple[str, ...], datatype: str, to: str | None, system: str | None
) -> dict[str, Any]:
    path: dict[str, Any] = {"at": list(at), "as": datatype}
    if to:
        path["to"] = to
    if datatype == "code" and system:
        path["system"] = system
    return path


def _present(definitions: Definitions, resource_type: str, name: str) -> dict[str, Any]:
    ends = _walk(definitions, resource_type, [(name, None)])
    return {"at": [], "as": "present", "names": [at[0] for at, _type, _el in ends]}


Step = tuple[str, str | None]  # name (with filter), datatype it is cast to


def _steps(branch: str, position: int = 0) -> tuple[list[Step], str | None]:
    """The steps after the type, and the type that the reference must point to."""
    steps: list[Step] = []
    to: str | None = None
    position = position or branch.index(".")
    while position < len(branch):
        match = _STEP.match(branch, position)
        if match is None or to:
            raise UnsupportedError
        position = match.end()
        to = match["to"]
        _add_step(steps, match)
    return steps, to


def _add_step(steps: list[Step], match: re.Match[str]) -> None:
    if match["name"]:
        steps.append((match["name"], None))
    elif match["extension"]:
        steps.extend([(f"extension?url={match['extension']}", None), ("value", None)])
    elif match["cast"]:
        steps[-1] = (steps[-1][0], match["cast"])
    elif match["index"]:
        steps[-1] = (f"{steps[-1][0]}?[{match['index']}]", steps[-1][1])
    elif match["where"]:
        name, cast = steps[-1]
        steps[-1] = (f"{name}?{_conditions(match['where'])}", cast)


def _conditions(where: str) -> str:
    """What stands in `where(…)`, as a step says it."""
    found = []
    for condition in where.split(" and "):
        match = _CONDITION.fullmatch(condition.strip())
        if match is None:
            raise UnsupportedError
        if match["key"]:
            found.append(f"{match['key']}={match['value']}")
        else:
            url, wanted = match["has"] or match["of"], match["is"] or ""
            found.append(f"extension({url})={wanted}")
    return "&".join(found)


def _walk(
    definitions: Definitions, at: str, steps: list[Step]
) -> list[tuple[tuple[str, ...], str, Element]]:
    """Follow steps from the element path `at`: (JSON steps, datatype, element)."""
    (step, cast), rest = steps[0], steps[1:]
    name, _, condition = step.partition("?")
    found = definitions.child(at, name)
    if found is None:
        raise UnsupportedError
    path, element = found
    ends: list[tuple[tuple[str, ...], str, Element]] = []
    for datatype in _datatypes(element, cast):
        key = name + _capital(datatype) if path.endswith("[x]") else name
        own = f"{key}?{condition}" if condition else key
        if not rest:
            ends.append(((own,), datatype, element))
            continue
        below = path if datatype in ("BackboneElement", "Element") else datatype
        ends.extend(
            ((own, *more), end, leaf)
            for more, end, leaf in _walk(definitions, below, rest)
        )
    return ends


def _datatypes(element: Element, cast: str | None) -> list[str]:
    # `id` is typed by a FHIRPath system URL in the core package.
    codes = [t["code"].replace(_SYSTEM_STRING, "id") for t in element["type"]]
    return [code for code in codes if cast is None or code == cast]


_SYSTEM_STRING = "http://hl7.org/fhirpath/System.String"


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def main(package: Path, output: Path = OUTPUT) -> None:
    """Write the table beside this module, one parameter a line."""
    table = build(Definitions(package))
    lines = [
        f" {json.dumps(name)}: [\n  "
        + ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in rows)
        + "\n ]"
        for name, rows in table["parameters"].items()
    ]
    others = ",\n".join(
        f'"{name}": {json.dumps(table[name], indent=1)}'
        for name in ("unsupported", "compartments")
    )
    parameters = ",\n".join(lines)
    output.write_text(f'{{"parameters": {{\n{parameters}\n}},\n{others}}}\n', "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
