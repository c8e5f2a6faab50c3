"""The committed tables are what the build makes of the published package."""

import io
import json
import tarfile

import pytest

from hub.validation import build
from tests.validation.examples import SHARED

PACKAGE = SHARED / "packages" / "hl7.fhir.r4.core-4.0.1.tgz"


def test_building_again_gives_the_committed_tables(tmp_path, monkeypatch):
    if not PACKAGE.is_file():
        pytest.skip(f"no {PACKAGE.name} in ../shared/fhir/packages")
    committed = {p.name: p.read_bytes() for p in build.DEFINITIONS.glob("*.json")}
    value_sets = build.VALUE_SETS.read_bytes()
    (tmp_path / "definitions").mkdir()
    monkeypatch.setattr(build, "DEFINITIONS", tmp_path / "definitions")
    monkeypatch.setattr(build, "VALUE_SETS", tmp_path / "valuesets.json")
    build.build(PACKAGE)
    built = {p.name: p.read_bytes() for p in (tmp_path / "definitions").iterdir()}
    assert built == committed
    assert (tmp_path / "valuesets.json").read_bytes() == value_sets


def test_a_small_package_is_built_from_its_facts(tmp_path, monkeypatch):
    definition = {
        "resourceType": "StructureDefinition",
        "url": "http://hl7.org/fhir/StructureDefinition/Thing",
        "type": "Thing",
        "kind": "complex-type",
        "abstract": False,
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Element",
        "derivation": "specialization",
        "snapshot": {
            "element": [
                {"path": "Thing", "min": 0, "max": "*", "definition": "prose"},
                {
                    "path": "Thing.kind",
                    "min": 1,
                    "max": "1",
                    "type": [{"code": "code"}],
                    "binding": {
                        "strength": "required",
                        "valueSet": "http://x.example/ValueSet/gone|1.0",
                    },
                },
            ]
        },
    }
    package = tmp_path / "p.tgz"
    with tarfile.open(package, "w:gz") as archive:
        raw = json.dumps(definition).encode()
        info = tarfile.TarInfo("package/StructureDefinition-Thing.json")
        info.size = len(raw)
        archive.addfile(info, io.BytesIO(raw))
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "Old.json").write_text("{}")
    monkeypatch.setattr(build, "DEFINITIONS", tmp_path / "definitions")
    monkeypatch.setattr(build, "VALUE_SETS", tmp_path / "valuesets.json")
    build.build(package)
    (table,) = (tmp_path / "definitions").iterdir()
    assert "prose" not in table.read_text()
    rows = json.loads(table.read_text())["elements"]
    assert rows[1]["binding"]["valueSet"] == "http://x.example/ValueSet/gone"
    # A value set that is not there is told as not held, never as empty.
    assert json.loads((tmp_path / "valuesets.json").read_text()) == {
        "http://x.example/ValueSet/gone": None
    }
