"""The official R4 examples of every served type: kept as they are, and found."""

import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hub.fhir.json import decode
from hub.fhir.outcome import FhirError
from hub.fhir.references import split
from hub.store.extract import rows
from hub.store.parameters import declared
from hub.store.tables import reference
from tests.store.conftest import BASE, KINDS, Store, opened

PACKAGES = Path(__file__).parents[3] / "shared/fhir/packages"
EXAMPLES = PACKAGES / "hl7.fhir.r4.examples-4.0.1-instances.tgz"

pytestmark = pytest.mark.skipif(
    not EXAMPLES.exists(), reason="the R4 examples package is not here"
)


# Integers of more than 18 digits are refused at the door (security.md J7).
REFUSED = {"Observation-decimal.json"}


def examples():
    """(file name, bytes) of the examples of served types."""
    with tarfile.open(EXAMPLES) as archive:
        for member in archive:
            name = Path(member.name).name
            stream = archive.extractfile(member)
            if stream and name.endswith(".json") and name.split("-")[0] in declared():
                yield name, stream.read()


def test_only_the_known_examples_are_refused_at_the_door():
    refused = set()
    for name, raw in examples():
        try:
            decode(raw)
        except FhirError:
            refused.add(name)
    assert refused == REFUSED


@pytest.fixture(scope="module", params=KINDS)
def full(request, tmp_path_factory):
    documents = [decode(raw) for name, raw in examples() if name not in REFUSED]
    with opened(request.param, tmp_path_factory.mktemp("examples")) as database:
        store = Store(database)
        store.create(*documents)
        yield store, documents


def written(value: Any) -> Any:
    """The value with decimals as their digits: 1.50 is not 1.5 here."""
    if isinstance(value, dict):
        return {k: written(v) for k, v in value.items()}
    if isinstance(value, list):
        return [written(v) for v in value]
    return value.as_tuple() if isinstance(value, Decimal) else value


def without_stamp(document):
    meta = {
        k: v
        for k, v in document.get("meta", {}).items()
        if k not in ("versionId", "lastUpdated")
    }
    return written({**document, "meta": meta})


def test_every_example_is_read_back_as_it_was(full):
    store, documents = full
    assert len(documents) > 300
    for document in documents:
        kept = store.read(document["resourceType"], document["id"]).resource()
        assert without_stamp(kept) == without_stamp(document), document["id"]


def test_every_example_is_found_by_its_id(full):
    store, documents = full
    for document in documents:
        found = store.ids(f"{document['resourceType']}?_id={document['id']}")
        assert found == [document["id"]]


def test_every_example_is_found_by_its_identifier(full):
    store, documents = full
    asked = 0
    for document in documents:
        type_, identifiers = document["resourceType"], document.get("identifier")
        if "identifier" not in declared()[type_] or not identifiers:
            continue
        for one in identifiers if isinstance(identifiers, list) else [identifiers]:
            if "value" in one and not set(one["value"]) & set("\\|,$&#+% "):
                url = f"{type_}?identifier={one.get('system', '')}|{one['value']}"
                assert document["id"] in store.ids(f"{url}&_count=1000"), url
                asked += 1
    assert asked > 100


def test_every_example_is_found_by_what_it_points_to(full):
    store, documents = full
    asked = 0
    for document in documents:
        for name in ("subject", "patient", "organization", "encounter", "focus"):
            type_ = document["resourceType"]
            target = document.get(name, {})
            target = target[0] if isinstance(target, list) else target
            here = split(target.get("reference", ""), BASE)
            if here and name in declared()[type_]:
                url = f"{type_}?{name}={here[0]}/{here[1]}&_count=1000"
                assert document["id"] in store.ids(url), url
                asked += 1
    assert asked > 100


def test_the_examples_fill_every_kind_of_index(full):
    _store, documents = full
    sizes: dict[str, int] = {}
    for document in documents:
        for table, some in rows(document, BASE).items():
            sizes[table.name] = sizes.get(table.name, 0) + len(some)
    assert min(sizes.values()) > 40
    assert reference.name in sizes
