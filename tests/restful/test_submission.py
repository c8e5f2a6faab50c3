"""A referral by the one door: what is stored, what is refused, and that it is once."""

import concurrent.futures
import copy
import json
import uuid

import pytest

from hub.fhir import canonical
from tests.restful.build import (
    CENTRE,
    HOSPITAL,
    OTHER_HOSPITAL,
    a_consent,
    a_form,
    a_name,
    a_patient,
    a_referral,
    again,
    case_of,
    child_of,
    count,
    delete,
    entry_of,
    get,
    ids,
    is_found_anywhere,
    locations,
    post,
    put,
    refusal,
    stored,
    submit,
    urn,
    without,
)


def test_a_referral_makes_a_case_a_child_task_and_grants(source, centre):
    made = submit(source)
    child = child_of(source, made)
    assert child["owner"]["reference"] == f"HealthcareService/{CENTRE}"
    parent = source.read(f"/{made['Task']}")
    episode = case_of(source, made)
    assert parent["groupIdentifier"] == child["groupIdentifier"]
    assert parent["groupIdentifier"] == episode["identifier"][0]
    assert centre.read(f"/{made['Patient']}")["name"][0]["text"] == "試験 花子"
    assert centre.read(f"/{made['QuestionnaireResponse']}")["questionnaire"]


def test_the_answer_has_one_entry_per_entry_in_the_order_sent(source):
    answer = source.post("", a_referral())
    found = [e["response"] for e in answer.json()["entry"]]
    types = [r["location"].split("/")[0] for r in found]
    wanted = ["Patient", "QuestionnaireResponse", "Consent", "ServiceRequest", "Task"]
    assert types == wanted
    assert {r["status"] for r in found} == {"201 Created"}
    assert all(r["etag"] == 'W/"1"' and r["lastModified"] for r in found)


def test_without_a_token_nothing_of_a_referral_is_stored(hub):
    before = stored(hub)
    answer = hub.http.post("/fhir/R4", json=a_referral())
    assert refusal(answer) == (401, "HUB-AUTH-001")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert stored(hub) == before


def test_each_type_of_a_referral_needs_its_scope(hub):
    weak = hub.caller(HOSPITAL, "source", scope="system/Patient.c system/Task.c")
    before = stored(hub)
    answer = weak.post("", a_referral())
    assert refusal(answer) == (403, "HUB-AUTH-003")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
    assert stored(hub) == before


def test_KG_04_without_a_consent_the_leaflet_is_answered(hub, source):
    before = stored(hub)
    bundle = without(a_referral(form={"consent": None}), "Consent")
    answer = source.post("", bundle)
    assert refusal(answer) == (403, "HUB-CON-001")
    leaflet = answer.json()["issue"][-1]
    assert leaflet["severity"] == "information"
    assert "0570-064-556" in leaflet["details"]["text"]
    assert "相談窓口のご案内" in leaflet["details"]["text"]
    assert stored(hub) == before


def test_KG_04_a_person_who_said_no_gets_the_leaflet(source):
    answer = source.post("", a_referral(consent={"provision": {"type": "deny"}}))
    assert answer.status_code == 403
    assert "HUB-REST-030" in ids(answer)


def test_a_consent_refused_for_another_reason_brings_no_leaflet(source):
    ended = {"type": "permit", "period": {"end": "2020-01-01"}}
    answer = source.post("", a_referral(consent={"provision": ended}))
    assert ids(answer) == ["HUB-CON-005"]


def test_KG_04_a_refused_referral_leaves_no_name_in_the_database(hub, source):
    name, phone = a_name(), f"09{uuid.uuid4().int % 10**9:09d}"
    telecom = [{"system": "phone", "value": phone}]
    bundle = without(
        a_referral(name=name, patient={"telecom": telecom}, form={"consent": None}),
        "Consent",
    )
    assert source.post("", bundle).status_code == 403
    sheet = without(a_referral(name=name, patient={"telecom": telecom}), "Consent")
    assert source.post("", sheet).status_code == 403
    for secret in (name, phone):
        assert not is_found_anywhere(hub, secret)


def test_the_scan_of_the_database_finds_what_was_accepted(hub, source):
    """The check above could not fail if the scan saw nothing."""
    name = a_name()
    submit(source, a_referral(name=name))
    assert is_found_anywhere(hub, name)


@pytest.mark.parametrize("missing", ["ServiceRequest", "Task", "QuestionnaireResponse"])
def test_a_referral_without_one_of_its_parts_is_refused(hub, source, missing):
    before = stored(hub)
    bundle = without(a_referral(), missing)
    for entry in bundle["entry"]:
        entry["resource"].pop("focus", None)
    answer = source.post("", bundle)
    # Without the request it is no referral: then case data needs a case.
    assert answer.status_code in (403, 422)
    assert stored(hub) == before


def test_a_second_person_in_a_referral_is_refused(hub, source):
    before = stored(hub)
    name = a_name()
    answer = source.post("", a_referral(post(a_patient(name))))
    assert refusal(answer) == (422, "HUB-REF-017")
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[5].resource"]
    assert stored(hub) == before
    assert name not in answer.text


def test_a_resource_about_another_person_is_refused(source):
    mine = submit(source)
    other = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": mine["Patient"]},
        "content": [{"attachment": {"contentType": "text/plain", "data": "aGVsbG8="}}],
    }
    answer = source.post("", a_referral(post(other)))
    assert refusal(answer) == (422, "HUB-REF-017")


def test_another_owner_than_the_hub_is_refused(source):
    owner = {"reference": f"HealthcareService/{CENTRE}"}
    answer = source.post("", a_referral(task={"owner": owner}))
    assert refusal(answer) == (422, "HUB-REST-029")


@pytest.mark.parametrize("owner", [{"display": "ハブ"}, {"identifier": {"value": "1"}}])
def test_an_owner_without_a_reference_becomes_the_hub(source, owner):
    made = submit(source, a_referral(task={"owner": owner}))
    task = source.read(f"/{made['Task']}")
    assert task["owner"]["reference"] == "Organization/tsunagi-hub"


def test_another_organisations_name_as_requester_is_refused(source):
    requester = {"reference": f"Organization/{OTHER_HOSPITAL}"}
    answer = source.post("", a_referral(request={"requester": requester}))
    assert refusal(answer) == (422, "HUB-REF-011")
    answer = source.post("", a_referral(task={"requester": requester}))
    assert refusal(answer) == (422, "HUB-REF-011")


def test_writes_beside_a_referral_are_refused_and_reads_answered(hub, source):
    before = stored(hub)
    answer = source.post("", a_referral(delete("ServiceRequest/1")))
    assert refusal(answer) == (400, "HUB-REST-014")
    other = a_patient(id="1")
    assert refusal(source.post("", a_referral(put(other))))[0] in (400, 405)
    assert stored(hub) == before
    told = source.post("", a_referral(get(f"Organization/{HOSPITAL}")))
    last = told.json()["entry"][-1]
    assert last["resource"]["id"] == HOSPITAL
    assert last["response"]["status"] == "200 OK"


def test_the_hubs_own_prefer_header_returns_what_was_stored(source):
    answer = source.post("", a_referral(), headers={"Prefer": "return=representation"})
    found = [e["resource"]["resourceType"] for e in answer.json()["entry"]]
    assert found[0] == "Patient"
    assert len(found) == 5


# The same submission twice.


def test_the_same_submission_identifier_makes_one_referral(hub, source):
    identifier = {"system": canonical.SUBMISSION_ID, "value": str(uuid.uuid4())}
    bundle = a_referral(request={"identifier": [identifier]})
    first = source.post("", again(bundle))
    cases = count(hub, "case_")
    second = source.post("", again(bundle))
    assert locations(first) == locations(second)
    assert {e["response"]["status"] for e in second.json()["entry"]} == {"200 OK"}
    assert count(hub, "case_") == cases


def test_the_same_submission_identifier_with_another_content_is_refused(hub, source):
    identifier = {"system": canonical.SUBMISSION_ID, "value": str(uuid.uuid4())}
    bundle = a_referral(request={"identifier": [identifier]})
    first = source.post("", again(bundle))
    before = stored(hub)
    corrected = again(bundle)
    entry_of(corrected, "Patient")["resource"]["birthDate"] = "1980-01-01"
    answer = source.post("", corrected)
    assert refusal(answer) == (422, "HUB-REF-042")
    assert "1980" not in answer.text
    assert stored(hub) == before
    # What was made anew from the same content is the same submission.
    other = {"authored": "2026-11-02T09:00:00+09:00"}
    text = json.dumps(again(bundle))
    for url in {e["fullUrl"] for e in bundle["entry"]}:
        text = text.replace(url, f"urn:uuid:{uuid.uuid4()}")
    anew = json.loads(text)
    entry_of(anew, "QuestionnaireResponse")["resource"] |= other
    assert locations(source.post("", anew)) == locations(first)
    assert source.post("", anew).status_code == 200
    assert stored(hub) == before


def test_the_same_bytes_without_any_key_make_one_referral(hub, source, stranger):
    bundle = a_referral()
    first, cases = source.post("", bundle), count(hub, "case_")
    second = source.post("", bundle)
    assert locations(first) == locations(second)
    assert {e["response"]["status"] for e in second.json()["entry"]} == {"200 OK"}
    assert count(hub, "case_") == cases
    assert (
        stranger.post("", bundle).json()["entry"][0]["response"]["status"][:3] == "201"
    )


def test_an_idempotency_key_replays_the_answer(hub, source):
    bundle, key = a_referral(), {"Idempotency-Key": str(uuid.uuid4())}
    first = source.post("", bundle, headers=key)
    before = stored(hub)
    second = source.post("", bundle, headers=key)
    assert first.content == second.content
    assert stored(hub) == before


def test_an_idempotency_key_with_another_body_is_refused(hub, source):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    assert source.post("", a_referral(), headers=key).status_code == 200
    before = stored(hub)
    answer = source.post("", a_referral(), headers=key)
    assert refusal(answer) == (422, "HUB-REST-022")
    assert stored(hub) == before


def test_two_clients_may_use_one_idempotency_key(source, stranger):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    assert source.post("", a_referral(), headers=key).status_code == 200
    assert stranger.post("", a_referral(), headers=key).status_code == 200


def test_a_refused_submission_does_not_use_up_its_key(source):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    bad = without(a_referral(), "Consent")
    assert source.post("", bad, headers=key).status_code == 403
    assert source.post("", a_referral(), headers=key).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "\u00e9"])
def test_a_malformed_idempotency_key_is_refused(source, key):
    raw = {"Idempotency-Key": key.encode("latin-1")}
    answer = source.post("", a_referral(), headers=raw)
    assert refusal(answer) == (400, "HUB-REST-018")


def test_a_request_found_by_if_none_exist_is_the_same_referral(hub, source):
    number = {"system": "urn:oid:1.2.392.1.1", "value": str(uuid.uuid4())}
    bundle = a_referral(request={"identifier": [number]})
    query = f"identifier={number['system']}|{number['value']}"
    entry_of(bundle, "ServiceRequest")["request"]["ifNoneExist"] = query
    first = source.post("", again(bundle))
    before = stored(hub)
    second = source.post("", again(bundle))
    assert locations(second) == locations(first)
    assert stored(hub) == before


def test_eight_threads_with_one_submission_make_one_referral(hub, source):
    identifier = {"system": canonical.SUBMISSION_ID, "value": str(uuid.uuid4())}
    bundle = a_referral(request={"identifier": [identifier]})
    before = count(hub, "case_")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(source.post, "", again(bundle)) for _ in range(8)]
        found = [locations(call.result()) for call in calls]
    assert all(one == found[0] for one in found)
    assert count(hub, "case_") == before + 1


def test_eight_threads_with_one_idempotency_key_make_one_referral(hub, source):
    bundle, key = a_referral(), {"Idempotency-Key": str(uuid.uuid4())}
    before = count(hub, "case_")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(source.post, "", again(bundle), headers=key) for _ in range(8)
        ]
        found = {call.result().content for call in calls}
    assert len(found) == 1
    assert count(hub, "case_") == before + 1


# A person the hospital sent before.


def _numbered_patient(number):
    return {"identifier": [{"system": "urn:oid:1.2.392.2.2", "value": number}]}


def _again_for(number, **over):
    bundle = a_referral(patient=_numbered_patient(number), **over)
    query = f"identifier=urn:oid:1.2.392.2.2|{number}"
    entry_of(bundle, "Patient")["request"]["ifNoneExist"] = query
    return bundle


def test_a_known_patient_joins_a_second_referral_unchanged(source, centre):
    number = str(uuid.uuid4())
    first = submit(source, _again_for(number))
    answer = source.post("", _again_for(number, name="改名 花子"))
    second = locations(answer)
    assert second["Patient"] == first["Patient"]
    assert answer.json()["entry"][0]["response"]["status"] == "200 OK"
    assert source.read(f"/{first['Patient']}")["meta"]["versionId"] == "1"
    assert second["Task"] != first["Task"]
    assert child_of(centre, second)["for"]["reference"] == first["Patient"]


def test_AB5_another_hospitals_patient_is_not_matched(source, stranger):
    number = str(uuid.uuid4())
    first = submit(source, _again_for(number))
    second = submit(stranger, _again_for(number))
    assert second["Patient"] != first["Patient"]


def test_a_new_referral_cannot_reuse_a_consent(source):
    number = {"system": "urn:x-test", "value": str(uuid.uuid4())}
    bundle = a_referral(consent={"identifier": [number]})
    submit(source, again(bundle))
    query = f"identifier=urn:x-test|{number['value']}"
    entry_of(bundle, "Consent")["request"]["ifNoneExist"] = query
    assert refusal(source.post("", bundle)) == (422, "HUB-REST-032")


# The referral number.


def test_the_correlation_id_of_the_header_becomes_the_referral_number(source):
    number = str(uuid.uuid4())
    answer = source.post("", a_referral(), headers={"X-Correlation-ID": number})
    made = locations(answer)
    assert answer.headers["X-Correlation-ID"] == number
    assert source.read(f"/{made['Task']}")["groupIdentifier"]["value"] == number


def test_a_correlation_id_used_twice_gives_two_numbers(source):
    header = {"X-Correlation-ID": str(uuid.uuid4())}
    tasks = [
        source.read(
            "/" + locations(source.post("", a_referral(), headers=header))["Task"]
        )
        for _ in range(2)
    ]
    first, second = (task["groupIdentifier"]["value"] for task in tasks)
    assert first == header["X-Correlation-ID"]
    assert second != first


def test_KG_17_a_familys_consent_suffices(source, centre):
    bundle = a_referral(form={"consent": "consent-family"})
    person = bundle["entry"][0]["fullUrl"]
    relative = {
        "resourceType": "RelatedPerson",
        "patient": {"reference": person},
        "name": [{"text": "試験 一郎"}],
        "relationship": [{"text": "長男"}],
    }
    url = urn()
    bundle["entry"].append(post(relative, url))
    entry_of(bundle, "Consent")["resource"]["performer"] = [{"reference": url}]
    made = submit(source, bundle)
    assert centre.read(f"/{made['RelatedPerson']}")["relationship"]


def test_a_form_of_the_sheet_that_says_no_beside_a_consent_is_refused(hub, source):
    before = stored(hub)
    bundle = copy.deepcopy(a_referral())
    person = bundle["entry"][0]["fullUrl"]
    entry_of(bundle, "QuestionnaireResponse")["resource"] = a_form(
        person, consent="consent-none"
    )
    answer = source.post("", bundle)
    assert answer.status_code == 403
    assert ids(answer)[0] == "HUB-CON-006"
    assert stored(hub) == before
    assert a_consent(person)["status"] == "active"
