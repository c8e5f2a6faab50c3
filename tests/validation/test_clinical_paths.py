"""Consent, ServiceRequest, Task and QuestionnaireResponse: one wrong case per rule."""

import pytest

from tests.validation.resources import (
    a_consent,
    a_response,
    a_service_request,
    a_task,
    found,
    rules,
)


@pytest.mark.parametrize("make", [a_consent, a_service_request, a_task, a_response])
def test_the_good_resource_has_no_issue(make):
    assert found(make()) == []


@pytest.mark.parametrize("name", ["status", "scope", "category"])
def test_consent_needs(name: str):
    consent = a_consent()
    del consent[name]
    assert found(consent) == [("HUB-VAL-010", "Consent")]


CONSENT = [
    ({"status": "ok"}, "050", "Consent.status"),
    ({"category": []}, "006", "Consent.category"),
    ({"patient": {"reference": "Group/1"}}, "061", "Consent.patient"),
    ({"performer": [{"reference": "Device/1"}]}, "061", "Consent.performer[0]"),
    ({"organization": [{"reference": "Patient/1"}]}, "061", "Consent.organization[0]"),
    (
        {"sourceReference": {"reference": "Binary/1"}},
        "061",
        "Consent.source.ofType(Reference)",
    ),
    (
        {"sourceReference": {"display": "紙"}, "sourceAttachment": {"title": "紙"}},
        "008",
        "Consent.source",
    ),
    ({"dateTime": "令和8年4月1日"}, "020", "Consent.dateTime"),
    ({"provision": {"type": "allow"}}, "050", "Consent.provision.type"),
    (
        {"provision": {"actor": [{"role": {"text": "受領"}}]}},
        "010",
        "Consent.provision.actor[0]",
    ),
    (
        {"provision": {"data": [{"meaning": "all", "reference": {"display": "a"}}]}},
        "050",
        "Consent.provision.data[0].meaning",
    ),
    (
        {"provision": {"provision": [{"type": "x"}]}},
        "050",
        "Consent.provision.provision[0].type",
    ),
    (
        {"verification": [{"verifiedWith": {"reference": "Patient/1"}}]},
        "010",
        "Consent.verification[0]",
    ),
]


@pytest.mark.parametrize(("over", "number", "expression"), CONSENT)
def test_consent_one_fault(over, number, expression):
    assert found(a_consent(**over)) == [(f"HUB-VAL-{number}", expression)]


def test_consent_needs_a_policy_ppc_1():
    consent = a_consent()
    del consent["policyRule"]
    assert rules(consent) == [("ppc-1", "Consent")]


def test_consent_period_is_not_backwards_per_1():
    provision = {"period": {"start": "2026-04-02", "end": "2026-04-01"}}
    assert rules(a_consent(provision=provision)) == [
        ("per-1", "Consent.provision.period")
    ]


@pytest.mark.parametrize("name", ["status", "intent", "subject"])
def test_service_request_needs(name: str):
    request = a_service_request()
    del request[name]
    assert found(request) == [("HUB-VAL-010", "ServiceRequest")]


REQUEST = [
    ({"status": "requested"}, "050", "ServiceRequest.status"),
    ({"intent": "wish"}, "050", "ServiceRequest.intent"),
    ({"priority": "high"}, "050", "ServiceRequest.priority"),
    ({"doNotPerform": "false"}, "020", "ServiceRequest.doNotPerform"),
    ({"subject": {"reference": "RelatedPerson/1"}}, "061", "ServiceRequest.subject"),
    (
        {"requester": {"reference": "HealthcareService/1"}},
        "061",
        "ServiceRequest.requester",
    ),
    ({"performer": {"display": "a"}}, "004", "ServiceRequest.performer"),
    (
        {"occurrenceDateTime": "2026", "occurrencePeriod": {"start": "2026"}},
        "008",
        "ServiceRequest.occurrence",
    ),
    (
        {"occurrenceTiming": {"repeat": {"frequency": 0}}},
        "020",
        "ServiceRequest.occurrence.ofType(Timing).repeat.frequency",
    ),
    (
        {"quantityQuantity": {"value": "5"}},
        "020",
        "ServiceRequest.quantity.ofType(Quantity).value",
    ),
    (
        {"reasonCode": [{"coding": [{"code": 5}]}]},
        "020",
        "ServiceRequest.reasonCode[0].coding[0].code",
    ),
    ({"note": [{"authorString": "a"}]}, "010", "ServiceRequest.note[0]"),
    (
        {"instantiatesCanonical": ["a b"]},
        "020",
        "ServiceRequest.instantiatesCanonical[0]",
    ),
    ({"owner": {"display": "a"}}, "002", "ServiceRequest.owner"),
]


@pytest.mark.parametrize(("over", "number", "expression"), REQUEST)
def test_service_request_one_fault(over, number, expression):
    assert found(a_service_request(**over)) == [(f"HUB-VAL-{number}", expression)]


def test_service_request_detail_needs_a_code_prr_1():
    request = a_service_request(orderDetail=[{"text": "訪問"}])
    del request["code"]
    assert rules(request) == [("prr-1", "ServiceRequest")]


def test_service_request_timing_needs_units_tim_1():
    request = a_service_request(occurrenceTiming={"repeat": {"duration": 2}})
    assert rules(request) == [
        ("tim-1", "ServiceRequest.occurrence.ofType(Timing).repeat")
    ]


@pytest.mark.parametrize("name", ["status", "intent"])
def test_task_needs(name: str):
    task = a_task()
    del task[name]
    assert found(task) == [("HUB-VAL-010", "Task")]


TASK = [
    ({"status": "transferred"}, "050", "Task.status"),
    ({"intent": "directive"}, "050", "Task.intent"),
    ({"priority": "1"}, "050", "Task.priority"),
    ({"businessStatus": "visited"}, "003", "Task.businessStatus"),
    ({"partOf": [{"reference": "ServiceRequest/1"}]}, "061", "Task.partOf[0]"),
    ({"owner": {"reference": "Location/1"}}, "061", "Task.owner"),
    ({"restriction": {"repetitions": 0}}, "020", "Task.restriction.repetitions"),
    ({"input": [{"type": {"text": "a"}}]}, "010", "Task.input[0]"),
    ({"input": [{"valueString": "a"}]}, "010", "Task.input[0]"),
    (
        {"input": [{"type": {"text": "a"}, "valueString": "a", "valueCode": "b"}]},
        "008",
        "Task.input[0].value",
    ),
    (
        {"output": [{"type": {"text": "a"}, "valueReference": {"reference": "x"}}]},
        "060",
        "Task.output[0].value.ofType(Reference).reference",
    ),
    ({"executionPeriod": {"start": "2026-4-1"}}, "020", "Task.executionPeriod.start"),
    ({"note": [{"text": " "}]}, "020", "Task.note[0].text"),
]


@pytest.mark.parametrize(("over", "number", "expression"), TASK)
def test_task_one_fault(over, number, expression):
    assert found(a_task(**over)) == [(f"HUB-VAL-{number}", expression)]


def test_task_is_not_changed_before_it_was_written_inv_1():
    assert rules(a_task(authoredOn="2026-04-02", lastModified="2026-04-01")) == [
        ("inv-1", "Task")
    ]


RESPONSE = [
    ({"status": "final"}, "050", "QuestionnaireResponse.status"),
    ({"item": [{"text": "a"}]}, "010", "QuestionnaireResponse.item[0]"),
    (
        {"item": [{"linkId": "1", "answer": [{"valueString": ""}]}]},
        "006",
        "QuestionnaireResponse.item[0].answer[0].value.ofType(string)",
    ),
    (
        {
            "item": [
                {"linkId": "1", "answer": [{"valueString": "a", "valueDate": "2026"}]}
            ]
        },
        "008",
        "QuestionnaireResponse.item[0].answer[0].value",
    ),
    (
        {"item": [{"linkId": "1", "answer": [{"valueCode": "a"}]}]},
        "002",
        "QuestionnaireResponse.item[0].answer[0].valueCode",
    ),
    (
        {"item": [{"linkId": "1", "answer": [{"valueDate": "2026-02-30"}]}]},
        "020",
        "QuestionnaireResponse.item[0].answer[0].value.ofType(date)",
    ),
    (
        {"item": [{"linkId": "1", "answer": [{"item": [{"linkId": 2}]}]}]},
        "020",
        "QuestionnaireResponse.item[0].answer[0].item[0].linkId",
    ),
    (
        {"item": [{"linkId": "1", "answer": {"valueString": "a"}}]},
        "004",
        "QuestionnaireResponse.item[0].answer",
    ),
    ({"author": {"reference": "Location/1"}}, "061", "QuestionnaireResponse.author"),
    ({"authored": "2026-04-01T10:00"}, "020", "QuestionnaireResponse.authored"),
]


@pytest.mark.parametrize(("over", "number", "expression"), RESPONSE)
def test_questionnaire_response_one_fault(over, number, expression):
    assert found(a_response(**over)) == [(f"HUB-VAL-{number}", expression)]


def test_questionnaire_response_needs_a_status():
    response = a_response()
    del response["status"]
    assert found(response) == [("HUB-VAL-010", "QuestionnaireResponse")]


def test_an_answered_item_has_no_items_beside_the_answer_qrs_1():
    item = {"linkId": "1", "answer": [{"valueString": "a"}], "item": [{"linkId": "2"}]}
    assert rules(a_response(item=[{"linkId": "g", "item": [item]}])) == [
        ("qrs-1", "QuestionnaireResponse.item[0].item[0]")
    ]
