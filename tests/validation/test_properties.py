"""Properties: no JSON makes it raise, and what it accepts a second judge accepts."""

import copy
import json
import random
import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.fhir.json import decode, encode
from hub.fhir.outcome import operation_outcome
from hub.validation import validate
from hub.validation.schema import json_schema
from tests.validation.examples import examples
from tests.validation.resources import (
    a_consent,
    a_document,
    a_patient,
    a_response,
    a_service_request,
    a_task,
    a_transaction,
)

MAKERS = [
    a_patient,
    a_consent,
    a_service_request,
    a_task,
    a_response,
    a_transaction,
    a_document,
]
_STEP = re.compile(
    r"[A-Za-z]+(\[[0-9]+\])?(\.(ofType\([A-Za-z0-9]+\)|_?[A-Za-z]+(\[[0-9]+\])?))*"
)

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.decimals(), st.floats(), st.text()
)
json_values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(), json_values), st.sampled_from(MAKERS))
def test_no_json_makes_it_raise(value: dict[str, Any], make: Any):
    for issue in validate(value) + validate(make() | value):
        assert issue.expression


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MAKERS), st.randoms(use_true_random=False), json_values)
def test_any_value_at_any_place_is_judged_and_told_with_a_path(make, chance, value):
    resource = make()
    _replace(resource, chance, value)
    found = validate(resource)
    for issue in found:
        assert _STEP.fullmatch(issue.expression or ""), issue.expression
    if found:
        assert validate(operation_outcome(found)) == []


@pytest.mark.parametrize("make", MAKERS)
def test_what_the_walk_accepts_the_json_schema_accepts(make):
    """Two readings of the same facts: 300 seeded faults a type."""
    resource = make()
    judge = jsonschema_rs.validator_for(json_schema(resource["resourceType"]))
    assert judge.is_valid(resource)
    refused = 0
    for seed in range(300):
        changed = copy.deepcopy(resource)
        _replace(changed, random.Random(seed), random.Random(seed).choice(ODD))
        if validate(changed):
            refused += 1
        else:
            assert judge.is_valid(changed), changed
    assert refused > 100


ODD = [
    None,
    "",
    " ",
    "x",
    5,
    -1,
    True,
    [],
    {},
    [None],
    ["x"],
    {"id": "a"},
    {"x": 1},
    "2026-02-30",
    "a b",
]


def test_the_json_schemas_accept_the_official_examples_that_the_walk_accepts():
    judges: dict[str, Any] = {}
    for name, resource in examples():
        type_ = resource["resourceType"]
        if any(i.severity == "error" for i in validate(resource)):
            continue
        if type_ not in judges:
            judges[type_] = jsonschema_rs.validator_for(json_schema(type_))
        assert judges[type_].is_valid(resource), name


def test_validation_does_not_touch_what_was_received():
    raw = json.dumps(a_transaction()).encode()
    resource = decode(raw)
    validate(resource)
    assert json.loads(encode(resource)) == json.loads(raw)


def _replace(value: Any, chance: random.Random, odd: Any) -> None:
    """Put `odd` somewhere inside, or under a new or doubled name."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = chance.choice(keys)
        child = value[key]
        if isinstance(child, dict | list) and child and chance.random() < 0.8:
            value = child
            continue
        if isinstance(value, dict) and chance.random() < 0.3:
            key = chance.choice(["_" + str(key), "value", "extension", "id", "x"])
        value[key] = odd
        return
