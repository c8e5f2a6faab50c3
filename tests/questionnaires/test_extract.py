"""What a form's answers become, for the printed form and for a form made up here."""

from datetime import UTC, datetime

from hub.fhir import canonical
from hub.fhir.answers import answer
from hub.questionnaires import extract, form, response
from tests.questionnaires.build import K1, chosen, written

ON = datetime(2026, 4, 10, tzinfo=UTC)


def extracted(answers, questionnaire=K1, **options):
    made = response.to_response(answers, questionnaire) | {"id": "r1"}
    return extract.extract(
        made, questionnaire, patient="Patient/p1", authored=ON, **options
    )


def of_type(resources, name):
    return [r for r in resources if r["resourceType"] == name]


def test_an_empty_form_becomes_nothing():
    assert extracted({}) == []


def test_a_stay_becomes_an_encounter_and_the_findings_name_it():
    made = extracted(
        {
            "k1.visit": [answer("valueDate", "2026-04-01", "R8.4.1")],
            "k1.status": [chosen("k1.status", "location-now-inpatient")],
            "k1.outlook": [chosen("k1.outlook", "discharge-outlook-transfer")],
            "k1.outlook.hospital": [answer("valueString", "架空第二病院")],
            "k1.means": [chosen("k1.means", "means-gas")],
        },
        source="Organization/4619999917",
    )
    encounter = made[0]
    assert (encounter["status"], encounter["class"]["code"]) == ("in-progress", "IMP")
    assert encounter["period"] == {"start": "2026-04-01"}
    assert encounter["hospitalization"]["dischargeDisposition"]["text"] == "転院予定"
    assert encounter["hospitalization"]["destination"] == {"display": "架空第二病院"}
    assert encounter["serviceProvider"] == {"reference": "Organization/4619999917"}
    for finding in made[1:]:
        assert finding["encounter"] == {"reference": f"Encounter/{encounter['id']}"}
    (means,) = of_type(made, "Observation")
    assert means["effectiveDateTime"] == "2026-04-01"
    assert means["valueCodeableConcept"]["coding"][0]["code"] == "means-gas"
    assert means["category"][0]["coding"][0]["code"] == "survey"
    assert means["derivedFrom"] == [{"reference": "QuestionnaireResponse/r1"}]


def test_an_encounter_of_the_sender_is_used_instead_of_a_new_one():
    answers = {
        "k1.visit": [answer("valueDate", "2026-04-01")],
        "k1.note": [chosen("k1.note", "present-absent-present")],
    }
    (note,) = extracted(answers, encounter="Encounter/e9")
    assert note["encounter"] == {"reference": "Encounter/e9"}


def test_each_place_has_its_class_and_what_is_unknown_stays_so():
    def state(code):
        encounter = extracted({"k1.status": [chosen("k1.status", code)]})[0]
        return encounter["status"], encounter["class"]["code"]

    assert state("location-now-home") == ("finished", "AMB")
    assert state("location-now-other") == ("unknown", "UNK")


def test_the_act_is_one_condition_with_the_codes_of_its_means():
    means = [chosen("k1.means", f"means-{m}") for m in ("hanging", "medication")]
    (condition,) = of_type(extracted({"k1.means": means}), "Condition")
    assert [c["code"] for c in condition["code"]["coding"]] == ["3009016", "8832806"]
    assert {c["system"] for c in condition["code"]["coding"]} == {
        canonical.DISEASE_CODES
    }
    assert condition["code"]["text"] == "縊首・服薬"
    assert condition["category"][0]["coding"][0]["code"] == "encounter-diagnosis"


def test_KG_02_an_act_without_intent_is_coded_as_self_harm():
    answers = {
        "k1.means": [chosen("k1.means", "means-hanging")],
        "k1.int.intent": [chosen("k1.int.intent", "so-no-unknown-not-so")],
    }
    (condition,) = of_type(extracted(answers), "Condition")
    assert [c["code"] for c in condition["code"]["coding"]] == ["8842113"]


def test_each_ticked_disease_is_a_condition_and_none_is_none():
    answers = {
        "k1.history": [chosen("k1.history", c) for c in ("hx-internal", "hx-surgical")],
        "k1.history.internal": [answer("valueString", "糖尿病")],
        "k1.psych.diagnosis": [answer("valueString", "うつ病")],
    }
    texts = [c["code"]["text"] for c in of_type(extracted(answers), "Condition")]
    assert texts == ["糖尿病", "外科的疾患", "うつ病"]
    for code in ("hx-none", "hx-unknown"):
        assert extracted({"k1.history": [chosen("k1.history", code)]}) == []


def test_what_could_not_be_read_becomes_nothing():
    """D-10: the coded value is absent."""
    answers = {
        "k1.means": [written("なげ")],
        "k1.marital": [written("その他")],
        "k1.explained": [written("した")],
    }
    assert extracted(answers) == []


def test_brackets_become_text_and_components():
    answers = {
        "k1.motive": [
            chosen("k1.motive", c) for c in ("motive-health", "motive-other")
        ],
        "k1.motive.health": [chosen("k1.motive.health", "motive-health-mental")],
        "k1.motive.other": [answer("valueString", "見当識障害")],
        "k1.psych": [chosen("k1.psych", "psy-current")],
        "k1.psych.facility": [answer("valueString", "架空クリニック")],
    }
    psych, health, other = of_type(extracted(answers), "Observation")
    assert (
        health["component"][0]["valueCodeableConcept"]["coding"][0]["code"]
        == "motive-health-mental"
    )
    assert "component" not in other
    assert other["valueCodeableConcept"]["text"] == "見当識障害"
    assert health["valueCodeableConcept"]["text"] == "健康問題"
    assert psych["component"][0]["valueString"] == "架空クリニック"


def test_what_was_told_and_handed_over_is_recorded():
    answers = {
        "k1.explained": [chosen("k1.explained", "explained-family")],
        "k1.leaflet": [chosen("k1.leaflet", "leaflet-not-given")],
    }
    told, leaflet = of_type(extracted(answers), "Communication")
    assert (told["status"], leaflet["status"]) == ("completed", "not-done")
    assert told["payload"] == [{"contentString": "した（家族）"}]


def test_extracting_twice_gives_the_same_ids_and_no_two_are_equal():
    answers = {
        "k1.means": [chosen("k1.means", f"means-{m}") for m in ("gas", "burn")],
        "k1.status": [chosen("k1.status", "location-now-home")],
    }
    ids = [r["id"] for r in extracted(answers)]
    assert ids == [r["id"] for r in extracted(answers)]
    assert len(set(ids)) == len(ids) == 4


def test_a_form_made_up_here_is_extracted_without_code():
    """D: a programme is data."""
    system = "http://example.org/words"
    option = {"valueCoding": {"system": system, "code": "often", "display": "よく"}}
    made_up = {
        "resourceType": "Questionnaire",
        "url": "http://example.org/q",
        "status": "active",
        "item": [
            {
                "linkId": "x1",
                "text": "眠れない",
                "type": "choice",
                "code": [{"system": system, "code": "sleepless"}],
                "extension": [{"url": form.OBSERVATION, "valueBoolean": True}],
                "answerOption": [option],
            },
            {
                "linkId": "x2",
                "text": "人数",
                "type": "integer",
                "code": [{"system": system, "code": "household"}],
                "extension": [{"url": form.OBSERVATION, "valueBoolean": True}],
            },
            {
                "linkId": "x3",
                "text": "日",
                "type": "date",
                "extension": [{"url": form.ROLE, "valueCode": "visit-date"}],
            },
        ],
    }
    answers = {
        "x1": [option],
        "x2": [{"valueInteger": 3}],
        "x3": [{"valueDate": "2026-05-01"}],
    }
    sleepless, household = extracted(answers, made_up)
    assert sleepless["valueCodeableConcept"]["text"] == "よく"
    assert (household["valueInteger"], household["effectiveDateTime"]) == (
        3,
        "2026-05-01",
    )
    assert "category" not in household
