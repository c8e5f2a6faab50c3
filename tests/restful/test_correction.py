"""D-22: a corrected sheet joins the case whose referral number it names."""

import uuid

import pytest

from hub.fhir import canonical
from tests.restful.build import (
    a_name,
    a_referral,
    again,
    case_of,
    child_of,
    count,
    entry_of,
    ids,
    locations,
    post,
    refusal,
    stored,
    submit,
)


def _number(source, made):
    return source.read(f"/{made['Task']}")["groupIdentifier"]


def _corrected(number, **over):
    """The same sheet again, corrected, with the referral number on its Task."""
    return a_referral(task={"groupIdentifier": number}, **over)


def test_D_22_a_corrected_form_enters_the_case(hub, source, centre):
    made = submit(source)
    cases = count(hub, "case_")
    remark = a_name()
    bundle = _corrected(_number(source, made))
    form = entry_of(bundle, "QuestionnaireResponse")["resource"]
    form["item"][0]["item"][0]["answer"][0]["valueString"] = remark
    answer = source.post("", bundle)
    after = locations(answer)
    assert after["Patient"] == made["Patient"]
    assert after["ServiceRequest"] == made["ServiceRequest"]
    assert after["Task"] == made["Task"]
    assert after["Consent"] == made["Consent"]
    assert after["QuestionnaireResponse"] != made["QuestionnaireResponse"]
    seen = centre.read(f"/{after['QuestionnaireResponse']}")
    assert seen["status"] == "amended"
    assert seen["subject"]["reference"] == made["Patient"]
    assert remark in str(seen)
    assert count(hub, "case_") == cases
    assert case_of(source, made)["identifier"] == [_number(source, made)]


def test_D_22_each_entry_says_what_became_of_it(source):
    made = submit(source)
    answer = source.post("", _corrected(_number(source, made)))
    responses = {
        one["response"]["location"].split("/")[0]: one["response"]
        for one in answer.json()["entry"]
    }
    assert responses["QuestionnaireResponse"]["status"] == "201 Created"
    for kind in ("Patient", "Consent", "ServiceRequest", "Task"):
        assert responses[kind]["status"] == "200 OK"
        outcome = responses[kind]["outcome"]
        assert outcome["issue"][0]["details"]["coding"][0]["code"] == "HUB-REST-031"


def test_D_22_the_desk_sees_the_corrected_form_on_its_task(source, centre):
    made = submit(source)
    before = child_of(centre, made)
    after = locations(source.post("", _corrected(_number(source, made))))
    child = child_of(centre, made)
    assert child["meta"]["versionId"] == "2"
    added = [one for one in child["input"] if one not in before["input"]]
    assert added[0]["type"]["coding"][0]["code"] == "corrected-form"
    form = after["QuestionnaireResponse"]
    assert added[0]["valueReference"]["reference"] == form
    assert child["status"] == before["status"]


def test_D_22_the_desk_is_told_through_the_outbox_under_its_grant(hub, source):
    made = submit(source)
    _give_endpoint(hub, "kagoshima-shi")
    before = count(hub, "outbox")
    locations(source.post("", _corrected(_number(source, made))))
    with hub.database.engine.connect() as session:
        rows = session.exec_driver_sql(
            "SELECT kind, organisation, grant_id, body FROM outbox"
        ).all()
    assert len(rows) > before
    told = [row for row in rows if row.organisation == "kagoshima-shi"][-1]
    assert told.kind == "referral"
    assert told.grant_id
    assert b'"amended"' in bytes(told.body)


def _give_endpoint(hub, organisation):
    """The desk gets an address; the referral before it was fetched, not pushed."""
    from hub.actor import Actor
    from hub.changes import By, put
    from hub.directory.ask import StoredDirectory

    by = By(Actor("test", "tsunagi-hub", roles=frozenset({"hub"})))
    with hub.database.transaction() as session:
        put(
            session,
            by,
            {
                "resourceType": "Endpoint",
                "id": f"{organisation}-fhir",
                "status": "active",
                "connectionType": {
                    "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
                    "code": "hl7-fhir-rest",
                },
                "managingOrganization": {"reference": f"Organization/{organisation}"},
                "payloadType": [{"text": "FHIR"}],
                "address": "https://kakuu.example/fhir",
            },
        )
    with hub.database.transaction(write=False) as session:
        assert StoredDirectory(session).endpoint_of(organisation) is not None


@pytest.mark.parametrize("where", ["group", "identifier"])
def test_D_22_an_unknown_number_is_refused(hub, source, where):
    before = stored(hub)
    number = {"system": canonical.CASE_ID, "value": str(uuid.uuid4())}
    task = {"groupIdentifier": number} if where == "group" else {"identifier": [number]}
    answer = source.post("", a_referral(task=task))
    assert refusal(answer) == (409, "HUB-REF-022")
    expression = answer.json()["issue"][0]["expression"]
    assert expression == ["Bundle.entry[4].resource.groupIdentifier"]
    assert stored(hub) == before


def test_D_22_the_number_may_stand_as_an_identifier(source):
    made = submit(source)
    bundle = a_referral(task={"identifier": [_number(source, made)]})
    assert locations(source.post("", bundle))["Task"] == made["Task"]


def test_D_22_a_number_of_another_system_is_a_new_referral(source):
    made = submit(source)
    own = {"system": "urn:x-hospital", "value": "2026-001"}
    other = submit(source, a_referral(task={"identifier": [own]}))
    assert other["Task"] != made["Task"]


def test_G4_another_organisations_number_is_as_unknown(source, stranger):
    made = submit(source)
    hidden = stranger.post("", _corrected(_number(source, made)))
    unknown = {"system": canonical.CASE_ID, "value": str(uuid.uuid4())}
    absent = stranger.post("", _corrected(unknown))
    assert refusal(hidden) == (409, "HUB-REF-022")
    assert hidden.content == absent.content


def test_D_22_a_closed_case_is_not_joined(hub, source):
    made = submit(source)
    number = _number(source, made)
    parent = source.read(f"/{made['Task']}")
    source.move(parent, status="cancelled", statusReason={"text": "取下げ"})
    before = stored(hub)
    answer = source.post("", _corrected(number))
    assert refusal(answer) == (409, "HUB-REF-022")
    assert stored(hub) == before


def test_D_22_a_correction_that_says_no_consent_is_refused(hub, source):
    made = submit(source)
    before = stored(hub)
    bundle = _corrected(_number(source, made), form={"item": []})
    form = entry_of(bundle, "QuestionnaireResponse")["resource"]
    coding = {"system": canonical.code_system("consent"), "code": "consent-none"}
    item = {"linkId": "k1.consent", "answer": [{"valueCoding": coding}]}
    form["item"] = [{"linkId": "k1", "item": [item]}]
    answer = source.post("", bundle)
    assert answer.status_code == 403
    assert ids(answer)[0] == "HUB-CON-006"
    assert stored(hub) == before


def test_D_22_another_person_does_not_enter_the_case(hub, source):
    made = submit(source)
    other = submit(source)
    before = stored(hub)
    note = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": other["Patient"]},
        "content": [{"attachment": {"contentType": "text/plain", "data": "aGVsbG8="}}],
    }
    bundle = _corrected(_number(source, made))
    bundle["entry"].append(post(note))
    assert refusal(source.post("", bundle)) == (422, "HUB-REF-017")
    assert stored(hub) == before


def test_D_22_a_correction_without_the_form_is_refused(hub, source):
    made = submit(source)
    before = stored(hub)
    bundle = _corrected(_number(source, made))
    del bundle["entry"][1]
    assert refusal(source.post("", bundle)) == (422, "HUB-REF-020")
    assert stored(hub) == before


def test_D_22_the_same_correction_twice_is_stored_once(hub, source):
    made = submit(source)
    bundle = _corrected(_number(source, made))
    digest = {"system": canonical.SUBMISSION_ID, "value": str(uuid.uuid4())}
    entry_of(bundle, "ServiceRequest")["resource"]["identifier"] = [digest]
    first = locations(source.post("", again(bundle)))
    before = stored(hub)
    assert locations(source.post("", again(bundle))) == first
    assert stored(hub) == before


def test_D_22_without_the_number_a_second_sheet_is_a_second_referral(source):
    first, second = submit(source), submit(source)
    assert first["Task"] != second["Task"]
    assert first["Patient"] != second["Patient"]
