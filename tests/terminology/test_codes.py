"""Codes of the required R4 value sets and of the hub's own code systems."""

from typing import Any

import pytest

from hub.fhir.canonical import ROOT, code_system
from hub.terminology import (
    codes,
    is_ours,
    not_held,
    resource_types,
    system_codes,
    validate_code,
)
from hub.terminology.expand import NotHeldError, expand
from tests.validation.resources import a_task, found

MEANS = code_system("means")
STATUS = "http://hl7.org/fhir/ValueSet/task-status"


class Profiles:
    """Packages that hold one code system."""

    def __init__(self) -> None:
        self.system = {
            "resourceType": "CodeSystem",
            "url": MEANS,
            "content": "complete",
            "concept": [{"code": "a", "concept": [{"code": "a-1"}]}, {"code": "b"}],
        }

    def code_system(self, url: str) -> dict[str, Any] | None:
        return self.system if url == MEANS else None


def test_a_required_value_set_is_held_with_its_systems():
    held = codes(STATUS)
    assert held is not None
    assert "entered-in-error" in held["http://hl7.org/fhir/task-status"]


def test_validate_code_says_yes_no_or_not_held():
    assert validate_code(STATUS, "requested") is True
    assert validate_code(STATUS, "nonsense") is False
    assert validate_code(STATUS, "requested", "http://hl7.org/fhir/task-status") is True
    assert validate_code(STATUS, "requested", "http://other") is False
    assert validate_code("http://hl7.org/fhir/ValueSet/mimetypes", "a/b") is None
    assert validate_code("http://nowhere", "a") is None


def test_open_value_sets_are_named_as_not_held():
    assert "http://hl7.org/fhir/ValueSet/mimetypes" in set(not_held())


def test_resource_types_are_those_that_can_be_instantiated():
    assert {"Patient", "Task", "Bundle"} <= resource_types()
    assert not resource_types() & {"Resource", "DomainResource", "HumanName"}


def test_all_levels_of_our_code_system_count():
    assert system_codes(Profiles(), MEANS) == frozenset(("a", "a-1", "b"))
    assert system_codes(Profiles(), code_system("gone")) is None


def test_another_package_is_read_anew():
    other = Profiles()
    other.system = {**other.system, "concept": [{"code": "z"}]}
    assert system_codes(Profiles(), MEANS) == frozenset(("a", "a-1", "b"))
    assert system_codes(other, MEANS) == frozenset("z")


def test_only_code_systems_under_our_root_are_ours():
    assert is_ours(MEANS)
    assert not is_ours("http://loinc.org")
    assert not is_ours(ROOT + "/sid/case")


@pytest.mark.parametrize(
    ("coding", "expected"),
    [
        ({"system": MEANS, "code": "a-1"}, []),
        ({"system": MEANS, "code": "c"}, [("HUB-VAL-052", "Task.code.coding[0].code")]),
        (
            {"system": code_system("gone"), "code": "a"},
            [("HUB-VAL-053", "Task.code.coding[0].system")],
        ),
        ({"system": "http://loinc.org", "code": "anything"}, []),
        ({"system": MEANS}, []),
    ],
)
def test_a_coding_of_ours_must_be_in_the_package(coding, expected):
    assert found(a_task(code={"coding": [coding]}), packages=Profiles()) == expected


def test_without_packages_codes_of_ours_are_left_alone():
    assert found(a_task(code={"coding": [{"system": MEANS, "code": "c"}]})) == []


def test_a_coding_value_is_checked_too():
    value = [{"type": {"text": "手段"}, "valueCoding": {"system": MEANS, "code": "c"}}]
    assert found(a_task(input=value), packages=Profiles()) == [
        ("HUB-VAL-052", "Task.input[0].value.ofType(Coding).code")
    ]


def test_a_required_concept_needs_one_coding_of_the_set():
    condition = {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/1"},
        "clinicalStatus": {"text": "active"},
    }
    assert found(condition) == [("HUB-VAL-051", "Condition.clinicalStatus")]
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    condition["clinicalStatus"] = {
        "coding": [{"code": "x"}, {"system": system, "code": "active"}]
    }
    assert found(condition) == []


SYSTEM = {
    "url": "s",
    "content": "complete",
    "concept": [
        {"code": "a", "concept": [{"code": "b", "concept": [{"code": "c"}]}]},
        {"code": "d", "property": [{"code": "subsumedBy", "valueCode": "b"}]},
    ],
}


def test_a_value_set_expands_to_sorted_codes():
    resources: dict[str, Any] = {
        "s": SYSTEM,
        "v": {"compose": {"include": [{"system": "t", "concept": [{"code": "z"}]}]}},
    }

    def result(*include: Any, exclude: Any = ()) -> Any:
        compose = {"include": list(include), "exclude": list(exclude)}
        return expand({"compose": compose}, resources.get)

    assert result({"system": "s"}) == {"s": ["a", "b", "c", "d"]}
    assert result({"valueSet": ["v|1"]}) == {"t": ["z"]}
    is_a = {"property": "concept", "op": "is-a", "value": "b"}
    assert result({"system": "s", "filter": [is_a]}) == {"s": ["b", "c", "d"]}
    below = {"property": "concept", "op": "descendent-of", "value": "b"}
    assert result({"system": "s", "filter": [below]}) == {"s": ["c", "d"]}
    without = {"system": "s", "concept": [{"code": "a"}]}
    assert result({"system": "s"}, exclude=[without]) == {"s": ["b", "c", "d"]}


@pytest.mark.parametrize(
    "include",
    [
        {"system": "gone"},
        {"system": "part"},
        {"valueSet": ["gone"]},
        {"system": "s", "valueSet": ["v"]},
        {"system": "s", "filter": [{"property": "x", "op": "=", "value": "y"}]},
        {"system": "s", "filter": [{"property": "concept", "op": "in", "value": "y"}]},
        {"system": "empty"},
    ],
)
def test_what_cannot_be_expanded_is_not_held(include):
    resources: dict[str, Any] = {
        "s": SYSTEM,
        "part": {"url": "part", "content": "fragment"},
        "empty": {"url": "empty", "content": "complete"},
    }
    with pytest.raises(NotHeldError):
        expand({"compose": {"include": [include]}}, resources.get)
