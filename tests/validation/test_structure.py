"""Structure, cardinality and types, whatever the resource."""

from decimal import Decimal
from typing import Any

import pytest

from hub.fhir.outcome import FhirError, catalogue
from hub.validation import require_valid, validate
from hub.validation.shapes import Property, Shape, shape
from hub.validation.walk import Walk
from tests.validation.resources import XHTML, a_patient, a_task, found

WORDS = {"構造", "多重度", "データ型", "制約", "プロファイル", "コード系", "識別子"}
EXT = "https://x.example/ext"


def test_a_good_resource_has_no_issue():
    assert found(a_patient()) == []


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"nonsense": 1}, "002", "Patient.nonsense"),
    ({"fhir_comments": ["x"]}, "002", "Patient"),
    ({"氏名": "見本"}, "002", "Patient"),
    (
        {"contact": [{"nonsense": 1, "name": {"text": "母"}}]},
        "002",
        "Patient.contact[0].nonsense",
    ),
    ({"name": ["見本"]}, "003", "Patient.name[0]"),
    ({"maritalStatus": "M"}, "003", "Patient.maritalStatus"),
    ({"name": {"text": "見本"}}, "004", "Patient.name"),
    ({"birthDate": ["1990"]}, "005", "Patient.birthDate"),
    ({"maritalStatus": [{"text": "M"}]}, "005", "Patient.maritalStatus"),
    ({"name": [[]]}, "005", "Patient.name[0]"),
    ({"name": []}, "006", "Patient.name"),
    ({"name": [{}]}, "006", "Patient.name[0]"),
    ({"name": [{"id": "a"}]}, "006", "Patient.name[0]"),
    ({"birthDate": ""}, "006", "Patient.birthDate"),
    ({"birthDate": None}, "007", "Patient.birthDate"),
    ({"name": None}, "007", "Patient.name"),
    ({"name": [None]}, "007", "Patient.name[0]"),
    ({"maritalStatus": None}, "007", "Patient.maritalStatus"),
    ({"name": [{"given": ["花子", None]}]}, "007", "Patient.name[0].given[1]"),
    (
        {"name": [{"given": ["花", None], "_given": [None, None]}]},
        "007",
        "Patient.name[0].given[1]",
    ),
    ({"deceasedBoolean": True, "deceasedDateTime": "2026"}, "008", "Patient.deceased"),
    (
        {
            "deceasedBoolean": True,
            "_deceasedDateTime": {"extension": [{"url": EXT, "valueCode": "a"}]},
        },
        "008",
        "Patient.deceased",
    ),
    ({"_name": [{"id": "a"}]}, "009", "Patient.name"),
    ({"_resourceType": {"id": "a"}}, "009", "Patient.resourceType"),
    ({"_birthDate": {}}, "006", "Patient.birthDate"),
    ({"_birthDate": "x"}, "003", "Patient.birthDate"),
    ({"_birthDate": None}, "007", "Patient.birthDate"),
    ({"name": [{"_given": {"id": "a"}}]}, "004", "Patient.name[0].given"),
    ({"name": [{"text": "見本", "_given": []}]}, "006", "Patient.name[0].given"),
    (
        {"name": [{"given": ["花"], "_given": [None, None]}]},
        "007",
        "Patient.name[0].given[1]",
    ),
    ({"birthDate": "1990", "_birthDate": {"id": " "}}, "020", "Patient.birthDate.id"),
    ({"communication": [{"preferred": True}]}, "010", "Patient.communication[0]"),
    ({"link": [{"type": "refer"}]}, "010", "Patient.link[0]"),
    ({"birthDate": "1990-02-30"}, "020", "Patient.birthDate"),
    ({"active": "true"}, "020", "Patient.active"),
    (
        {"multipleBirthInteger": Decimal("1.0")},
        "020",
        "Patient.multipleBirth.ofType(integer)",
    ),
    ({"id": "x" * 65}, "020", "Patient.id"),
    (
        {"photo": [{"contentType": "image/png", "data": "***"}]},
        "020",
        "Patient.photo[0].data",
    ),
    ({"name": [{"given": ["花子", 1]}]}, "020", "Patient.name[0].given[1]"),
    ({"text": {"status": "generated", "div": "<div"}}, "021", "Patient.text.div"),
    (
        {"text": {"status": "generated", "div": f"<div {XHTML}><script/>a</div>"}},
        "022",
        "Patient.text.div",
    ),
    (
        {"text": {"status": "generated", "div": f"<div {XHTML}> </div>"}},
        "023",
        "Patient.text.div",
    ),
    ({"extension": [{"url": EXT}]}, "031", "Patient.extension[0]"),
    (
        {
            "extension": [
                {
                    "url": EXT,
                    "valueCode": "a",
                    "extension": [{"url": "b", "valueCode": "b"}],
                }
            ]
        },
        "031",
        "Patient.extension[0]",
    ),
    ({"extension": [{"valueCode": "a"}]}, "010", "Patient.extension[0]"),
    (
        {"extension": [{"url": "relative", "valueCode": "a"}]},
        "041",
        "Patient.extension[0]",
    ),
    (
        {"extension": [{"url": EXT, "valueCode": "a", "valueString": "b"}]},
        "008",
        "Patient.extension[0].value",
    ),
    (
        {"modifierExtension": [{"url": EXT, "valueCode": "a"}]},
        "040",
        "Patient.modifierExtension[0]",
    ),
    ({"gender": "woman"}, "050", "Patient.gender"),
    (
        {"identifier": [{"system": "local", "value": "1"}]},
        "054",
        "Patient.identifier[0].system",
    ),
    (
        {"maritalStatus": {"coding": [{"system": "local", "code": "M"}]}},
        "054",
        "Patient.maritalStatus.coding[0].system",
    ),
    (
        {"generalPractitioner": [{"reference": "nowhere"}]},
        "060",
        "Patient.generalPractitioner[0].reference",
    ),
    (
        {"generalPractitioner": [{"reference": "Nonsense/1"}]},
        "060",
        "Patient.generalPractitioner[0].reference",
    ),
    (
        {"generalPractitioner": [{"reference": "Practitioner?identifier=1"}]},
        "060",
        "Patient.generalPractitioner[0].reference",
    ),
    (
        {"generalPractitioner": [{"reference": "Patient/1"}]},
        "061",
        "Patient.generalPractitioner[0]",
    ),
    (
        {"generalPractitioner": [{"reference": "https://x/fhir/Patient/1"}]},
        "061",
        "Patient.generalPractitioner[0]",
    ),
    (
        {"generalPractitioner": [{"type": "Patient", "identifier": {"value": "1"}}]},
        "061",
        "Patient.generalPractitioner[0]",
    ),
    (
        {
            "generalPractitioner": [
                {"type": "Organization", "reference": "Practitioner/1"}
            ]
        },
        "069",
        "Patient.generalPractitioner[0].type",
    ),
    (
        {"generalPractitioner": [{"reference": "#gone"}]},
        "062",
        "Patient.generalPractitioner[0].reference",
    ),
]


@pytest.mark.parametrize(("over", "number", "expression"), CASES)
def test_one_fault_is_one_issue_at_its_place(over, number, expression):
    assert found(a_patient(**over)) == [(f"HUB-VAL-{number}", expression)]


CONTAINED = [
    ({"resourceType": "Nonsense", "id": "o"}, "001", "Patient.contained[0]"),
    ({"resourceType": "Organization", "name": "見本"}, "067", "Patient.contained[0]"),
    (
        {
            "resourceType": "Organization",
            "id": "o",
            "name": "見本",
            "contained": [{"resourceType": "Basic", "id": "b", "code": {"text": "a"}}],
        },
        "032",
        "Patient.contained[0]",
    ),
    (
        {
            "resourceType": "Organization",
            "id": "o",
            "name": "見本",
            "meta": {"versionId": "1"},
        },
        "033",
        "Patient.contained[0]",
    ),
    (
        {
            "resourceType": "Organization",
            "id": "o",
            "name": "見本",
            "meta": {"security": [{"code": "R"}]},
        },
        "034",
        "Patient.contained[0]",
    ),
    ({"resourceType": "Organization", "id": "o"}, "030", "Patient.contained[0]"),
    (
        {"resourceType": "Organization", "id": "o", "name": 1},
        "020",
        "Patient.contained[0].name",
    ),
]


@pytest.mark.parametrize(("inside", "number", "expression"), CONTAINED)
def test_a_contained_resource_has_rules_of_its_own(inside, number, expression):
    patient = a_patient(contained=[inside], managingOrganization={"reference": "#o"})
    first = found(patient)
    assert (f"HUB-VAL-{number}", expression) in first
    assert {id_ for id_, _ in first} <= {
        f"HUB-VAL-{number}",
        "HUB-VAL-062",
        "HUB-VAL-061",
    }


def test_a_contained_resource_must_be_used_once_and_be_the_only_one_of_its_id():
    organization = {"resourceType": "Organization", "id": "o", "name": "見本"}
    assert found(a_patient(contained=[organization])) == [
        ("HUB-VAL-064", "Patient.contained[0]")
    ]
    twice = a_patient(
        contained=[organization, organization], managingOrganization={"reference": "#o"}
    )
    assert found(twice) == [("HUB-VAL-066", "Patient.contained[1]")]


def test_a_contained_resource_may_point_back_to_its_container():
    inside = {"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "#"}}
    assert found(a_patient(contained=[inside])) == []


def test_the_type_of_a_contained_target_is_checked():
    inside = {"resourceType": "Location", "id": "l"}
    patient = a_patient(contained=[inside], managingOrganization={"reference": "#l"})
    assert found(patient) == [("HUB-VAL-061", "Patient.managingOrganization")]


@pytest.mark.parametrize(
    "over",
    [
        {"_birthDate": {"extension": [{"url": EXT, "valueCode": "unknown"}]}},
        {"birthDate": "1990", "_birthDate": {"id": "b"}},
        {
            "name": [
                {
                    "given": ["花", None],
                    "_given": [None, {"extension": [{"url": EXT, "valueCode": "a"}]}],
                }
            ]
        },
        {
            "extension": [
                {
                    "url": EXT,
                    "_valueString": {"extension": [{"url": EXT, "valueCode": "a"}]},
                }
            ]
        },
        {
            "extension": [
                {"url": EXT, "extension": [{"url": "relative", "valueCode": "a"}]}
            ]
        },
        {"generalPractitioner": [{"reference": "https://x.example/other"}]},
        {
            "generalPractitioner": [
                {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"}
            ]
        },
        {"generalPractitioner": [{"reference": "Practitioner/1/_history/2"}]},
        {
            "text": {
                "status": "generated",
                "div": f"<div {XHTML}><p>見本&nbsp;<a href='#x'>a</a></p></div>",
            }
        },
    ],
)
def test_what_r4_allows_passes(over):
    assert found(a_patient() | over) == []


def test_a_required_primitive_may_be_there_by_extension_only():
    absent = {"extension": [{"url": EXT, "valueCode": "unknown"}]}
    task = a_task()
    del task["status"]
    assert found(task) == [("HUB-VAL-010", "Task")]
    assert found(task | {"_status": absent}) == []


@pytest.mark.parametrize(
    "value", [None, 1, "Nonsense", "DomainResource", "HumanName", []]
)
def test_an_unknown_resource_type_is_told(value):
    assert found({"resourceType": value})[0][0] == "HUB-VAL-001"


def test_every_fault_is_found_in_one_go_in_document_order():
    patient = a_patient(gender="x", birthDate="y", nonsense=1, active="z")
    assert [id_ for id_, _ in found(patient)] == [
        "HUB-VAL-050",
        "HUB-VAL-020",
        "HUB-VAL-002",
        "HUB-VAL-020",
    ]


def test_the_base_heads_every_expression():
    base = "Bundle.entry[2].resource"
    assert found(a_patient(gender="x"), base=base) == [
        ("HUB-VAL-050", base + ".gender")
    ]


def test_require_valid_raises_422_with_all_issues():
    with pytest.raises(FhirError) as caught:
        require_valid(a_patient(gender="x", birthDate="y"))
    assert caught.value.status == 422
    assert len(caught.value.issues) == 2
    require_valid(a_patient())


def test_a_finding_carries_one_of_the_seven_words_and_never_the_value():
    kinds = [k for k in catalogue().values() if k.id.startswith("HUB-VAL-")]
    assert {kind.word for kind in kinds} == WORDS
    (issue,) = validate(a_patient(gender="秘密"))
    assert issue.text.startswith("【コード系】")
    assert "秘密" not in issue.text + issue.english


def test_codes_of_a_repeating_element_are_checked_one_by_one():
    location = {
        "resourceType": "HealthcareService",
        "availableTime": [{"daysOfWeek": ["mon", "monday"]}],
    }
    assert found(location) == [
        ("HUB-VAL-050", "HealthcareService.availableTime[0].daysOfWeek[1]")
    ]


def test_a_shape_may_limit_repetitions_as_profiles_do():
    names = Property("name", "HumanName", many=True, limit=1, shape=shape("HumanName"))
    limited = Shape("Patient", "Patient", is_resource=True, properties={"name": names})
    walk = Walk(None)
    walk.object({"name": [{"text": "a"}] * 2}, limited, (None, "Patient", None))
    assert [(i.id, i.expression) for i in walk.found] == [
        ("HUB-VAL-011", "Patient.name")
    ]


def test_a_coding_may_be_bound_as_profiles_do():
    bound = Property("class", "Coding", many=False, shape=shape("Coding"))
    bound.bound = {"https://x.example/s": frozenset("a")}
    limited = Shape("Encounter", "Encounter", properties={"class": bound})
    walk = Walk(None)
    for coding in ({"system": "https://x.example/s", "code": "a"}, {"code": "a"}):
        walk.object({"class": coding}, limited, (None, "Encounter", None))
    assert [(i.id, i.expression) for i in walk.found] == [
        ("HUB-VAL-051", "Encounter.class")
    ]


def test_nesting_beyond_any_reader_is_refused_and_does_not_raise():
    value: dict[str, Any] = {"url": EXT, "valueCode": "a"}
    for _ in range(5000):
        value = {"url": EXT, "extension": [value]}
    assert found_ids(a_patient(extension=[value])) == ["HUB-JSON-006"]


def found_ids(resource: dict[str, Any]) -> list[str]:
    return [i.id for i in validate(resource)]
