"""The Patient and RelatedPerson that a form's answers describe (handbook §5.1).

Which item is whose name, birth date or address is a `form-role` mark of the form.
"""

from typing import Any

from hub.fhir.answers import Answers, code_of, text_of, value_of, written_of
from hub.fhir.canonical import (
    MARITAL_STATUS,
    MUNICIPALITY,
    MUNICIPALITY_CODES,
    NAME_REPRESENTATION,
    WRITTEN_FORM,
)
from hub.fhir.json import Resource
from hub.questionnaires.form import Form, maps_to

_GENDER = "http://hl7.org/fhir/administrative-gender"
_NAME_PARTS = 2


def patient(form: Form, answers: Answers, extras: dict[str, Any]) -> Resource:
    """The Patient, without identifier: the hub issues its own (decision D-12).

    `extras` may hold `postalCode` or, unreadable, `postalCodeText`. What could not be
    read is kept as its written form where FHIR has a place for it.
    """
    made: Resource = {"resourceType": "Patient", "active": True}
    gender = _one(form, answers, "person-gender")
    made["gender"] = _gender(form, gender)
    optional = {
        "name": _names(form, answers),
        "telecom": _telecom(form, answers),
        "address": _address(form, answers, extras),
        "maritalStatus": _marital(form, _one(form, answers, "person-marital-status")),
        "generalPractitioner": [
            {"display": text_of(a)} for a in _all(form, answers, "person-gp")
        ],
        **_birth(_one(form, answers, "person-birth-date")),
    }
    return made | {key: value for key, value in optional.items() if value}


def family(form: Form, answers: Answers, person: str) -> Resource:
    """The RelatedPerson who consents; `relationship` is the 続柄 as written."""
    made: Resource = {
        "resourceType": "RelatedPerson",
        "active": True,
        "patient": {"reference": person},
    }
    relation = _one(form, answers, "consent-relationship")
    if relation:
        made["relationship"] = [{"text": text_of(relation)}]
    return made


def _all(form: Form, answers: Answers, role: str) -> list[Resource]:
    link = form.role(role)
    return answers.get(link, []) if link else []


def _one(form: Form, answers: Answers, role: str) -> Resource | None:
    return next(iter(_all(form, answers, role)), None)


def _names(form: Form, answers: Answers) -> list[Resource]:
    return [
        _name(str(value), representation)
        for role, representation in (("person-name", "IDE"), ("person-kana", "SYL"))
        for answer in _all(form, answers, role)
        if (value := value_of(answer))
    ]


def _name(text: str, representation: str) -> Resource:
    name: Resource = {
        "extension": [{"url": NAME_REPRESENTATION, "valueCode": representation}],
        "use": "official",
        "text": text,
    }
    # Where a family name ends cannot be seen: only a written separator splits it.
    parts = text.split(" ")
    if len(parts) == _NAME_PARTS:
        name["family"], name["given"] = parts[0], [parts[1]]
    return name


def _gender(form: Form, answer: Resource | None) -> str:
    link = form.role("person-gender")
    if answer is None or link is None:
        return "unknown"
    coding = maps_to(form.items[link], code_of(answer), _GENDER)
    return str(coding["code"]) if coding else "unknown"


def _birth(answer: Resource | None) -> Resource:
    if answer is None:
        return {}
    made: Resource = {}
    if value_of(answer):
        made["birthDate"] = value_of(answer)
    if (written := written_of(answer)) is not None:
        made["_birthDate"] = _written(written)
    return made


def _telecom(form: Form, answers: Answers) -> list[Resource]:
    return [
        {"system": "phone", "value": value}
        for answer in _all(form, answers, "person-phone")
        if (value := value_of(answer))
    ]


def _address(form: Form, answers: Answers, extras: dict[str, Any]) -> list[Resource]:
    address: Resource = {}
    if code := _municipality(form, answers):
        coding = {"system": MUNICIPALITY_CODES, "code": code}
        address["extension"] = [{"url": MUNICIPALITY, "valueCoding": coding}]
    lines = _all(form, answers, "person-address")
    place = lines or _all(form, answers, "person-municipality")
    if text := "\n".join(text_of(a) for a in place if text_of(a)):
        address["text"] = text
    if extras.get("postalCode"):
        address["postalCode"] = extras["postalCode"]
    elif extras.get("postalCodeText"):
        address["_postalCode"] = _written(extras["postalCodeText"])
    return [{"use": "home", **address}] if address else []


def _municipality(form: Form, answers: Answers) -> str | None:
    answer = _one(form, answers, "person-municipality")
    identifier = (value_of(answer) or {}).get("identifier", {}) if answer else {}
    known = identifier.get("system") == MUNICIPALITY_CODES
    return identifier.get("value") if known else None


def _marital(form: Form, answer: Resource | None) -> Resource:
    link = form.role("person-marital-status")
    if answer is None or link is None:
        return {}
    coding = maps_to(form.items[link], code_of(answer), MARITAL_STATUS)
    coded: Resource = {"coding": [coding]} if coding else {}
    return {**coded, "text": text_of(answer)}


def _written(text: str) -> Resource:
    return {"extension": [{"url": WRITTEN_FORM, "valueString": text}]}
