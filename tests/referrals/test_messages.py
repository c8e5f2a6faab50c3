"""What leaves the hub: a transaction a receiver can take, twice, and resolve."""

import json
import re

from hub.app import make_hub
from hub.fhir import references
from hub.fhir.canonical import RESOURCE_ID
from hub.fhir.json import decode
from hub.referrals import feed, messages
from hub.validation import validate
from tests.referrals.build import answered, entry, reason, sent
from tests.referrals.receiver import receiving

CENTRE = "kagoshima-shi"
BASE = "https://hub.example/fhir/R4"


def queued(hub, kind="referral", **over):
    """The bodies queued about a new referral, and the referral."""
    from hub.delivery import operate

    with receiving(hub, CENTRE, "4619999917"):
        referral = sent(hub, **over)
        with hub.database.transaction(write=False) as session:
            found = operate.find(session, case=referral.case)
    return [m.body for m in found if m.kind == kind], referral


def test_the_receiver_can_resolve_every_reference(hub):
    items = [{"linkId": "k1", "item": [answered("k1.remarks", valueString="雨の日")]}]
    (body,), referral = queued(hub, givers=("person", "family"), answers=items)
    bundle = json.loads(body)
    inside = {one["fullUrl"] for one in bundle["entry"]}
    assert len(inside) == len(bundle["entry"])
    seen = set()
    for one in bundle["entry"]:
        for path, element in references.walk(one["resource"]):
            reference = element["reference"]
            known = reference in inside or reference.startswith(hub.settings.fhir_base)
            assert known, (path, reference)
            seen.add(reference in inside)
    assert seen == {True, False}
    kinds = [one["resource"]["resourceType"] for one in bundle["entry"]]
    assert {"Patient", "RelatedPerson", "Consent", "QuestionnaireResponse",
            "ServiceRequest", "EpisodeOfCare", "Task"} <= set(kinds)  # fmt: skip
    assert kinds.count("Task") == 1, "the parent stays between sender and hub"
    del referral


def test_it_is_a_valid_transaction_of_conditional_updates(hub):
    (body,), _ = queued(hub, givers=("family",))
    bundle = decode(body)
    packages = make_hub(hub.settings, hub.database).knowledge.packages
    refused = [i for i in validate(bundle, packages=packages) if i.severity == "error"]
    assert refused == []
    for one in bundle["entry"]:
        resource, request = one["resource"], one["request"]
        assert request["method"] == "PUT"
        assert re.fullmatch(
            rf"{resource['resourceType']}\?identifier=\S+", request["url"]
        )
        assert "id" not in resource
        assert not {"versionId", "lastUpdated"} & resource.get("meta", {}).keys()
        identifiers = resource["identifier"]
        several = identifiers if isinstance(identifiers, list) else [identifiers]
        assert any(i["system"] == RESOURCE_ID for i in several)


def test_a_form_with_an_identifier_of_its_own_is_found_by_that():
    response = {
        "resourceType": "QuestionnaireResponse",
        "id": "q",
        "identifier": {"system": "https://hospital.example/sheets", "value": "a b|c&d"},
        "status": "completed",
    }
    bundle = decode(messages.transaction([response], BASE))
    url = bundle["entry"][0]["request"]["url"]
    expected = "https://hospital.example/sheets|a%20b%7Cc%26d"
    assert url == f"QuestionnaireResponse?identifier={expected}"


def test_the_same_resources_make_the_same_bytes():
    task = {"resourceType": "Task", "id": "t", "status": "requested", "intent": "order"}
    assert messages.transaction([task], BASE) == messages.transaction(
        [dict(task)], BASE
    )


def test_a_retraction_holds_nothing_about_the_person():
    task = {
        "resourceType": "Task",
        "id": "t",
        "status": "entered-in-error",
        "intent": "order",
        "for": {"reference": "Patient/p", "display": "見本 花子"},
        "statusReason": reason() | {"text": "見本 花子さんの取り違え"},
        "note": [{"text": "見本 花子"}],
        "input": [entry("answer", valueString="見本 花子")],
        "output": [entry("outcome", valueString="見本 花子")],
        "description": "見本 花子",
    }
    body = messages.retraction([task], BASE).decode()
    assert "花子" not in body
    assert "Patient" not in body
    resource = json.loads(body)["entry"][0]["resource"]
    assert resource["status"] == "entered-in-error"
    assert resource["statusReason"]["coding"][0]["code"] == "other"
    assert resource["identifier"] == [{"system": RESOURCE_ID, "value": "Task/t"}]


def test_the_sender_gets_parent_and_child_and_no_record(hub):
    bodies, referral = queued(hub, "status")
    resources = [e["resource"] for e in json.loads(bodies[-1])["entry"]]
    assert {r["resourceType"] for r in resources} == {"Task"}
    values = {i["value"] for r in resources for i in r["identifier"]}
    assert f"Task/{referral.parent_id}" in values


def test_AB25_content_is_read_at_the_hub_and_no_copy_of_it_leaves():
    attachment = {"contentType": "application/pdf", "url": "Binary/b"}
    document = {
        "resourceType": "DocumentReference",
        "id": "d",
        "status": "current",
        "content": [{"attachment": attachment}],
    }
    body = json.loads(messages.transaction([document], BASE))
    sent = body["entry"][0]["resource"]["content"][0]["attachment"]
    assert sent["url"] == f"{BASE}/Binary/b"
    assert attachment["url"] == "Binary/b"
    assert not {"Binary", "Bundle"} & set(feed.SENT_TYPES)
