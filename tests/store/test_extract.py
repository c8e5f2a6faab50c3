import json
from decimal import Decimal
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.store import build, tables
from hub.store.extract import rows
from hub.store.folding import fold
from hub.store.parameters import (
    bounded,
    declared,
    definitions,
    system_number,
    unsupported,
)

CORE = Path(__file__).parents[3] / "shared/fhir/packages/hl7.fhir.r4.core-4.0.1.tgz"


def found(resource, table, code):
    """The rows of one parameter, without their numbers."""
    number = definitions()[resource["resourceType"]][code].number
    return [
        {k: v for k, v in row.items() if k not in ("n", "parameter")}
        for row in rows(resource)[table]
        if row["parameter"] == number
    ]


def test_a_path_with_a_filter_and_one_with_a_type_are_followed():
    patient = {
        "resourceType": "Patient",
        "telecom": [
            {"system": "email", "value": "a@example.jp"},
            {"system": "phone", "value": "03-0000-0000"},
        ],
    }
    email = found(patient, tables.token, "email")
    assert email == [{"code": "a@example.jp", "system": 0}]
    assert [r["code"] for r in found(patient, tables.token, "phone")] == [
        "03-0000-0000",
        "0300000000",
    ]
    task = {"resourceType": "Task", "for": {"reference": "Group/g"}}
    assert found(task, tables.reference, "patient") == []
    assert found(task, tables.reference, "subject") == [
        {"target_id": "g", "target_type": "Group", "version": ""}
    ]


def test_a_choice_is_indexed_by_the_type_it_has():
    base = {"resourceType": "Observation"}
    quantity = {**base, "valueQuantity": {"value": Decimal("1.5"), "code": "g"}}
    assert found(quantity, tables.quantity, "value-quantity") == [
        {"low": 1.5, "high": 1.5, "system": 0, "code": "g", "unit": ""}
    ]
    assert found(quantity, tables.token, "value-concept") == []
    text = {**base, "valueString": "所見"}
    assert [r["value"] for r in found(text, tables.string, "value-string")] == ["所見"]
    concept = {**base, "valueCodeableConcept": {"text": "所見"}}
    assert len(found(concept, tables.string, "value-string")) == 1
    less = {**base, "valueQuantity": {"value": 5, "comparator": "<"}}
    [row] = found(less, tables.quantity, "value-quantity")
    assert row["low"] < -(10**200)
    assert row["high"] == 5


def test_a_bare_code_means_the_system_of_its_required_binding():
    patient = {"resourceType": "Patient", "gender": "female"}
    system = system_number("http://hl7.org/fhir/administrative-gender")
    assert found(patient, tables.token, "gender") == [
        {"code": "female", "system": system}
    ]


def test_deceased_is_true_for_a_date_and_false_for_nothing():
    for element, expected in (
        ({}, "false"),
        ({"deceasedBoolean": False}, "false"),
        ({"deceasedBoolean": True}, "true"),
        ({"deceasedDateTime": "2026"}, "true"),
    ):
        patient = {"resourceType": "Patient", **element}
        assert [r["code"] for r in found(patient, tables.token, "deceased")] == [
            expected
        ]


ELEMENTS = [
    "name",
    "identifier",
    "coding",
    "system",
    "value",
    "code",
    "text",
    "reference",
    "start",
    "end",
    "low",
    "high",
    "repeat",
    "event",
    "type",
    "telecom",
    "display",
    "line",
    "family",
    "boundsPeriod",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.decimals(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(ELEMENTS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


PATHS = [
    (resource_type, path["at"])
    for resource_type, codes in definitions().items()
    for definition in codes.values()
    for path in definition.paths
    if path["at"] and path["at"][0] != "resourceType"
]


def placed(steps, content):
    """`content` at the end of a path, in lists where the path filters."""
    for step in reversed(steps):
        name, _, condition = step.partition("?")
        if condition and isinstance(content, dict):
            key, _, value = condition.partition("=")
            content = [{**content, key: value}]
        content = {name: content}
    return content


@settings(max_examples=500)
@given(st.sampled_from(PATHS), JSON)
def test_no_content_breaks_the_index(place, content):
    resource_type, steps = place
    resource = {**placed(steps, content), "resourceType": resource_type}
    for table, some in rows(resource).items():
        for row in some:
            assert set(row) | {"key"} == set(table.c.keys())
            for name, value in row.items():
                assert isinstance(value, table.c[name].type.python_type | None)


def test_parameter_numbers_never_meet():
    of_paths = 0
    numbers: set[int] = set()
    aspects: set[int] = set()
    for codes in definitions().values():
        by_paths: dict[tuple[str, str], set[int]] = {}
        for d in codes.values():
            paths = (d.parameter.type, json.dumps(d.paths))
            by_paths.setdefault(paths, set()).add(d.number)
            numbers.add(d.number)
            aspects |= {d.text_number, d.identifier_number, d.of_type_number}
        # Parameters that read the same, as `phonetic` and `name`, share one number.
        assert all(len(shared) == 1 for shared in by_paths.values())
        of_paths += len(by_paths)
    assert len(numbers) == of_paths
    assert not numbers & aspects
    assert len(aspects) == 3 * of_paths


def test_every_parameter_is_either_declared_or_told_as_unsupported():
    for resource_type, codes in unsupported().items():
        assert not set(codes) & set(declared()[resource_type])
    assert {"_id", "_lastUpdated", "_tag", "_security", "_profile", "_source"} <= set(
        declared()["Binary"]
    )
    targets = set(
        chain.from_iterable(
            p.targets for codes in declared().values() for p in codes.values()
        )
    )
    assert targets - {"*"} <= set(declared())


@pytest.mark.skipif(not CORE.exists(), reason="the R4 core package is not here")
def test_the_committed_table_is_what_the_core_package_gives(tmp_path):
    build.main(CORE, tmp_path / "built.json")
    assert (tmp_path / "built.json").read_bytes() == build.OUTPUT.read_bytes()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ﾊﾟｼﾞ", "ぱじ"),
        ("ガギグ", "がぎぐ"),
        ("ヴァ", "ゔぁ"),
        ("髙﨑", "高崎"),
        ("渡邊", "渡辺"),
        ("ＡＢＣ　Ｄ", "abc d"),
        ("Été", "ete"),
        ("葛\U000e0100", "葛"),
        ("𠮷", "吉"),
        ("ABC  d", "abc D"),
    ],
)
def test_two_spellings_of_one_name_fold_alike(one, other):
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("か", "が"),
        ("は", "ぱ"),
        ("ハ", "バ"),
        ("大", "太"),
        ("斎", "斉"),
        ("a b", "ab"),
    ],
)
def test_different_names_stay_different(one, other):
    assert fold(one) != fold(other)


@given(st.text())
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)


@given(st.text(alphabet="あア", max_size=260), st.text(alphabet="あア", max_size=260))
def test_a_bounded_value_tells_long_values_apart(one, other):
    assert (bounded(one) == bounded(other)) == (one == other)
    assert len(bounded(one)) <= 200
