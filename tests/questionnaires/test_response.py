"""Answers to a QuestionnaireResponse and back, without loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.fhir.answers import answer
from hub.questionnaires import response
from tests.questionnaires.build import ITEMS, K1, K5_2, chosen, written

TEXT = st.text(min_size=1, max_size=10)


def answers_of(item):
    if item["type"] == "choice":
        codes = [o["valueCoding"]["code"] for o in item["answerOption"]]
        coded = st.sampled_from(codes).map(lambda c: chosen(item["linkId"], c))
        return st.lists(st.one_of(coded, TEXT.map(written)), min_size=1, max_size=3)
    if item["type"] == "date":
        dates = st.dates().map(lambda d: answer("valueDate", d.isoformat(), "written"))
        return st.lists(
            st.one_of(dates, TEXT.map(lambda t: answer("valueDate", None, t))),
            min_size=1,
            max_size=2,
        )
    return st.lists(
        TEXT.map(lambda t: answer("valueString", t)), min_size=1, max_size=2
    )


ASKED = {k: v for k, v in ITEMS.items() if k.startswith("k1") and v["type"] != "group"}
ANSWERS = st.fixed_dictionaries(
    {}, optional={k: answers_of(v) for k, v in ASKED.items()}
)
ROW = {k: v for k, v in ITEMS.items() if k.startswith("k5-2.row.")}
TURNS = st.lists(
    st.fixed_dictionaries({}, optional={k: answers_of(v) for k, v in ROW.items()}),
    min_size=1,
    max_size=4,
)


@given(ANSWERS)
def test_answers_to_response_to_answers_is_the_identity(answers):
    made = response.to_response(answers, K1)
    assert response.from_response(made, K1) == answers


@given(TURNS)
def test_the_turns_of_a_repeating_group_come_back_in_order(turns):
    answers = {"k5-2.row": turns}
    made = response.to_response(answers, K5_2)
    assert response.from_response(made, K5_2) == answers


def test_items_stand_in_the_order_of_the_form_whatever_the_order_of_the_answers():
    answers = {
        "k1.means": [chosen("k1.means", "means-gas")],
        "k1.name": [answer("valueString", "試験")],
    }
    made = response.to_response(answers, K1)
    assert [i["linkId"] for i in made["item"][0]["item"]] == ["k1.name", "k1.means"]
    assert made["questionnaire"].endswith("/Questionnaire/k1|1.0.0")


def test_a_child_stands_beneath_the_answer_that_asks_for_it():
    answers = {
        "k1.history": [
            chosen("k1.history", c) for c in ("hx-internal", "hx-psychiatric")
        ],
        "k1.history.psychiatric": [answer("valueString", "うつ病")],
    }
    (item,) = response.to_response(answers, K1)["item"][0]["item"]
    assert "item" not in item["answer"][0]
    assert item["answer"][1]["item"][0]["linkId"] == "k1.history.psychiatric"


def test_a_child_without_its_parent_is_not_lost():
    answers = {"k1.psych.facility": [answer("valueString", "架空クリニック")]}
    made = response.to_response(answers, K1)
    assert response.from_response(made, K1) == answers
    assert made["item"][0]["item"][0]["answer"][0].keys() == {"item"}


def test_an_answer_without_an_item_in_the_form_is_refused():
    with pytest.raises(KeyError, match="nosuch"):
        response.to_response({"k1.nosuch": []}, K1)


def test_the_given_answers_are_not_changed():
    parent = chosen("k1.history", "hx-internal")
    answers = {
        "k1.history": [parent],
        "k1.history.internal": [answer("valueString", "糖尿病")],
    }
    response.to_response(answers, K1)
    assert parent.keys() == {"valueCoding"}
