"""Bodies that a FHIR server must not take, from the bytes on.

The list follows dependencies.md §1c: faults that typed models or a JSON Schema let
pass alone. Here every one of them is refused, by the decoder or by the validator.
"""

import json
from typing import Any

import pytest

from hub.fhir.json import decode
from hub.fhir.outcome import FhirError
from hub.validation import require_valid
from tests.validation.resources import (
    XHTML,
    a_consent,
    a_patient,
    a_response,
    a_service_request,
    a_task,
    a_transaction,
    an_entry,
)

EXT = "https://x.example/e"


def raw(resource: Any) -> bytes:
    return json.dumps(resource).encode()


def observation(**over: Any) -> bytes:
    base = {"resourceType": "Observation", "status": "final", "code": {"text": "体重"}}
    return raw(base | over)


def questionnaire(**item: Any) -> bytes:
    base = {"resourceType": "Questionnaire", "status": "draft"}
    return raw(base | {"item": [{"linkId": "1", "type": "string"} | item]})


def narrative(div: str) -> bytes:
    return raw(a_patient(text={"status": "generated", "div": div}))


BODIES = {
    "boolean as string": raw(a_patient(active="true")),
    "boolean as number": raw(a_patient(active=1)),
    "integer as string": raw(a_patient(multipleBirthInteger="5")),
    "integer as decimal": b'{"resourceType":"Patient","multipleBirthInteger":5.5}',
    "integer with a point": b'{"resourceType":"Patient","multipleBirthInteger":5.0}',
    "decimal as string": observation(valueQuantity={"value": "5.5"}),
    "positiveInt zero": raw(
        {
            "resourceType": "Appointment",
            "status": "proposed",
            "minutesDuration": 0,
            "participant": [{"actor": {"display": "a"}, "status": "accepted"}],
        }
    ),
    "no resourceType": b'{"id":"1"}',
    "unknown resourceType": b'{"resourceType":"Pacient"}',
    "resourceType of a datatype": b'{"resourceType":"HumanName","family":"a"}',
    "null value": raw(a_patient(gender=None)),
    "null object": raw(a_patient(maritalStatus=None)),
    "null in a list": raw(a_patient(name=[{"given": ["花", None]}])),
    "null list": raw(a_patient(name=None)),
    "empty list": raw(a_patient(name=[])),
    "empty object": raw(a_patient(maritalStatus={})),
    "empty object in a list": raw(a_patient(name=[{}])),
    "empty string": raw(a_patient(birthDate="")),
    "blank string": raw(a_patient(name=[{"text": "   "}])),
    "enumerated code": raw(a_task(status="foo")),
    "code in another case": raw(a_task(status="Requested")),
    "code with blanks around": raw(a_patient(language=" ja ")),
    "id of 65 characters": raw(a_patient(id="x" * 65)),
    "id with an underscore": raw(a_patient(id="a_b")),
    "uri with a blank": raw(a_patient(implicitRules="http://x y")),
    "30 February": raw(a_patient(birthDate="2026-02-30")),
    "29 February of a common year": raw(a_patient(birthDate="2026-02-29")),
    "dateTime without zone": raw(a_task(authoredOn="2026-04-01T10:00:00")),
    "hour 24": raw(a_task(authoredOn="2026-04-01T24:00:00Z")),
    "date with slashes": raw(a_patient(birthDate="1990/02/28")),
    "bad base64": raw(a_patient(photo=[{"contentType": "a/b", "data": "***"}])),
    "base64 of a wrong length": raw(
        a_patient(photo=[{"contentType": "a/b", "data": "QUJ"}])
    ),
    "script in the narrative": narrative(f"<div {XHTML}><script>a</script></div>"),
    "event handler in the narrative": narrative(
        f"<div {XHTML}><p onload='a'>a</p></div>"
    ),
    "broken narrative": narrative(f"<div {XHTML}><p>a</div>"),
    "narrative outside XHTML": narrative("<div>a</div>"),
    "DOCTYPE in the narrative": narrative(
        f"<!DOCTYPE a [<!ENTITY e 'x'>]><div {XHTML}>&e;</div>"
    ),
    "duplicate key": b'{"resourceType":"Patient","gender":"male","gender":"female"}',
    "NaN": b'{"resourceType":"Patient","multipleBirthInteger":NaN}',
    "fhir_comments": raw(a_patient(fhir_comments=["a"])),
    "unknown element": raw(a_patient(nickname="a")),
    "required primitive missing": raw(
        {k: v for k, v in a_consent().items() if k != "status"}
    ),
    "required object missing": raw(
        {k: v for k, v in a_service_request().items() if k != "subject"}
    ),
    "required choice missing": raw(a_task(input=[{"type": {"text": "a"}}])),
    "two types of one choice": observation(valueString="a", valueBoolean=True),
    "extension without url": raw(a_patient(extension=[{"valueCode": "a"}])),
    "extension without value": raw(a_patient(extension=[{"url": EXT}])),
    "extension with value and extension": raw(
        a_patient(
            extension=[
                {
                    "url": EXT,
                    "valueCode": "a",
                    "extension": [{"url": "b", "valueCode": "b"}],
                }
            ]
        )
    ),
    "unknown modifierExtension": raw(
        a_patient(modifierExtension=[{"url": EXT, "valueCode": "a"}])
    ),
    "contained in contained": raw(
        a_patient(
            managingOrganization={"reference": "#o"},
            contained=[
                {
                    "resourceType": "Organization",
                    "id": "o",
                    "name": "a",
                    "contained": [
                        {"resourceType": "Organization", "id": "p", "name": "b"}
                    ],
                }
            ],
        )
    ),
    "two entries of one fullUrl": raw(
        a_transaction(entry=[an_entry(0, a_patient()), an_entry(0, a_patient())])
    ),
    "transaction without request": raw(
        a_transaction(entry=[{"resource": a_patient()}])
    ),
    "one linkId twice": raw(
        {
            "resourceType": "Questionnaire",
            "status": "draft",
            "item": [
                {"linkId": "1", "type": "string"},
                {"linkId": "1", "type": "string"},
            ],
        }
    ),
    "group without items": questionnaire(type="group"),
    "display that is required": questionnaire(type="display", required=True),
    "answer and items beside": raw(
        a_response(
            item=[
                {
                    "linkId": "1",
                    "answer": [{"valueString": "a"}],
                    "item": [{"linkId": "2"}],
                }
            ]
        )
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_bad_body_is_refused(name: str):
    with pytest.raises(FhirError) as caught:
        require_valid(decode(BODIES[name]))
    assert caught.value.status in {400, 422}


def test_the_bodies_are_good_but_for_their_fault():
    for good in (
        observation(),
        questionnaire(),
        raw(a_patient()),
        raw(a_transaction()),
    ):
        require_valid(decode(good))
