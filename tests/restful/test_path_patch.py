"""FHIRPath Patch (R4 fhirpatch.html; rest.md F10): what each operation does."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from hub.fhir.json import decode, encode
from hub.fhir.outcome import FhirError
from hub.restful.path_operation import operations_of
from hub.restful.path_patch import apply
from tests.restful.patches import add, delete, insert, move, part, patch, replace

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "birthDate": "1920-01-01",
    "_birthDate": {"id": "b"},
    "name": [
        {
            "use": "official",
            "family": "架空",
            "given": ["一", "二"],
            "_given": [None, {"id": "g"}],
        },
        {"use": "usual", "text": "かくう"},
    ],
    "contact": [{"name": {"text": "a name"}, "gender": "male"}],
    "multipleBirthInteger": 2,
    "extension": [{"url": "https://else.example/a", "valueDecimal": Decimal("1.50")}],
}


def _patched(*operations, document=None):
    after = deepcopy(PATIENT if document is None else document)
    for operation in operations_of(patch(*operations)):
        apply(after, operation)
    return after


def _changed(*operations, document=None):
    """The keys whose values the operations changed, with the new ones."""
    before = PATIENT if document is None else document
    after = _patched(*operations, document=document)
    keys = before.keys() | after.keys()
    return {k: after.get(k) for k in keys if before.get(k) != after.get(k)}


def _refused(*operations, document=None):
    with pytest.raises(FhirError) as caught:
        _patched(*operations, document=document)
    (found,) = caught.value.issues
    assert found.kind.status == 422
    assert str(found.expression).startswith("Parameters.parameter[")
    return found.id


def test_F10_no_operation_changes_nothing():
    assert _patched() == PATIENT


def test_F10_add_sets_an_element_and_appends_to_a_list():
    assert _changed(add("Patient", "gender", valueCode="female")) == {
        "gender": "female"
    }
    added = _changed(add("Patient.name[1]", "given", valueString="三"))
    assert added["name"][1]["given"] == ["三"]
    added = _changed(add("Patient.name[0]", "given", valueString="三"))
    assert added["name"][0]["given"] == ["一", "二", "三"]
    assert added["name"][0]["_given"] == [None, {"id": "g"}, None]
    married = {"text": "married"}
    added = _changed(add("Patient", "maritalStatus", valueCodeableConcept=married))
    assert added == {"maritalStatus": married}
    added = _changed(add("Patient", "deceased", valueBoolean=False))
    assert added == {"deceasedBoolean": False}


def test_F10_add_makes_an_element_without_a_type_from_its_parts():
    made = [
        part("name", valueHumanName={"text": "a name"}),
        part("telecom", valueContactPoint={"value": "1"}),
        part("telecom", valueContactPoint={"value": "2"}),
    ]
    added = _changed(add("Patient", "contact", part=made))
    assert added["contact"][1] == {
        "name": {"text": "a name"},
        "telecom": [{"value": "1"}, {"value": "2"}],
    }
    held = {"resourceType": "Observation", "id": "o", "status": "final"}
    assert _changed(add("Patient", "contained", resource=held)) == {"contained": [held]}


def test_F10_add_puts_an_extension_beside_a_primitive():
    extension = {"url": "https://else.example/b", "valueString": "x"}
    added = add("Patient.birthDate", "extension", valueExtension=extension)
    assert _changed(added) == {"_birthDate": {"id": "b", "extension": [extension]}}
    added = add("Patient.active", "extension", valueExtension=extension)
    assert _changed(added) == {"_active": {"extension": [extension]}}


def test_F10_an_element_that_is_only_an_extension_is_one():
    held = {"id": "b"}
    document = {"resourceType": "Patient", "_birthDate": held, "language": "ja"}
    new = replace("Patient.birthDate", valueDate="1930-01-01")
    assert _changed(new, document=document) == {
        "birthDate": "1930-01-01",
        "_birthDate": None,
    }
    gone = delete("Patient.birthDate")
    assert _changed(gone, document=document) == {"_birthDate": None}


def test_F10_add_does_not_replace():
    assert _refused(add("Patient", "birthDate", valueDate="1930-01-01")) == (
        "HUB-REST-043"
    )
    assert _refused(add("Patient", "multipleBirth", valueBoolean=True)) == (
        "HUB-REST-043"
    )


def test_F10_insert_places_an_element():
    third = {"use": "old"}
    for index in (0, 1, 2):
        names = _changed(insert("Patient.name", index, valueHumanName=third))["name"]
        assert names[index] == third
        assert [n for n in names if n != third] == PATIENT["name"]
    given = _changed(insert("Patient.name[0].given", 1, valueString="三"))["name"][0]
    assert given["given"] == ["一", "三", "二"]
    assert given["_given"] == [None, None, {"id": "g"}]
    identifier = {"value": "1"}
    made = _changed(insert("Patient.identifier", 0, valueIdentifier=identifier))
    assert made == {"identifier": [identifier]}


@pytest.mark.parametrize(
    ("operation", "id"),
    [
        (insert("Patient.name", 3, valueHumanName={"text": "x"}), "HUB-REST-043"),
        (insert("Patient.name", -1, valueHumanName={"text": "x"}), "HUB-REST-043"),
        (insert("Patient.name", 0, valueString="x"), "HUB-REST-043"),
        (insert("Patient.birthDate", 0, valueDate="1930-01-01"), "HUB-REST-042"),
        (insert("Patient.gender", 0, valueCode="male"), "HUB-REST-043"),
        (insert("Patient.name.given", 0, valueString="x"), None),
        (insert("Patient.name.use", 0, valueCode="old"), "HUB-REST-042"),
        (insert("Patient.name[0]", 0, valueHumanName={"text": "x"}), "HUB-REST-042"),
        (insert("Patient.photo.title", 0, valueString="x"), "HUB-REST-042"),
    ],
)
def test_F10_insert_needs_one_whole_list_and_a_place_in_it(operation, id):
    if id is None:
        assert _changed(operation)["name"][0]["given"] == ["x", "一", "二"]
        return
    assert _refused(operation) == id


def test_F10_delete_takes_one_element_and_nothing_else():
    assert _changed(delete("Patient.birthDate")) == {
        "birthDate": None,
        "_birthDate": None,
    }
    assert _changed(delete("Patient.active")) == {"active": None}
    assert _changed(delete("Patient.multipleBirth")) == {"multipleBirthInteger": None}
    names = _changed(delete("Patient.name.where(use = 'usual')"))["name"]
    assert names == PATIENT["name"][:1]
    given = _changed(delete("Patient.name[0].given[1]"))["name"][0]
    assert given["given"] == ["一"]
    assert "_given" not in given
    # No element is left empty (R4): with its last child it goes too.
    assert _changed(delete("Patient.contact[0].name.text"))["contact"] == [
        {"gender": "male"}
    ]
    assert _changed(delete("Patient.contact[0]")) == {"contact": None}


def test_F10_delete_of_what_is_not_there_is_no_error():
    assert _patched(delete("Patient.gender"), delete("Patient.name[7]")) == PATIENT


def test_F10_delete_of_several_is_refused():
    assert _refused(delete("Patient.name")) == "HUB-REST-042"
    assert _refused(delete("Patient")) == "HUB-REST-043"


def test_F10_replace_changes_one_value():
    assert _changed(replace("Patient.birthDate", valueDate="1930-01-01")) == {
        "birthDate": "1930-01-01",
        "_birthDate": None,
    }
    changed = _changed(replace("Patient.contact[0].gender", valueCode="female"))
    assert changed["contact"][0] == {"name": {"text": "a name"}, "gender": "female"}
    name = {"text": "new"}
    names = _changed(replace("Patient.name[1]", valueHumanName=name))["name"]
    assert names == [PATIENT["name"][0], name]
    given = _changed(replace("name.where(use='official').given[1]", valueString="三"))
    assert given["name"][0]["given"] == ["一", "三"]
    assert "_given" not in given["name"][0]
    assert _changed(replace("Patient.active", valueBoolean=False)) == {"active": False}


def test_F10_replace_changes_the_type_of_a_choice_where_it_stands():
    changed = _changed(replace("Patient.multipleBirth", valueBoolean=True))
    assert changed == {"multipleBirthInteger": None, "multipleBirthBoolean": True}
    keys = list(_patched(replace("Patient.multipleBirth", valueBoolean=True)))
    assert keys.index("multipleBirthBoolean") == list(PATIENT).index(
        "multipleBirthInteger"
    )


def test_F10_replace_by_an_extension_alone_leaves_no_null():
    beside = {"extension": [{"url": "https://else.example/a", "valueCode": "unknown"}]}
    changed = _changed(replace("Patient.birthDate", _valueDate=beside))
    assert changed == {"birthDate": None, "_birthDate": beside}
    assert "birthDate" not in _patched(replace("Patient.birthDate", _valueDate=beside))


def test_F10_replace_of_an_extension_keeps_the_digits():
    path = "Patient.extension('https://else.example/a').value"
    after = _patched(replace(path, valueDecimal=Decimal("2.500")))
    assert b'"valueDecimal":2.500' in encode(after)
    assert b'"valueDecimal":1.50' in encode(_patched(delete("Patient.active")))
    after = _patched(replace("Patient.birthDate.extension.value", valueString="x"),
        document=decode(b'{"resourceType":"Patient","_birthDate":{"extension":[{"url":"https://else.example/b","valueString":"a"}]}}'))  # fmt: skip
    assert after["_birthDate"]["extension"][0]["valueString"] == "x"


@pytest.mark.parametrize(
    ("operation", "id"),
    [
        (replace("Patient.gender", valueCode="male"), "HUB-REST-042"),
        (replace("Patient.name", valueHumanName={"text": "x"}), "HUB-REST-042"),
        (replace("Patient.birthDate", valueHumanName={"text": "x"}), "HUB-REST-043"),
        (replace("Patient.birthDate", valueBoolean=True), "HUB-REST-043"),
        (replace("Patient.multipleBirth", valueString="x"), "HUB-REST-043"),
        (replace("Patient", valueString="x"), "HUB-REST-043"),
        (add("Patient", "nonsense", valueString="x"), "HUB-REST-043"),
        (add("Patient.birthDate", "x", valueString="x"), "HUB-REST-043"),
        (add("Patient.name[0].given[0]", "id", valueString="x"), "HUB-REST-043"),
        (add("Patient.gender", "x", valueString="x"), "HUB-REST-042"),
        (add("Patient.name", "text", valueString="x"), "HUB-REST-042"),
        (
            add("Patient", "name", part=[part("nonsense", valueString="x")]),
            "HUB-REST-043",
        ),
        (add("Patient", "contained", valueString="x"), "HUB-REST-043"),
        (add("Patient", "name", resource={"resourceType": "Patient"}), "HUB-REST-043"),
    ],
)
def test_F10_a_path_to_nothing_and_a_wrong_type_are_422(operation, id):
    assert _refused(operation) == id


def test_F10_move_moves_within_one_list():
    names = _changed(move("Patient.name", 1, 0))["name"]
    assert names == PATIENT["name"][::-1]
    given = _changed(move("Patient.name[0].given", 0, 1))["name"][0]
    assert given["given"] == ["二", "一"]
    assert given["_given"] == [{"id": "g"}, None]
    assert _refused(move("Patient.name", 2, 0)) == "HUB-REST-043"
    assert _refused(move("Patient.name", 0, 2)) == "HUB-REST-043"
    assert _refused(move("Patient.identifier", 0, 0)) == "HUB-REST-043"
    assert _refused(move("Patient.name[0]", 0, 0)) == "HUB-REST-042"


@pytest.mark.parametrize(
    ("moves", "order"),
    [
        ([(3, 1)], "1423"),
        ([(3, 0)], "4123"),
        ([(3, 2)], "1243"),
        ([(0, 3)], "2341"),
        ([(1, 0), (3, 2)], "2143"),
    ],
)
def test_F10_a_list_is_reordered_as_in_the_public_cases(moves, order):
    held = [{"value": number} for number in "1234"]
    document = {"resourceType": "Patient", "identifier": held}
    made = [move("Patient.identifier", *one) for one in moves]
    after = _patched(*made, document=document)["identifier"]
    assert "".join(one["value"] for one in after) == order


def test_F10_operations_follow_each_other():
    after = _patched(
        add("Patient", "contact", part=[part("gender", valueCode="female")]),
        add("Patient.contact[1]", "name", valueHumanName={"text": "b"}),
        delete("Patient.contact[0]"),
    )
    assert after["contact"] == [{"gender": "female", "name": {"text": "b"}}]


@pytest.mark.parametrize(
    "path",
    [
        "Patient.name.where(",
        "",
        "Patient.descendants()",
        "Patient.repeat(contact)",
        "Patient.name.where(family.matches('(a+)+$'))",
        "Patient.managingOrganization.resolve().name",
        "%resource.name",
        "Patient.name.given.combine(name.given)",
        "Patient.name.exists()",
        "'text'",
        "true",
        "(" * 20 + "name" + ")" * 20,
        "name" + ".first()" * 80,
    ],
)
def test_AB26_an_expression_that_does_not_only_select_is_refused(path):
    assert _refused(delete(path)) == "HUB-REST-041"


@pytest.mark.parametrize(
    "operation",
    [
        {"name": "other"},
        {"name": "operation"},
        {"name": "operation", "part": [part("type", valueCode="delete")]},
        {"name": "operation", "part": [part("path", valueString="Patient")]},
        {"name": "operation", "part": [*delete("Patient.name[0]")["part"]] * 2},
        {"name": "operation", "part": [*delete("Patient")["part"], part("x")]},
        {"name": "operation", "part": [*delete("Patient")["part"], part("index", valueInteger=0)]},
        {"name": "operation", "part": [part("type", valueCode="test"), part("path", valueString="Patient")]},
        {"name": "operation", "part": [part("type", valueCode="delete"), part("path", valueInteger=1)]},
        insert("Patient.name", "0", valueHumanName={}),
        add("Patient", "name"),
        add("Patient", "contact", part=[]),
        add("Patient", "contact", part=[{"valueString": "x"}]),
        add("Patient", "contact", part=[part("gender", valueCode="male"), part("gender", valueCode="male")]),
    ],
)  # fmt: skip
def test_F10_a_malformed_operation_is_422(operation):
    assert _refused(operation) == "HUB-REST-040"
