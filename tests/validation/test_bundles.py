"""Bundles: entries with their own expressions, fullUrls, and what must resolve."""

import pytest

from tests.validation.resources import (
    a_consent,
    a_document,
    a_patient,
    a_service_request,
    a_task,
    a_transaction,
    an_entry,
    found,
    rules,
    url,
)


def test_a_good_transaction_and_a_good_document_have_no_issue():
    assert found(a_transaction()) == []
    assert found(a_document()) == []


def test_an_issue_in_an_entry_names_the_entry():
    bundle = a_transaction()
    bundle["entry"][1]["resource"]["status"] = "x"
    bundle["entry"][2]["resource"]["provision"] = {"type": "x"}
    assert found(bundle) == [
        ("HUB-VAL-050", "Bundle.entry[1].resource.status"),
        ("HUB-VAL-050", "Bundle.entry[2].resource.provision.type"),
    ]


def test_a_urn_in_a_transaction_must_be_the_fullurl_of_an_entry():
    bundle = a_transaction()
    bundle["entry"][1]["resource"]["subject"] = {"reference": url(9)}
    assert found(bundle) == [
        ("HUB-VAL-063", "Bundle.entry[1].resource.subject.reference")
    ]


def test_the_type_of_the_entry_a_urn_meets_is_checked():
    bundle = a_transaction()
    bundle["entry"][1]["resource"]["subject"] = {"reference": url(2)}
    assert found(bundle) == [("HUB-VAL-061", "Bundle.entry[1].resource.subject")]


def test_an_entry_whose_type_is_no_text_is_told_of_once_and_never_an_error():
    bundle = a_transaction()
    bundle["entry"][0]["resource"]["resourceType"] = ["Patient"]
    assert {path for _, path in found(bundle)} == {"Bundle.entry[0].resource"}


def test_a_urn_inside_an_extension_is_checked_like_any_other():
    extension = {"url": "https://x.example/e", "valueReference": {"reference": url(9)}}
    bundle = a_transaction()
    bundle["entry"][0]["resource"]["extension"] = [extension]
    assert [id_ for id_, _ in found(bundle)] == ["HUB-VAL-063"]


def test_a_conditional_reference_is_for_transactions():
    bundle = a_transaction()
    bundle["entry"][1]["resource"]["requester"] = {
        "reference": "Organization?identifier=1"
    }
    assert found(bundle) == []
    bundle["entry"][1]["resource"]["requester"] = {"reference": "Location?identifier=1"}
    assert found(bundle) == [("HUB-VAL-061", "Bundle.entry[1].resource.requester")]
    bundle["entry"][1]["resource"]["requester"] = {"reference": "Nonsense?identifier=1"}
    assert found(bundle) == [
        ("HUB-VAL-060", "Bundle.entry[1].resource.requester.reference")
    ]
    document = a_document()
    document["entry"][1]["resource"]["managingOrganization"] = {
        "reference": "Organization?identifier=1"
    }
    assert [id_ for id_, _ in found(document)] == ["HUB-VAL-060"]


def test_a_contained_reference_does_not_reach_into_another_entry():
    organization = {"resourceType": "Organization", "id": "o", "name": "見本"}
    bundle = a_transaction()
    bundle["entry"][0]["resource"] |= {
        "contained": [organization],
        "managingOrganization": {"reference": "#o"},
    }
    assert found(bundle) == []
    bundle["entry"][1]["resource"]["requester"] = {"reference": "#o"}
    assert found(bundle) == [
        ("HUB-VAL-062", "Bundle.entry[1].resource.requester.reference")
    ]


@pytest.mark.parametrize("bad", ["Patient/1", "urn:uuid:1234", "a b", "urn:oid:9"])
def test_a_full_url_is_absolute(bad: str):
    bundle = a_transaction(entry=[an_entry(0, a_patient(), fullUrl=bad)])
    assert ("HUB-VAL-068", "Bundle.entry[0].fullUrl") in found(bundle)


def test_a_restful_full_url_agrees_with_type_and_id():
    full = "https://hub.example/fhir/Patient/1"
    good = an_entry(0, a_patient(id="1"), fullUrl=full)
    assert found(a_transaction(entry=[good])) == []
    for resource in (a_patient(id="2"), a_task(id="1")):
        bundle = a_transaction(entry=[an_entry(0, resource, fullUrl=full)])
        assert found(bundle) == [("HUB-VAL-065", "Bundle.entry[0].fullUrl")]


def test_only_transactions_and_batches_go_without_full_url():
    entry = an_entry(0, a_patient())
    del entry["fullUrl"]
    assert found(a_transaction(entry=[entry])) == []
    del entry["request"]
    assert found(a_transaction(type="collection", entry=[entry])) == [
        ("HUB-VAL-070", "Bundle.entry[0]")
    ]


def test_a_document_holds_what_its_composition_names():
    document = a_document()
    section = document["entry"][0]["resource"]["section"][0]
    section["entry"] = [{"reference": "Patient/gone"}]
    assert found(document) == [
        (
            "HUB-VAL-063",
            "Bundle.entry[0].resource.section[0].entry[0].reference",
        )
    ]


def test_a_document_reference_meets_one_entry_only():
    document = a_document()
    twin = {
        "fullUrl": "https://other.example/fhir/Patient/p",
        "resource": a_patient(id="p"),
    }
    document["entry"].append(twin)
    assert {id_ for id_, _ in found(document)} == {"HUB-VAL-071"}


def test_a_versioned_document_reference_meets_that_version():
    document = a_document()
    subject = document["entry"][0]["resource"]["subject"]
    subject["reference"] = "Patient/p/_history/2"
    assert [id_ for id_, _ in found(document)] == ["HUB-VAL-063"]
    document["entry"][1]["resource"]["meta"] = {"versionId": "2"}
    assert found(document) == []


def test_a_nested_bundle_is_a_world_of_its_own():
    inner = a_transaction()
    inner["entry"][1]["resource"]["subject"] = {"reference": url(9)}
    outer = a_transaction(entry=[an_entry(9, inner), an_entry(8, a_patient())])
    assert found(outer) == [
        (
            "HUB-VAL-063",
            "Bundle.entry[0].resource.entry[1].resource.subject.reference",
        )
    ]


def without(bundle, *names):
    return {key: value for key, value in bundle.items() if key not in names}


BAD = [
    (a_transaction(total=3), ("bdl-1", "Bundle")),
    (
        a_transaction(entry=[an_entry(0, a_patient(), search={"mode": "match"})]),
        ("bdl-2", "Bundle"),
    ),
    (
        a_transaction(entry=[without(an_entry(0, a_patient()), "request")]),
        ("bdl-3", "Bundle"),
    ),
    (
        a_transaction(entry=[an_entry(0, a_patient(), response={"status": "200"})]),
        ("bdl-4", "Bundle"),
    ),
    (
        a_transaction(entry=[an_entry(0, a_patient()), an_entry(0, a_consent())]),
        ("bdl-7", "Bundle"),
    ),
    (without(a_document(), "identifier"), ("bdl-9", "Bundle")),
    (without(a_document(), "timestamp"), ("bdl-10", "Bundle")),
    (a_document() | {"entry": a_document()["entry"][1:]}, ("bdl-11", "Bundle")),
    (a_document() | {"type": "message"}, ("bdl-12", "Bundle")),
]


@pytest.mark.parametrize(("bundle", "expected"), BAD)
def test_a_bundle_keeps_its_invariants(bundle, expected):
    assert rules(bundle) == [expected]


def test_an_entry_holds_something_bdl_5():
    assert ("bdl-5", "Bundle.entry[0]") in rules(
        a_transaction(entry=[{"fullUrl": url(0)}])
    )


def test_a_versioned_full_url_is_refused_bdl_8():
    full = "https://hub.example/fhir/Patient/1/_history/1"
    bundle = a_transaction(entry=[an_entry(0, a_patient(id="1"), fullUrl=full)])
    assert rules(bundle) == [("bdl-8", "Bundle.entry[0]")]


def test_a_request_in_an_entry_is_checked():
    bundle = a_transaction()
    bundle["entry"][0]["request"] = {"method": "SEND", "url": "Patient"}
    del bundle["entry"][1]["request"]["url"]
    assert found(bundle) == [
        ("HUB-VAL-050", "Bundle.entry[0].request.method"),
        ("HUB-VAL-010", "Bundle.entry[1].request"),
    ]


def test_a_subject_of_a_foreign_server_is_kept():
    resource = a_service_request(
        subject={"reference": "https://x.example/fhir/Patient/1"}
    )
    assert found(a_transaction(entry=[an_entry(1, resource)])) == []
