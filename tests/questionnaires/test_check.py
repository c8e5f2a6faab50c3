"""Answers against the form: KG-18 to KG-20, consent, and every error once."""

import copy

import pytest

from hub.fhir import canonical
from hub.fhir.answers import answer
from hub.questionnaires import check, response
from tests.questionnaires.build import K1, LL, an_answers, chosen, written

BASE = "Bundle.entry[1].resource"


def checked(answers, questionnaire=K1):
    return check.check(
        response.to_response(answers, questionnaire), questionnaire, BASE
    )


def ids(answers, questionnaire=K1):
    return [found.id for found in checked(answers, questionnaire)]


def test_KG_18_a_form_with_every_item_empty_is_valid():
    assert checked({}) == []


def test_KG_02_self_harm_without_intent_is_valid():
    for code in ("so-no-unknown-not-so", "so-no-unknown-unknown"):
        assert (
            checked(an_answers(**{"k1.int.intent": [chosen("k1.int.intent", code)]}))
            == []
        )


def test_KG_19_a_discharge_outlook_at_home_warns():
    (found,) = checked(
        {
            "k1.status": [chosen("k1.status", "location-now-home")],
            "k1.outlook": [chosen("k1.outlook", "discharge-outlook-undecided")],
        }
    )
    assert (found.id, found.severity) == ("HUB-FORM-007", "warning")
    assert found.expression.startswith(f"{BASE}.item[0].item[1]")


def test_KG_20_details_without_a_psychiatric_history_warn_and_history_without_details_does_not():
    details = {"k1.psych.facility": [answer("valueString", "架空クリニック")]}
    assert ids({"k1.psych": [chosen("k1.psych", "psy-none")], **details}) == [
        "HUB-FORM-007"
    ]
    assert ids({"k1.psych": [chosen("k1.psych", "psy-unknown")], **details}) == [
        "HUB-FORM-007"
    ]
    assert ids(details) == ["HUB-FORM-007"]
    assert ids({"k1.psych": [chosen("k1.psych", "psy-past")], **details}) == []
    assert ids({"k1.psych": [chosen("k1.psych", "psy-past")]}) == []


def test_KG_03_a_family_consent_before_the_person_was_told_warns():
    family = [chosen("k1.consent", "consent-family")]
    relation = [answer("valueString", "母")]
    told = {"k1.explained": [chosen("k1.explained", "explained-family")]}
    assert ids({"k1.consent": family, "k1.consent.family": relation, **told}) == [
        "HUB-FORM-010"
    ]
    both = {
        "k1.explained": [
            chosen("k1.explained", f"explained-{by}") for by in ("person", "family")
        ]
    }
    assert ids({"k1.consent": family, "k1.consent.family": relation, **both}) == []
    assert ids({"k1.consent": family, **both}) == ["HUB-FORM-012"]


def test_a_consent_without_an_explanation_warns_and_told_alone_is_enough():
    person = {"k1.consent": [chosen("k1.consent", "consent-person")]}
    assert ids(person) == ["HUB-FORM-011"]
    not_done = [chosen("k1.explained", "explained-not-done")]
    assert ids({**person, "k1.explained": not_done}) == ["HUB-FORM-011"]
    assert ids({**person, "k1.explained": [written("した")]}) == []


@pytest.mark.parametrize("other", ["consent-person", "consent-family"])
def test_a_consent_that_contradicts_itself_warns(other):
    consents = [chosen("k1.consent", other), chosen("k1.consent", "consent-none")]
    assert ids({"k1.consent": consents}) == ["HUB-FORM-008", "HUB-FORM-013"]
    assert ids({"k1.consent": [written("有")]}) == ["HUB-FORM-013"]


def test_a_weekday_that_disagrees_with_the_date_warns():
    day = {"k1.visit": [answer("valueDate", "2026-04-08")]}
    assert ids({**day, "k1.visit.dow": [chosen("k1.visit.dow", "fri")]}) == [
        "HUB-FORM-009"
    ]
    assert ids({**day, "k1.visit.dow": [chosen("k1.visit.dow", "wed")]}) == []


def test_none_beside_a_disease_warns():
    history = [chosen("k1.history", code) for code in ("hx-internal", "hx-none")]
    assert ids({"k1.history": history}) == ["HUB-FORM-008"]


def test_a_value_that_could_not_be_read_is_no_error():
    """D-10: the text is kept, the coded value absent."""
    answers = {
        "k1.birth": [answer("valueDate", None, "S65.1.1")],
        "k1.marital": [written("その他")],
    }
    assert ids(answers) == []


@pytest.mark.parametrize(
    ("link", "given", "id_", "where"),
    [
        (
            "k1.sex",
            {
                "valueCoding": {
                    "system": canonical.code_system("sex"),
                    "code": "sex-other",
                }
            },
            "HUB-FORM-004",
            ".item[0].item[0].answer[0].value",
        ),
        (
            "k1.sex",
            {"valueCoding": {"system": "http://elsewhere.example", "code": "sex-male"}},
            "HUB-FORM-004",
            ".item[0].item[0].answer[0].value",
        ),
        (
            "k1.birth",
            {"valueString": "S45"},
            "HUB-FORM-003",
            ".item[0].item[0].answer[0].value",
        ),
        ("k1.birth", {}, "HUB-FORM-016", ".item[0].item[0].answer[0]"),
    ],
)
def test_a_wrong_answer_is_named_with_its_place(link, given, id_, where):
    response_ = response.to_response({link: [{"valueString": "x"}]}, K1)
    response_["item"][0]["item"][0]["answer"] = [given]
    found = check.check(response_, K1, BASE)
    assert [(f.id, f.severity, f.expression) for f in found] == [
        (id_, "error", BASE + where)
    ]
    assert check.link_at(response_, found[0].expression or "") == link


def test_too_many_answers_are_named():
    two = [answer("valueDate", "2026-04-01"), answer("valueDate", "2026-04-02")]
    assert ids({"k1.visit": two}) == ["HUB-FORM-005"]
    three = [
        chosen("k1.explained", f"explained-{x}") for x in ("person", "family", "person")
    ]
    assert ids({"k1.explained": three}) == ["HUB-FORM-005"]
    assert (
        ids({"k1.phone": [answer("valueString", f"099-000-000{n}") for n in range(9)]})
        == []
    )


def changed(change):
    made = response.to_response(an_answers(), K1)
    change(made)
    return [
        (f.id, f.expression)
        for f in check.check(made, K1, BASE)
        if f.severity == "error"
    ]


def test_an_unknown_or_misplaced_item_is_named():
    assert (
        changed(lambda r: r["item"][0]["item"].append({"linkId": "k1.nosuch"}))[0][0]
        == "HUB-FORM-001"
    )
    assert changed(lambda r: r["item"].append({"linkId": "k1.name"})) == [
        ("HUB-FORM-001", f"{BASE}.item[1].linkId")
    ]


def test_an_item_twice_is_named():
    found = changed(
        lambda r: r["item"][0]["item"].append(copy.deepcopy(r["item"][0]["item"][0]))
    )
    assert [f[0] for f in found] == ["HUB-FORM-002"]


def test_a_heading_has_no_answer():
    assert changed(lambda r: r["item"][0].update(answer=[{"valueBoolean": True}])) == [
        ("HUB-FORM-015", f"{BASE}.item[0].answer")
    ]


def test_another_form_is_not_checked_as_this_one():
    assert changed(lambda r: r.update(questionnaire="http://elsewhere.example/q")) == [
        ("HUB-FORM-014", f"{BASE}.questionnaire")
    ]


def test_a_required_item_is_missed_only_when_the_form_is_completed():
    assert ids({"ll.consent": [answer("valueBoolean", True)]}, LL) == ["HUB-FORM-006"]
    draft = response.to_response({}, LL) | {"status": "in-progress"}
    assert check.check(draft, LL) == []


def a_form(*items):
    return {
        "resourceType": "Questionnaire",
        "url": "http://example.org/q",
        "status": "active",
        "item": list(items),
    }


def test_conditions_are_evaluated_until_nothing_changes():
    """An answer that is itself not asked for enables nothing."""
    form = a_form(
        {"linkId": "a", "type": "boolean"},
        {
            "linkId": "c",
            "type": "string",
            "enableWhen": [
                {"question": "b", "operator": "exists", "answerBoolean": True}
            ],
        },
        {
            "linkId": "b",
            "type": "integer",
            "enableWhen": [{"question": "a", "operator": "=", "answerBoolean": True}],
        },
    )
    texts = {"b": [{"valueInteger": 1}], "c": [{"valueString": "x"}]}
    assert ids({"a": [{"valueBoolean": True}], **texts}, form) == []
    assert ids({"a": [{"valueBoolean": False}], **texts}, form) == [
        "HUB-FORM-007",
        "HUB-FORM-007",
    ]


@pytest.mark.parametrize(
    ("operator", "value", "on"),
    [
        ("=", 3, True),
        ("!=", 3, False),
        (">", 2, True),
        ("<", 2, False),
        (">=", 3, True),
        ("<=", 2, False),
    ],
)
def test_every_operator_of_a_condition_is_known(operator, value, on):
    form = a_form(
        {"linkId": "a", "type": "integer"},
        {
            "linkId": "b",
            "type": "string",
            "enableWhen": [
                {"question": "a", "operator": operator, "answerInteger": value}
            ],
        },
    )
    found = ids({"a": [{"valueInteger": 3}], "b": [{"valueString": "x"}]}, form)
    assert (found == []) == on


def test_a_condition_looks_into_its_own_turn_of_a_repeating_group():
    form = a_form(
        {
            "linkId": "g",
            "type": "group",
            "repeats": True,
            "item": [
                {"linkId": "a", "type": "boolean"},
                {
                    "linkId": "b",
                    "type": "string",
                    "enableWhen": [
                        {"question": "a", "operator": "=", "answerBoolean": True}
                    ],
                },
            ],
        }
    )
    turn = lambda on: {"a": [{"valueBoolean": on}], "b": [{"valueString": "x"}]}  # noqa: E731
    found = checked({"g": [turn(True), turn(False)]}, form)
    assert [(f.id, f.expression) for f in found] == [
        ("HUB-FORM-007", f"{BASE}.item[1].item[1]")
    ]


def test_choices_need_not_be_codings():
    form = a_form(
        {"linkId": "a", "type": "choice", "answerOption": [{"valueString": "x"}]},
        {"linkId": "b", "type": "choice", "answerValueSet": "http://example.org/vs"},
    )
    assert ids({"a": [{"valueString": "x"}], "b": [{"valueString": "y"}]}, form) == []
    assert ids({"a": [{"valueString": "y"}]}, form) == ["HUB-FORM-004"]


@pytest.mark.parametrize(("behaviour", "on"), [("all", False), ("any", True)])
def test_several_conditions_are_joined_as_the_form_says(behaviour, on):
    conditions = [
        {"question": "a", "operator": "=", "answerInteger": n} for n in (1, 2)
    ]
    form = a_form(
        {"linkId": "a", "type": "integer"},
        {
            "linkId": "b",
            "type": "string",
            "enableBehavior": behaviour,
            "enableWhen": conditions,
        },
    )
    found = ids({"a": [{"valueInteger": 1}], "b": [{"valueString": "x"}]}, form)
    assert (found == []) == on


def test_values_that_cannot_be_compared_enable_nothing():
    form = a_form(
        {"linkId": "a", "type": "string"},
        {
            "linkId": "b",
            "type": "string",
            "enableWhen": [{"question": "a", "operator": ">", "answerInteger": 1}],
        },
    )
    answers = {"a": [{"valueString": "x"}], "b": [{"valueString": "x"}]}
    assert ids(answers, form) == ["HUB-FORM-007"]


def test_an_expression_that_leads_nowhere_names_the_last_item():
    made = response.to_response(an_answers(), K1)
    assert check.link_at(made, "QuestionnaireResponse.questionnaire") is None
    assert check.link_at(made, "x.item[0].item[99]") == "k1"
