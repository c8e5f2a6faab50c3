from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.fhir import dates
from hub.fhir.canonical import (
    BUSINESS_STATUS,
    NAME_REPRESENTATION,
    OUTCOME,
    TASK_INPUT,
    WRITTEN_FORM,
)
from hub.fhir.outcome import FhirError
from hub.reports import CaseFacts, Centre, Hospital, Month, gather
from tests.reports.build import CENTRE, HOSPITAL, ISSUED

WORDS = {
    "accepted": "初回連絡待ち",
    "in-progress/contact-attempted": "連絡中",
    "in-progress/visited": "支援中（面接済）",
    "*/transferring": "移管手続中",
    "failed/transferred": "移管済",
    "completed": "終結",
}
OTHER = Hospital("4619999925", "別の見本病院", "emergency-hospital")


def at(day, hour=10, month=4):
    return dates.instant(datetime(2026, month, day, hour, tzinfo=dates.JST))


def a_parent(hospital=HOSPITAL, authored=None, **over):
    return {
        "resourceType": "Task",
        "id": "parent",
        "status": "in-progress",
        "authoredOn": authored or at(3),
        "requester": {"reference": f"Organization/{hospital.id}"},
        **over,
    }


def a_child(status="accepted", business=None, desk="aira", day=4, **over):
    child = {
        "resourceType": "Task",
        "id": "child",
        "status": status,
        "authoredOn": at(3),
        "lastModified": at(day),
        "requester": {"reference": f"Organization/{HOSPITAL.id}"},
        "owner": {"reference": f"HealthcareService/{desk}"},
        **over,
    }
    if business:
        child["businessStatus"] = {
            "coding": [{"system": BUSINESS_STATUS, "code": business}]
        }
    return child


def output(code, **value):
    return {"type": {"coding": [{"system": TASK_INPUT, "code": code}]}, **value}


def a_patient(id="p1", name="試験 花子", **over):
    return {
        "resourceType": "Patient",
        "id": id,
        "name": [{"text": name}],
        "birthDate": "1985-05-12",
        "gender": "female",
        **over,
    }


def a_case(number=1, *versions, parent=None, **over):
    made = {
        "correlation": f"case-{number}",
        "patient": a_patient(f"p{number}"),
        "parent": parent or a_parent(),
        "children": [list(versions) or [a_child()]],
    }
    return CaseFacts(**{**made, **over})


def report(*cases, **over):
    asked = {
        "centre": CENTRE,
        "hospital": HOSPITAL,
        "month": Month(2026, 4),
        "issued_at": ISSUED,
        "words": WORDS,
        "background": ("k1.motive",),
        **over,
    }
    return gather(cases, **asked)


def row(*cases, **over):
    (found,) = report(*cases, **over).rows
    return found


def test_KG_09_only_the_hospitals_own_cases_are_in_its_report():
    mine, theirs = a_case(1), a_case(2, parent=a_parent(OTHER))
    assert [r.correlation for r in report(mine, theirs).rows] == ["case-1"]
    assert [r.correlation for r in report(mine, theirs, hospital=OTHER).rows] == [
        "case-2"
    ]


def test_KG_10_the_month_is_that_of_the_provision_in_japan():
    first = a_case(1, parent=a_parent(authored="2026-03-31T15:00:00Z"))
    before = a_case(2, parent=a_parent(authored="2026-03-31T14:59:59Z"))
    last = a_case(3, parent=a_parent(authored="2026-04-30T23:59:59+09:00"))
    after = a_case(4, parent=a_parent(authored="2026-04-30T15:00:00Z"))
    found = report(first, before, last, after)
    assert {r.correlation for r in found.rows} == {"case-1", "case-3"}
    assert found.count == 2


def test_a_case_of_another_centre_is_not_reported():
    assert report(a_case(1, a_child(desk="kajiki"))).count == 0


def test_a_case_passed_on_is_reported_by_both_centres():
    moved = a_case(
        1,
        children=[
            [a_child(), a_child("failed", "transferred", day=9)],
            [a_child(desk="kajiki", day=10)],
        ],
    )
    second = Centre("kajiki", "別の保健所", frozenset({"kajiki"}))
    assert "4月9日 移管済" in row(moved).support
    assert "移管" not in row(moved, centre=second).support


def test_a_task_that_a_named_officer_took_over_is_still_the_centres():
    # KG-23: the owner may become an officer of the same desk.
    officer = {"reference": "PractitionerRole/officer-1"}
    assert report(a_case(1, a_child(), a_child(owner=officer, day=5))).count == 1


@pytest.mark.parametrize(
    "end",
    [a_child("entered-in-error"), a_child("cancelled", "consent-withdrawn")],
)
def test_nothing_is_told_of_a_recalled_or_withdrawn_case(end):
    assert report(a_case(1, a_child(), end)).count == 0


def test_a_recalled_parent_silences_the_case():
    assert report(a_case(1, parent=a_parent(status="entered-in-error"))).count == 0


def test_D_03_a_kind_the_programme_leaves_out_gets_no_report():
    psychiatric = Hospital("4619999933", "見本こころの病院", "psychiatric-hospital")
    with pytest.raises(FhirError, match="HUB-REP-002"):
        report(hospital=psychiatric, excluded_kinds={"psychiatric-hospital"})
    assert report(hospital=psychiatric).count == 0


def test_KG_10_a_person_handed_over_twice_is_one_row():
    same = a_patient("p1")
    first = a_case(1, a_child(day=4), patient=same, plan="電話を続ける。")
    again = a_case(2, a_child(day=20), patient=same, parent=a_parent(authored=at(19)))
    found = row(first, again)
    assert found.received_on == date(2026, 4, 4)
    assert found.support == "4月4日 初回連絡待ち\n4月20日 初回連絡待ち"
    assert found.plan == "電話を続ける。"


def test_rows_stand_in_order_of_acceptance_whatever_order_they_came_in():
    cases = [a_case(n, a_child(day=day)) for n, day in ((1, 9), (2, 5), (3, 5))]
    for order in permutations(cases):
        assert [r.correlation for r in report(*order).rows] == [
            "case-2",
            "case-3",
            "case-1",
        ]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from((3, 4, 5))), max_size=20))
def test_KG_10_rows_are_exactly_the_persons_of_that_hospital_and_month(drawn):
    cases = [
        a_case(
            n,
            parent=a_parent(HOSPITAL if own else OTHER, at(15, month=month)),
        )
        for n, (own, month) in enumerate(drawn)
    ]
    expected = {f"case-{n}" for n, asked in enumerate(drawn) if asked == (True, 4)}
    found = report(*cases)
    assert {r.correlation for r in found.rows} == expected
    assert found.count == len(expected)


@pytest.mark.parametrize(
    ("versions", "day"),
    [
        (
            [
                a_child(
                    "accepted", output=[output("received-on", valueDate="2026-04-02")]
                )
            ],
            2,
        ),
        ([a_child("accepted", executionPeriod={"start": "2026-04-06"})], 6),
        ([a_child("received", day=5), a_child("accepted", day=7)], 7),
        ([a_child("requested", day=3), a_child("received", day=5)], 5),
        ([a_child("requested", day=4)], 3),
    ],
)
def test_the_day_of_acceptance_is_what_was_recorded_before_what_was_seen(versions, day):
    assert row(a_case(1, *versions)).received_on == date(2026, 4, day)


def test_support_tells_the_steps_with_their_days_in_the_programmes_words():
    found = row(
        a_case(
            1,
            a_child("requested", day=3),
            a_child("received", day=4),
            a_child("accepted", day=4),
            a_child("in-progress", "contact-attempted", day=6),
            a_child("in-progress", "contact-attempted", day=7),
            a_child(
                "in-progress",
                "visited",
                day=13,
                output=[output("visit-date", valueDate="2026-04-12")],
            ),
        )
    )
    assert found.support.split("\n") == [
        "4月6日 連絡中",
        "4月12日 支援中（面接済）",
    ]


def test_support_names_the_desk_a_case_was_passed_on_to():
    desk = {"reference": "HealthcareService/b", "display": "架空保健所"}
    found = row(
        a_case(
            1,
            a_child("accepted", day=4),
            a_child(
                "failed",
                "transferred",
                day=5,
                output=[output("proposed-desk", valueReference=desk)],
            ),
        )
    )
    assert found.support == "4月5日 移管済（架空保健所）"


def test_support_holds_notes_and_results_but_no_question_and_no_plan():
    hospital = {"reference": f"Organization/{HOSPITAL.id}"}
    question = {"text": "電話番号を教えてください。"}
    notes = [
        question,
        {"text": "000-0000-0000です。", "authorReference": hospital},
        {"text": "母同席で面接した。"},
        {"text": "今後の支援計画：月1回訪問する。"},
    ]
    result = {
        "coding": [{"system": OUTCOME, "code": "x", "display": "関係機関へつないだ"}]
    }
    outputs = [
        output("work-done", valueString="受診に同行した。"),
        output("outcome", valueCodeableConcept=result),
        output("proposed-desk", valueString="窓口"),
    ]
    found = row(
        a_case(
            1,
            a_child("received", "awaiting-information", note=[question]),
            a_child("completed", day=30, note=notes, output=outputs),
        )
    )
    assert found.support.split("\n") == [
        "4月30日 終結",
        "母同席で面接した。",
        "受診に同行した。",
        "関係機関へつないだ",
    ]
    assert found.plan == "月1回訪問する。"
    assert found.plan_status == "completed"


def test_the_plan_of_a_care_plan_goes_before_a_note():
    note = [{"text": "支援計画: 電話する。"}]
    assert row(a_case(1, a_child(note=note))).plan == "電話する。"
    assert row(a_case(1, a_child(note=note), plan="訪問する。")).plan == "訪問する。"
    assert row(a_case(1)).plan == ""


def test_background_is_the_forms_answers_with_what_stands_in_their_brackets():
    def choice(text, *nested):
        answer: dict[str, Any] = {"valueCoding": {"code": "x", "display": text}}
        if nested:
            answer["item"] = [{"linkId": "k1.motive.more", "answer": list(nested)}]
        return answer

    answers = {
        "resourceType": "QuestionnaireResponse",
        "item": [
            {
                "linkId": "k1",
                "item": [
                    {
                        "linkId": "k1.motive",
                        "answer": [
                            choice("健康問題", choice("身体疾患"), choice("精神疾患")),
                            choice("勤務問題"),
                            choice("その他", {"valueString": "近隣との不和"}),
                        ],
                    },
                    {"linkId": "k1.remarks", "answer": [{"valueString": "別の話"}]},
                ],
            }
        ],
    }
    found = row(a_case(1, answers=answers))
    assert found.background == (
        "健康問題（身体疾患・精神疾患）、勤務問題、その他（近隣との不和）"
    )
    assert row(a_case(1, answers=None)).background == ""


def test_a_person_is_named_in_kanji_and_born_as_written():
    def writing(text, code):
        return {
            "text": text,
            "extension": [{"url": NAME_REPRESENTATION, "valueCode": code}],
        }

    patient = a_patient(
        name="",
        birthDate="1985",
        _birthDate={"extension": [{"url": WRITTEN_FORM, "valueString": "昭和60年頃"}]},
    )
    patient["name"] = [writing("ヘンミ ハナコ", "SYL"), writing("邉見 花子", "IDE")]
    found = row(a_case(1, patient=patient))
    assert found.name == "邉見 花子"
    assert (found.birth_date, found.birth_text) == (None, "昭和60年頃")
    parts = a_patient(name="")
    parts["name"] = [{"family": "髙橋", "given": ["次郎"]}]
    assert row(a_case(1, patient=parts)).name == "髙橋 次郎"
    nobody = {"resourceType": "Patient", "id": "p9"}
    found = row(a_case(1, patient=nobody))
    assert (found.name, found.birth_date, found.birth_text) == ("氏名不明", None, "")


def test_a_state_the_programme_has_no_word_for_is_shown_by_its_code():
    assert row(a_case(1, a_child("in-progress", "monitoring"))).support == (
        "4月4日 monitoring"
    )


def test_the_report_carries_who_and_when():
    made = report(reference="姶保第123号", issued_at=datetime(2026, 5, 7, tzinfo=UTC))
    assert (made.centre, made.hospital, made.reference) == (
        CENTRE,
        HOSPITAL,
        "姶保第123号",
    )
    assert made.issued_at == datetime(2026, 5, 7, tzinfo=UTC)
