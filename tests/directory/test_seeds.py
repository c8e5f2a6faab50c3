"""The directory folder: what it holds, and what a fault is told."""

import shutil

import pytest

from hub.directory import resources, seeds
from hub.directory.values import HOSPITALS
from hub.fhir.outcome import FhirError
from tests.directory.conftest import PROFILES


def luhn(code):
    digits = [int(d) for d in reversed(code)]
    doubled = [
        d if n % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2)
        for n, d in enumerate(digits)
    ]
    return sum(doubled) % 10 == 0


def test_the_prefecture_has_43_municipalities_and_14_centres(seed, directory):
    home = [r for r in seed.jurisdictions if r.municipality.startswith("46")]
    assert len({r.municipality for r in home}) == 43
    assert len({r.desk.id for r in home}) == 14
    assert {c: sum(r.confidence == c for r in home) for c in "ABC"} == {
        "A": 18,
        "B": 20,
        "C": 5,
    }
    assert all(directory.desk(r.desk.id) == r.desk for r in home)


def test_three_synthetic_hospitals_of_different_kinds_stand_in_three_districts(
    directory,
):
    hospitals = [o for o in directory.organisations() if o.kind in HOSPITALS]
    assert len({o.kind for o in hospitals}) == len(hospitals) == 3
    centres = {directory.jurisdictions(o.municipality)[0].desk.id for o in hospitals}
    assert len(centres) == 3
    for hospital in hospitals:
        assert luhn(hospital.code)
        assert hospital.name.startswith("架空")
        assert hospital.wording_version


def test_resources_are_read_back_as_the_values_they_were_made_from(seed):
    for resource in seed.resources:
        match resource["resourceType"]:
            case "Organization":
                again = resources.organization(resources.organisation_of(resource))
            case "HealthcareService":
                rows = resources.rows_of(resource)
                again = resources.healthcare_service(resources.desk_of(resource), rows)
            case "OrganizationAffiliation":
                again = resources.affiliation(resources.agreement_of(resource))
            case _:
                again = resources.endpoint(resources.address_of(resource))
        assert again == resource


def test_references_resolve_in_order(seed):
    known = set()
    for resource in seed.resources:
        for key in (
            "providedBy",
            "organization",
            "participatingOrganization",
            "managingOrganization",
        ):
            if key in resource:
                assert resource[key]["reference"] in known
        known.add(f"{resource['resourceType']}/{resource['id']}")
    assert len(known) == len(seed.resources)


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "directory"
    shutil.copytree(PROFILES, copy)
    return copy


def edit(folder, name, old, new):
    path = folder / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


@pytest.mark.parametrize(
    ("name", "old", "new", "id_", "column"),
    [
        ("organizations.csv", "emergency-hospital", "hospital", "HUB-DIR-004", "kind"),
        ("organizations.csv", "架空総合病院", "", "HUB-DIR-003", "name"),
        ("organizations.csv", "4619999925,", "4619999917,", "HUB-DIR-005", "id"),
        ("organizations.csv", ",46201,", ",46999,", "HUB-DIR-004", "municipality"),
        ("jurisdictions.csv", "46203,", "46203x,", "HUB-DIR-004", "municipality"),
        ("jurisdictions.csv", "statutory", "usual", "HUB-DIR-004", "relation"),
        ("jurisdictions.csv", "2018-04-01", "2018-04-31", "HUB-DIR-004", "valid_from"),
        (
            "jurisdictions.csv",
            ",kanoya,kanoya,",
            ",kanoya,nobody,",
            "HUB-DIR-006",
            "organization",
        ),
        (
            "jurisdictions.csv",
            ",kanoya,kanoya,",
            ",nobody,kanoya,",
            "HUB-DIR-006",
            "desk",
        ),
        ("agreements.csv", "agreement-46215", "agreement-46218", "HUB-DIR-005", "id"),
        ("desks.csv", "muni-46215-tsunagi", "muni-46218-tsunagi", "HUB-DIR-005", "id"),
    ],
)
def test_a_fault_names_file_row_and_column(folder, name, old, new, id_, column):
    edit(folder, name, old, new)
    with pytest.raises(FhirError) as caught:
        seeds.read(folder)
    (found,) = caught.value.issues
    assert (found.id, found.column) == (id_, column)
    assert found.row
    assert name in found.text
    assert str(found.row) in found.english


def test_a_missing_column_and_a_missing_file_are_named(folder):
    edit(folder, "organizations.csv", "id,name,kind", "id,name,sort")
    with pytest.raises(FhirError, match="HUB-DIR-002"):
        seeds.read(folder)
    (folder / "organizations.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(FhirError, match="HUB-DIR-009"):
        seeds.read(folder)
    (folder / "organizations.csv").unlink()
    with pytest.raises(FhirError, match="HUB-DIR-001"):
        seeds.read(folder)


def test_LL_03_an_agreement_without_section_or_contact_cannot_be_active(folder):
    edit(folder, "agreements.csv", ",,,,,,no,", ",,,,mayor,,yes,")
    with pytest.raises(FhirError, match="HUB-DIR-007") as caught:
        seeds.read(folder)
    assert caught.value.status == 422


def test_LL_02_an_agreement_the_governor_did_not_sign_needs_a_reason(folder, directory):
    wide = [a for a in directory.agreements("46201") if a.level == "prefecture"]
    assert wide[0].active
    edit(
        folder,
        "agreements.csv",
        "架空の例外：知事の署名は次年度に予定し、部長名で締結した",
        "",
    )
    with pytest.raises(FhirError, match="HUB-DIR-008"):
        seeds.read(folder)


def test_a_confirmation_names_who_gave_it(folder):
    edit(folder, "jurisdictions.csv", "C,,,,,,", "C,,,,,2026-04-01,")
    with pytest.raises(FhirError, match="HUB-DIR-003"):
        seeds.read(folder)
    edit(folder, "jurisdictions.csv", "C,,,,,2026-04-01,", "C,,,,架空 所長,2026-04-01,")
    assert any(r.confirmed for r in seeds.read(folder).jurisdictions)


def test_a_folder_with_organisations_alone_is_enough(tmp_path):
    (tmp_path / "organizations.csv").write_text("id,name,kind\nx,架空,npo\n", "utf-8")
    (tmp_path / "endpoints.csv").write_text(
        "id,organization,address,connection_type\ne,x,https://x.example,hl7-fhir-rest\n",
        "utf-8",
    )
    assert [r["id"] for r in seeds.read(tmp_path).resources] == ["x", "e"]
