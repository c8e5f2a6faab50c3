"""Round trips: every official R4 example, official XML, and generated resources."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from hub.fhir import json, xhtml
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError
from hub.fhir.r4 import model
from hub.fhir.xml import decode, encode
from hub.terminology import resource_types
from hub.validation import validate
from hub.validation.layouts import definitions
from hub.validation.shapes import Property, Shape, resource_shape
from tests.validation.examples import examples

# A few types: the models of one take a second to import.
READ_TWICE = {
    "Consent",
    "Observation",
    "Patient",
    "Questionnaire",
    "QuestionnaireResponse",
    "ServiceRequest",
    "Task",
}
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">見本</div>'


def again(resource: Resource) -> Resource:
    return decode(encode(resource, definitions()), definitions())


def with_divs(value: Any, change: Any) -> Any:
    """A copy of JSON with every narrative changed; `None` leaves it out."""
    if isinstance(value, dict):
        return {
            key: change(child) if key == "div" else with_divs(child, change)
            for key, child in value.items()
        }
    return [with_divs(v, change) for v in value] if isinstance(value, list) else value


def canonical(div: str) -> str:
    return xhtml.write(xhtml.read(div))


def test_every_official_example_comes_back_from_xml_as_it_was():
    """Exactly, a narrative in its one canonical form; the digits of decimals too."""
    count = same = 0
    for name, resource in examples():
        found = again(resource)
        assert found == with_divs(resource, canonical), name
        assert _decimals(found) == _decimals(resource), name
        count += 1
        same += found == resource
    assert count > 700
    assert same > 690  # most are written in the canonical form already


def test_a_second_reader_understands_the_xml_as_the_json():
    """fhir.resources, which reads no `id` of an element and fails on some types."""
    seen: Counter[str] = Counter()
    for name, resource in examples():
        kind = resource["resourceType"]
        if kind not in READ_TWICE or seen[kind] > 3:
            continue
        typed: Any = model(kind)
        try:
            theirs = typed.model_validate(resource)
            ours = typed.model_validate_xml(encode(resource, definitions()))
        except (ValueError, KeyError):
            continue
        assert _plain(ours.model_dump()) == _plain(theirs.model_dump()), name
        seen[kind] += 1
    assert seen.keys() == READ_TWICE


def test_official_xml_is_read_and_written_as_it_was(shared):
    """The XML of HL7's validator cases: same elements, attributes and order."""
    files = sorted((shared / "fhir" / "hl7-test-cases").glob("*.xml"))
    assert files
    for file in files:
        raw = file.read_bytes()
        if file.name == "uuid-ext.xml":  # its version stands after its title
            with pytest.raises(FhirError, match="HUB-XML-010"):
                decode(raw, definitions())
            continue
        ours = encode(decode(raw, definitions()), definitions())
        assert _c14n(ours) == _c14n(raw), file.name


def _decimals(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [d for key in sorted(value) for d in _decimals(value[key])]
    if isinstance(value, list):
        return [d for one in value for d in _decimals(one)]
    return [] if isinstance(value, str) else [str(value)]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in {"div", "id"}}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _c14n(raw: bytes) -> bytes:
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True)
    return etree.tostring(etree.fromstring(raw, parser), method="c14n")


# Generated resources: any key of any R4 type, with values of its type.

texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r<>&\"'"),
    min_size=1,
    max_size=8,
)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "positiveInt": st.integers(1, 2**31 - 1),
    "unsignedInt": st.integers(0, 2**31 - 1),
    "decimal": st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False).map(
        lambda d: json.decode_value(str(d).encode())
    ),
    "xhtml": st.just(DIV),
}


@st.composite
def objects(draw: Any, shape: Shape, depth: int) -> dict[str, Any]:
    """An object that names some of its type's keys, in any order."""
    keys = draw(
        st.lists(st.sampled_from(list(shape.properties)), max_size=5, unique=True)
    )
    made: dict[str, Any] = {}
    for key in keys:
        part = shape.properties[key]
        if key == "resourceType" and shape.is_resource:
            continue
        is_attribute = not shape.is_resource and (
            key == "id" or (key == "url" and shape.name == "Extension")
        )
        if is_attribute:
            made[key] = draw(texts)
        elif part.ok is not None:
            made |= draw(primitives(key, part, depth))
        elif depth > 0:
            one = (
                resources(depth - 1)
                if part.shape is None
                else objects(part.shape, depth - 1)
            )
            made[key] = draw(
                st.lists(one, min_size=1, max_size=2) if part.many else one
            )
    return made


@st.composite
def primitives(draw: Any, key: str, part: Property, depth: int) -> dict[str, Any]:
    """A primitive, its extensions, or both; in lists aligned with null."""
    value = _VALUES.get(part.type, texts)
    if part.type == "xhtml":
        return {key: DIV}
    extra = st.fixed_dictionaries({"id": texts})
    both = st.one_of(
        st.tuples(value, st.none()),
        st.tuples(st.none(), extra),
        st.tuples(value, extra),
    )
    pairs = draw(st.lists(both, min_size=1, max_size=3 if part.many else 1))
    held, extras = [p[0] for p in pairs], [p[1] for p in pairs]
    made: dict[str, Any] = {}
    if any(v is not None for v in held):
        made[key] = held if part.many else held[0]
    if any(e is not None for e in extras):
        made["_" + key] = extras if part.many else extras[0]
    return made


@st.composite
def resources(draw: Any, depth: int = 3) -> Resource:
    name = draw(st.sampled_from(sorted(resource_types())))
    shape = resource_shape(name)
    assert shape is not None
    return {"resourceType": name, **draw(objects(shape, depth))}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(resources())
def test_any_resource_comes_back_from_xml_exactly(resource: Resource):
    found = again(resource)
    assert found == resource
    assert json.encode(found) == json.encode(_in_order(found, resource))


def _in_order(found: Any, given: Any) -> Any:
    """`given` with the keys in the order of `found`: JSON objects have none."""
    if isinstance(given, dict):
        return {key: _in_order(found[key], given[key]) for key in found}
    if isinstance(given, list):
        return [_in_order(f, g) for f, g in zip(found, given, strict=True)]
    return given


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_X8_no_body_makes_the_reader_raise_anything_else(raw: bytes):
    for body in (raw, b'<Patient xmlns="http://hl7.org/fhir">' + raw + b"</Patient>"):
        try:
            validate(decode(body, definitions()))
        except FhirError as error:
            assert error.status == 400  # noqa: PT017
