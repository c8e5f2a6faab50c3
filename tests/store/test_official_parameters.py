"""Every official search parameter, held against its own FHIRPath and against values.

The expressions of the R4 SearchParameters are run over the official examples by an
independent engine: where they give a value the index must hold one, and only there.
"""

import json
import re
import tarfile
from collections.abc import Iterator
from functools import cache
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from hub.fhir.json import decode
from hub.store.extract import rows
from hub.store.parameters import compartments, declared, definitions, unsupported
from tests.store.conftest import BASE
from tests.store.test_examples import EXAMPLES, REFUSED

CORE = EXAMPLES.with_name("hl7.fhir.r4.core-4.0.1.tgz")

pytestmark = pytest.mark.skipif(
    not CORE.exists(), reason="the R4 core package is not here"
)

# Answered by columns of the resource, not by the index.
COLUMNS = {"_id", "_lastUpdated"}
# The expression takes words (scheduledString) for dates.
WORDS = {("CarePlan", "activity-date")}
OURS = {"jp-kana-sort", "name-kana"}


@cache
def official() -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tarfile.open(CORE) as archive:
        for member in archive:
            if member.name.startswith("package/SearchParameter-"):
                one = json.load(archive.extractfile(member))  # type: ignore[arg-type]
                for base in one.get("base", []):
                    bases = declared() if base.endswith("Resource") else [base]
                    for type_ in set(bases) & declared().keys():
                        found.setdefault((type_, one["code"]), []).append(one)
    return found


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    with tarfile.open(EXAMPLES) as archive:
        return [
            decode(archive.extractfile(member).read())  # type: ignore[union-attr]
            for member in archive
            if (name := member.name.rpartition("/")[2]).endswith(".json")
            and name.split("-")[0] in declared()
            and name not in REFUSED
        ]


def test_every_official_parameter_is_declared_or_told_as_unsupported():
    refused = {
        "Location": ["near"],
        # R4 gives no expression, or one of another type.
        "Patient": ["age", "birthOrderBoolean", "part-agree"],
    }
    for type_, codes in unsupported().items():
        own = [code for code in codes if not code.startswith("_")]
        assert own == refused.get(type_, [])
        assert set(codes) - set(own) == {"_content", "_query", "_text"}
    for type_, code in official():
        if code not in ("_filter", "_list", "_has", "_type", "_in"):
            assert code in {*declared()[type_], *unsupported()[type_]}, (type_, code)
    for type_, known in declared().items():
        assert {(type_, code) for code in known.keys() - OURS} <= official().keys()


def test_compartments_name_declared_parameters():
    assert set(compartments()) == {
        "Device",
        "Encounter",
        "Patient",
        "Practitioner",
        "RelatedPerson",
    }
    for types in compartments().values():
        for type_, codes in types.items():
            for code in codes:
                assert declared()[type_][code].type == "reference", (type_, code)


def expression_for(type_: str, found: dict[str, Any]) -> str | None:
    """The branches of this type, in words that the other engine can run."""
    branches = []
    for branch in found.get("expression", "").split(" | "):
        plain = branch.strip().removeprefix("(").split(" as ")[0]
        if re.match(rf"({type_}|Resource|DomainResource)\b", plain):
            branches.append(branch.strip())
    text = re.sub(r"\b(Domain)?Resource\.", f"{type_}.", " | ".join(branches))
    text = re.sub(r"resolve\(\) is (\w+)", r"reference.contains('\1/')", text)
    text = re.sub(r"\((\w+[\w.]*) as (\w+)\)", r"\1.ofType(\2)", text)
    text = re.sub(r"\.as\((\w+)\)", r".ofType(\1)", text)
    return text.replace("hasExtension(", "extension.exists(url=") or None


def is_value(item: Any, kind: str, targets: list[str]) -> bool:
    """What a search of this kind could name.

    Not: a reference into the resource, display alone, a timing without dates, sampled
    data, an attachment, an identifier without a value.
    """
    if not isinstance(item, dict):
        return item is not None
    if "resourceType" in item:  # the first resource of a Bundle
        return item["resourceType"] in targets
    if kind == "reference":
        own = str(item.get("reference", "#" if "identifier" not in item else ""))
        return not own.startswith("#")
    if kind == "date":
        return bool({"start", "end", "event"} & item.keys())
    if kind == "quantity" and "origin" in item:
        return False
    return bool(item.keys() - {"extension", "id", "use", "rank", "display", "system"})


def numbers_of(document: dict[str, Any]) -> set[int]:
    return {row["parameter"] for some in rows(document, BASE).values() for row in some}


def compiled() -> Iterator[tuple[str, str, Any]]:
    for (type_, code), found in sorted(official().items()):
        if code not in declared()[type_].keys() - COLUMNS or (type_, code) in WORDS:
            continue
        for one in found:
            text = expression_for(type_, one)
            if text and one["type"] != "composite":
                run = fhirpathpy.compile(text, model=models["r4"])
                yield (
                    type_,
                    code,
                    lambda d, run=run, one=one: [
                        item
                        for item in run(d)
                        if is_value(item, one["type"], one.get("target", []))
                    ],
                )


def test_the_index_holds_what_the_official_expressions_give(documents):
    by_type: dict[str, list[tuple[str, Any]]] = {}
    for type_, code, run in compiled():
        by_type.setdefault(type_, []).append((code, run))
    asked, differing = 0, []
    for document in documents:
        type_ = document["resourceType"]
        plain = json.loads(json.dumps(document, default=float))
        held = numbers_of(document)
        for code, run in by_type[type_]:
            d = definitions()[type_][code]
            own = {d.number, d.text_number, d.identifier_number} & held
            given = run(plain)
            asked += bool(given)
            if bool(own) != bool(given):
                differing.append((type_, document["id"], code, given[:1]))
    assert asked > 2800
    assert differing == []
