"""Each parameter of each type finds a resource that has a value there, and sorts it."""

from typing import Any

import pytest

from hub.fhir.outcome import FhirError
from hub.store.parameters import declared, definitions
from tests.store.conftest import KINDS, Store, opened
from tests.store.values import SYSTEM, asked, document, every

TYPES = sorted(declared())


@pytest.fixture(scope="module", params=KINDS)
def filled(request, tmp_path_factory):
    """A store with a resource for every path of every parameter, and an empty one."""
    with opened(request.param, tmp_path_factory.mktemp("each")) as database:
        store = Store(database)
        made: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
        documents = [{"resourceType": type_, "id": "empty"} for type_ in TYPES]
        for type_, code in every():
            definition = definitions()[type_][code]
            for n, path in enumerate(definition.paths):
                id_ = f"{code.replace('_', '-')}.{n}"
                documents.append({**document(type_, definition, path), "id": id_})
                made.setdefault((type_, code), []).append((id_, path))
        store.create(*documents)
        yield store, made


@pytest.mark.parametrize("type_", TYPES)
def test_F14_each_parameter_finds_its_value_and_sorts(filled, type_):
    store, made = filled
    for code, parameter in declared()[type_].items():
        for id_, path in made.get((type_, code), ()):
            value = asked(parameter, path)
            found = store.ids(f"{type_}?{code}={value}&_count=1000")
            assert id_ in found, (code, path)
            assert ("empty" in found) is (path["as"] == "present" and value != "true")
        if made.get((type_, code)) and parameter.type != "composite":
            here = f"{type_}?{code}:missing"
            present = store.ids(f"{here}=false&_sort={code}&_count=1000")
            absent = store.ids(f"{here}=true&_sort=-{code}&_count=1000")
            assert {id_ for id_, _path in made[type_, code]} <= {*present}
            assert len(present) + len(absent) == len(store.ids(f"{type_}?_count=1000"))


def test_what_has_no_order_does_not_sort(filled):
    store, _made = filled
    with pytest.raises(FhirError):
        store.search("Observation?_sort=code-value-quantity")


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        (f"Patient?identifier:of-type={SYSTEM}|MR|c1", True),
        (f"Patient?identifier:of-type={SYSTEM}|MR|c2", False),
        (f"Patient?identifier:of-type={SYSTEM}|XX|c1", False),
        ("Patient?identifier=c1", True),
    ],
)
def test_an_identifier_is_found_by_its_type(filled, query, finds):
    store, _made = filled
    assert ("identifier.0" in store.ids(query)) is finds


@pytest.mark.parametrize(
    ("uri", "finds"),
    [
        ("http://x.example/a/b/c", True),
        ("http://x.example/a/b", True),
        ("http://x.example/a/bc", False),
        ("http://x.example/a", False),
    ],
)
def test_a_uri_lies_above(filled, uri, finds):
    store, _made = filled
    assert ("url.0" in store.ids(f"ValueSet?url:above={uri}")) is finds
