"""Official R4 examples and HL7's validator cases: judged by others."""

import json
from collections import Counter

import pytest

from hub.fhir.json import decode
from hub.fhir.outcome import FhirError, errors
from hub.validation import validate
from tests.validation.examples import SERVED, SHARED, examples

# Errors found in official examples of the served types; each is the example's own.
KNOWN = {
    "Questionnaire-qs1.json": "items without linkId",
    "Questionnaire-zika-virus-exposure-assessment.json": "txt-2: a blank narrative",
    "Observation-clinical-gender.json": "performer is not one of the target types",
    "Bundle-10bb101f-a121-4264-a920-67be9cb82c74.json": "fullUrl against id",
    "Bundle-lri-example.json": "fullUrl against id",
    "Bundle-3a0707d3-549e-4467-b8b8-5a2ab3800efe.json": "fullUrl against id",
}

# Steps of HL7's cases where this validator is stricter than the official outcome.
STRICTER = {
    "contained-resource-bad-id-ignore/base": "the case switches the id rule off",
}


def test_official_examples_of_the_served_types_have_no_false_error():
    judged = {
        name: [(i.id, i.expression) for i in errors(validate(resource))]
        for name, resource in examples()
        if resource["resourceType"] in SERVED
    }
    assert len(judged) > 300
    wrong = {name: issues for name, issues in judged.items() if issues}
    assert wrong.keys() == KNOWN.keys(), wrong


def test_hl7_cases_agree_but_for_what_later_rules_decide():
    cases = SHARED / "hl7-test-cases" / "cases.json"
    if not cases.is_file():
        pytest.skip("no ../shared/fhir/hl7-test-cases")
    steps = [s for s in json.loads(cases.read_bytes()) if s["step"] == "base"]
    counted: Counter[tuple[str, str, bool]] = Counter()
    stricter = set()
    for step in steps:
        mine = _outcome((cases.parent / step["file"]).read_bytes())
        counted[step["tier"], step["expected"], mine == step["expected"]] += 1
        if step["expected"] == "PASS" and mine == "FAIL":
            stricter.add(step["id"])
    assert stricter == STRICTER.keys()
    agreed = sum(n for (_, _, same), n in counted.items() if same)
    structural = counted["structural", "FAIL", True]
    # Terminology servers, profiles and Questionnaires decide most of the others.
    assert agreed >= 99
    assert structural >= 17


def _outcome(raw: bytes) -> str:
    try:
        found = validate(decode(raw, max_depth=200))
    except FhirError:
        return "FAIL"
    return "FAIL" if errors(found) else "PASS"


# Base cases of the Japanese collection that later rules decide.
LATER = {
    "observation-bp-extra-component": "a profile",
    "observation-bp-no-component": "a profile",
    "observation-dom6": "dom-6 is advice",
    "observation-money-invalid-currency": "ISO 4217 is not held",
    "patient-meta-security-unknown-cs": "an unknown code system of others",
}


def test_base_cases_of_the_japanese_collection_are_refused():
    folder = SHARED / "jp-cases" / "fhir-base"
    if not folder.is_dir():
        pytest.skip("no ../shared/fhir/jp-cases")
    files = sorted(folder.glob("*.ndjson"))
    accepted = {
        path.stem
        for path in files
        if all(_outcome(line) == "PASS" for line in path.read_bytes().splitlines())
    }
    assert len(files) > 80
    assert accepted == LATER.keys()
