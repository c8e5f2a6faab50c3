"""A desk that passed a case on, and moves that change more than they may (KG-16, AB1)."""

import pytest

from hub.fhir.canonical import BUSINESS_STATUS, TASK_INPUT
from tests.restful.build import a_referral, child_of, concept, refusal, submit
from tests.restful.conftest import (  # noqa: F401 - the running hub and its callers
    centre,
    hub,
    module_url,
    source,
)

PASSED_ON = {
    "status": "failed",
    "businessStatus": concept(BUSINESS_STATUS, "transferred"),
    "statusReason": {"text": "移管"},
    "output": [
        {
            "type": concept(TASK_INPUT, "proposed-desk"),
            "valueReference": {"reference": "HealthcareService/naze"},
        }
    ],
}


def test_KG_16_a_desk_that_passed_a_case_on_writes_nothing_in_it(source, centre):  # noqa: F811
    made = submit(source)
    child = centre.move(child_of(centre, made), status="accepted")
    told = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": made["Patient"]},
        "payload": [{"contentString": "本人と話した"}],
    }
    answer = centre.post(
        "/Communication", told, headers={"Prefer": "return=representation"}
    )
    assert answer.status_code == 201
    centre.move(child, **PASSED_ON)
    own = answer.json() | {"payload": [{"contentString": "あとから"}]}
    changed = centre.put(f"/Communication/{own['id']}", own)
    assert refusal(changed) == (403, "HUB-CON-012")
    assert refusal(centre.post("/Communication", told)) == (403, "HUB-CON-012")


FORGED = [
    (
        "text",
        {
            "status": "generated",
            "div": "<div xmlns='http://www.w3.org/1999/xhtml'>x</div>",
        },
    ),
    (
        "meta",
        {
            "security": [
                {
                    "code": "N",
                    "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
                }
            ]
        },
    ),
]


@pytest.mark.parametrize(("element", "value"), FORGED)
def test_a_move_changes_neither_narrative_nor_labels(source, centre, element, value):  # noqa: F811
    child = child_of(centre, submit(source))
    if element == "meta":
        value = child["meta"] | value
    answer = centre.change(child, status="accepted", **{element: value})
    assert refusal(answer) == (422, "HUB-REF-004")
    assert answer.json()["issue"][0]["expression"] == [f"Task.{element}"]


def test_what_a_move_leaves_unsaid_stays(source, centre):  # noqa: F811
    text = {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml">依頼</div>',
    }
    label = [{"system": "http://example.org/tag", "code": "a"}]
    task = {"text": text, "meta": {"tag": label}}
    made = submit(source, a_referral(task=task))
    parent = source.read(f"/{made['Task']}")
    bare = {key: one for key, one in parent.items() if key != "text"}
    stamps = {"versionId": parent["meta"]["versionId"]}
    moved = source.move(bare | {"meta": stamps}, note=[{"text": "追記"}])
    assert moved["text"] == text
    assert moved["meta"]["tag"] == label
