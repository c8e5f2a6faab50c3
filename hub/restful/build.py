"""Make `summaries.json` from the R4 core package (4.0.1): what `_summary=true` keeps.

    python -m hub.restful.build hl7.fhir.r4.core-4.0.1.tgz

`{type: {path: [JSON names]}}`: for the type itself (path "") and for each of its
backbone elements the names that are marked isSummary, and those that must be there.
"""

import json
import sys
from pathlib import Path

from hub.store.build import TYPES, Definitions, Element

OUTPUT = Path(__file__).with_name("summaries.json")

Summaries = dict[str, dict[str, list[str]]]


def build(definitions: Definitions) -> Summaries:
    """The table of every type that is served."""
    return {name: _of_type(definitions, name) for name in TYPES}


def _of_type(definitions: Definitions, name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    summarised: set[str] = set()
    for path, element in definitions.elements.items():
        if not path.startswith(f"{name}.") or path.endswith(".modifierExtension"):
            continue  # a modifier extension is always kept
        parent, _, last = path.rpartition(".")
        below = parent.removeprefix(name).removeprefix(".")
        if element.get("isSummary"):
            summarised.add(below)
        if element.get("isSummary") or element["min"]:
            found.setdefault(below, []).extend(_names(last, element))
    # A backbone none of whose elements is marked is part of a summary as a whole.
    return {path: sorted(names) for path, names in found.items() if path in summarised}


def _names(last: str, element: Element) -> list[str]:
    """The JSON names of an element: one, or one for each datatype of a choice."""
    if not last.endswith("[x]"):
        return [last]
    stem = last.removesuffix("[x]")
    codes = [one["code"] for one in element["type"]]
    return [stem + code[0].upper() + code[1:] for code in codes]


def main(package: Path, output: Path = OUTPUT) -> None:
    """Write the table beside this module, one type a line."""
    table = build(Definitions(package))
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in table.items()]
    output.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
