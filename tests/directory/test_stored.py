"""The side tables answer what the files answer, and follow every write."""

from copy import deepcopy
from dataclasses import replace
from datetime import date

import pytest

from hub.database import Database, metadata
from hub.directory import resources, rules, tables
from hub.directory.ask import StoredDirectory
from hub.directory.index import index, unindex
from hub.directory.values import Address
from hub.fhir import canonical
from hub.fhir.outcome import FhirError


@pytest.fixture
def session(tmp_path, seed):
    database = Database(f"sqlite:///{tmp_path}/hub.db")
    metadata.create_all(database.engine, tables=list(tables_of()))
    with database.transaction() as session:
        for resource in seed.resources:
            index(session, resource)
        yield session
    database.close()


def tables_of():
    return (
        tables.organisations,
        tables.desks,
        tables.jurisdictions,
        tables.agreements,
        tables.endpoints,
    )


def test_stored_and_seeded_answer_the_same(session, directory, gazetteer):
    stored = StoredDirectory(session, gazetteer)
    assert stored.organisations() == directory.organisations()
    assert stored.organisations("hub") == directory.organisations("hub")
    for code in gazetteer.names:
        if code[:2] in ("16", "31", "35", "46"):
            assert stored.jurisdictions(code) == directory.jurisdictions(code)
            assert stored.agreements(code) == directory.agreements(code)
    for organisation in directory.organisations():
        assert stored.desks_of(organisation.code) == directory.desks_of(
            organisation.code
        )
        assert stored.organisation(organisation.code) == organisation
    assert stored.desk("aira") == directory.desk("aira")
    assert (
        stored.agreements("46218", "other")
        == directory.agreements("46218", "other")
        == ()
    )
    assert stored.organisation("nobody") is None
    assert stored.desk("nobody") is None


def test_rows_can_be_asked_for_one_day(directory):
    before = directory.jurisdictions("31302", date(2018, 3, 31))
    assert [r.relation for r in before] == ["statutory"]
    assert len(directory.jurisdictions("31302", date(2018, 4, 1))) == 2


def test_an_endpoint_is_found_until_it_is_switched_off(session, gazetteer):
    stored = StoredDirectory(session, gazetteer)
    assert stored.endpoint_of("aira") is None
    address = Address(
        "aira-fhir",
        "aira",
        "https://aira.example/fhir",
        "hl7-fhir-rest",
        payload_types=("any",),
    )
    index(session, resources.endpoint(address))
    assert stored.endpoint_of("aira") == address
    index(session, resources.endpoint(replace(address, active=False)))
    assert stored.endpoint_of("aira") is None


def test_a_changed_desk_replaces_its_rows(session, seed, gazetteer):
    stored = StoredDirectory(session, gazetteer)
    service = next(
        r
        for r in seed.resources
        if r["id"] == "kanoya" and r["resourceType"] == "HealthcareService"
    )
    changed = deepcopy(service)
    changed["extension"] = changed["extension"][:1]
    index(session, changed)
    index(session, changed)
    held = [
        c
        for c in gazetteer.names
        if any(r.desk.id == "kanoya" for r in stored.jurisdictions(c))
    ]
    assert len(held) == 1
    changed["active"] = False
    index(session, changed)
    assert stored.desk("kanoya") is None
    assert stored.jurisdictions(held[0]) == ()
    unindex(session, "HealthcareService", "kanoya")
    assert stored.desks_of("kanoya") == ()


def test_a_row_written_by_FHIR_carries_the_resource_version(session, gazetteer):
    index(
        session,
        {
            "resourceType": "HealthcareService",
            "id": "x",
            "meta": {"versionId": "3"},
            "providedBy": {"reference": "Organization/x"},
            "name": "架空窓口",
            "extension": [
                {
                    "url": resources.JURISDICTION,
                    "extension": [
                        {"url": "municipality", "valueCoding": {"code": "47201"}}
                    ],
                }
            ],
        },
    )
    (row,) = StoredDirectory(session, gazetteer).jurisdictions("47201")
    assert (row.version, row.confidence, row.relation) == ("3", "C", "statutory")


@pytest.mark.parametrize(
    ("change", "id_"),
    [
        ({"section": None}, "HUB-DIR-007"),
        ({"signer_role": None}, "HUB-DIR-008"),
        ({"area": "4"}, "HUB-DIR-013"),
        ({"desk": ""}, "HUB-DIR-013"),
    ],
)
def test_LL_02_LL_03_an_agreement_written_by_FHIR_keeps_the_rules(
    session, seed, change, id_
):
    written = next(r for r in seed.resources if r["id"] == "agreement-46218")
    terms = replace(resources.agreement_of(written), **change)
    with pytest.raises(FhirError, match=id_):
        index(session, resources.affiliation(terms))


def test_other_affiliations_and_types_are_left_alone(session):
    index(session, {"resourceType": "OrganizationAffiliation", "id": "network"})
    index(session, {"resourceType": "Patient", "id": "p"})
    assert rules.check({"resourceType": "Patient"}) == []


def test_faults_of_kind_code_and_period_are_named():
    kind = {"coding": [{"system": canonical.ORGANIZATION_KIND, "code": "palace"}]}
    organization = {"resourceType": "Organization", "id": "x", "type": [kind]}
    area = {"url": "municipality", "valueCoding": {"code": "4620"}}
    period = {"url": "period", "valuePeriod": {"start": "soon"}}
    service, late = (
        {
            "resourceType": "HealthcareService",
            "id": "x",
            "extension": [{"url": resources.JURISDICTION, "extension": parts}],
        }
        for parts in ([area], [area, period])
    )
    for resource in (organization, service, late):
        assert [i.id for i in rules.check(resource)] == ["HUB-DIR-013"]
