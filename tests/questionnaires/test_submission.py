"""A row of a sheet as the transaction Bundle: the eight records and who consents."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.fhir import canonical
from hub.fhir.answers import answer
from hub.fhir.outcome import FhirError
from hub.questionnaires import check, response, submission
from tests.mappings.build import EXCEL, LAYOUTS, RECORDS, a_csv, a_sheet
from tests.questionnaires.build import K1, LL, an_answers, chosen, written

ON = datetime(2026, 4, 10, 3, tzinfo=UTC)
SOURCE = submission.Source("4619999917", "2019-03", (1, 2, 3, 4, 5, 6, 7))
PROGRAMME = submission.Programme("kagoshima")
ROWS = a_sheet(RECORDS).rows


def submitted(answers, extras=None, questionnaire=K1, **over):
    options = {"source": SOURCE, "programme": PROGRAMME, "on": ON, **over}
    return submission.bundle(
        answers, extras or {}, questionnaire=questionnaire, **options
    )


def of_row(number, **over):
    row = ROWS[number - 1]
    return submitted(row.answers, row.extras, **over)


def resources(bundle, name):
    return [
        e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == name
    ]


def one(bundle, name):
    (found,) = resources(bundle, name)
    return found


def warnings(number):
    row = ROWS[number - 1]
    made = response.to_response(row.answers, K1)
    found = submission.findings(made, K1, row=row.number, headers=row.headers)
    assert {f.severity for f in found} <= {"warning"}
    assert {f.row for f in found} <= {number}
    return [(f.id, f.column) for f in (*row.issues, *found)]


# --- the eight records -----------------------------------------------------------


def test_record_1_is_a_person_who_consents():
    bundle = of_row(1)
    assert [e["resource"]["resourceType"] for e in bundle["entry"]] == [
        "Patient", "QuestionnaireResponse", "Consent", "ServiceRequest", "Task",
    ]  # fmt: skip
    patient = one(bundle, "Patient")
    kanji, kana = patient["name"]
    assert (kanji["text"], kanji["family"], kanji["given"]) == (
        "試験 太郎",
        "試験",
        ["太郎"],
    )
    assert [e["valueCode"] for n in patient["name"] for e in n["extension"]] == [
        "IDE",
        "SYL",
    ]
    assert kana["text"] == "シケン タロウ"
    assert (patient["gender"], patient["birthDate"]) == ("male", "1970-03-07")
    assert patient["_birthDate"]["extension"] == [
        {"url": canonical.WRITTEN_FORM, "valueString": "S45.3.7"}
    ]
    assert patient["address"] == [
        {"use": "home", "text": "鹿児島県鹿児島市架空町1-2-3", "postalCode": "890-0000"}
    ]
    assert patient["telecom"] == [{"system": "phone", "value": "099-000-0001"}]
    assert patient["maritalStatus"]["coding"][0]["code"] == "M"
    assert patient["generalPractitioner"] == [{"display": "架空クリニック"}]
    assert "identifier" not in patient
    assert warnings(1) == []


def test_record_2_is_a_family_consent_that_is_not_the_persons():
    """D-02, KG-03."""
    bundle = of_row(2)
    person, related = one(bundle, "Patient"), one(bundle, "RelatedPerson")
    assert person["name"][0] == {
        "extension": person["name"][0]["extension"],
        "use": "official",
        "text": "合成花子",
    }
    assert person["name"][1]["text"] == "ゴウセイ ハナコ"
    assert person["birthDate"] == "2000-04-01"
    assert related["relationship"] == [{"text": "母"}]
    consent = one(bundle, "Consent")
    urls = {e["resource"]["resourceType"]: e["fullUrl"] for e in bundle["entry"]}
    assert consent["performer"] == [{"reference": urls["RelatedPerson"]}]
    assert consent["category"][1]["coding"] == [
        {"system": canonical.LEGAL_BASIS, "code": "consent-family"}
    ]
    assert warnings(2) == [("HUB-FORM-010", "支援事業の同意")]


def test_record_3_warns_of_the_word_and_of_the_missing_explanation():
    patient = one(of_row(3), "Patient")
    assert patient["birthDate"] == "1926-12-24"
    assert patient["maritalStatus"] == {"text": "その他"}
    assert patient["name"][0]["family"] == "架空"
    assert warnings(3) == [
        ("HUB-SHEET-020", "結婚"),
        ("HUB-FORM-011", "支援事業の同意"),
    ]


def test_record_4_carries_the_wish_for_the_nearest_centre():
    """KG-12."""
    request = one(of_row(4), "ServiceRequest")
    assert request["extension"] == [
        {"url": canonical.NEAREST_CENTRE, "valueBoolean": True}
    ]
    assert "extension" not in one(of_row(1), "ServiceRequest")
    assert warnings(4) == []


@pytest.mark.parametrize("number", [5, 7])
def test_KG_04_records_5_and_7_make_no_bundle(number):
    with pytest.raises(FhirError) as error:
        of_row(number)
    assert [i.id for i in error.value.issues] == ["HUB-CON-001"]
    assert error.value.status == 403


def test_record_6_needs_nothing_but_the_consent():
    bundle = of_row(6)
    assert one(bundle, "Patient")["address"][0]["postalCode"] == "890-0000"
    assert warnings(6) == []


def test_record_8_is_accepted_with_one_warning_per_cell():
    """D-10, KG-19, KG-20."""
    patient = one(of_row(8), "Patient")
    assert "birthDate" not in patient
    assert patient["_birthDate"]["extension"][0]["valueString"] == "S65.1.1"
    assert "telecom" not in patient
    assert (
        patient["address"][0]["_postalCode"]["extension"][0]["valueString"] == "890-000"
    )
    found = warnings(8)
    assert {c for _, c in found} == {
        "生年月日", "郵便番号", "電話", "自殺の手段", "自殺の意図", "致命的な状態", "自殺の動機", "曜日", "精神科医療機関名", "退院見込み",
    }  # fmt: skip
    assert len(found) == 10


def test_the_excel_form_is_the_referral_of_record_1_without_its_postal_code():
    (row,) = a_sheet(EXCEL).rows
    extras = {k: v for k, v in ROWS[0].extras.items() if k != "postalCode"}
    assert submitted(row.answers, row.extras) == submitted(ROWS[0].answers, extras)


# --- the bundle ------------------------------------------------------------------


def test_KG_05_the_bundle_holds_the_request_and_the_sheet_and_links_them():
    bundle = of_row(1)
    url = {e["resource"]["resourceType"]: e["fullUrl"] for e in bundle["entry"]}
    request, task = one(bundle, "ServiceRequest"), one(bundle, "Task")
    assert request["supportingInfo"] == [{"reference": url["QuestionnaireResponse"]}]
    assert request["instantiatesCanonical"] == [canonical.plan_definition("kagoshima")]
    assert (
        request["requester"]
        == task["requester"]
        == {"reference": "Organization/4619999917"}
    )
    assert (request["status"], request["intent"]) == ("active", "order")
    assert (task["status"], task["intent"]) == ("requested", "order")
    assert task["focus"] == {"reference": url["ServiceRequest"]}
    assert task["for"] == {"reference": url["Patient"]}
    assert "owner" not in task
    assert "input" not in task
    assert all(
        e["request"] == {"method": "POST", "url": e["resource"]["resourceType"]}
        or e["resource"] is request
        for e in bundle["entry"]
    )


def test_a_telephone_call_that_is_recorded_is_an_input_of_the_task():
    """D-04."""
    task = one(submitted(an_answers(), {"phoneCall": "令和8年4月1日 10時"}), "Task")
    assert task["input"][0]["valueString"] == "令和8年4月1日 10時"


def test_both_who_consent_have_a_consent_each():
    consents = [chosen("k1.consent", f"consent-{by}") for by in ("person", "family")]
    bundle = submitted(an_answers(**{"k1.consent": consents}))
    bases = [
        c["category"][1]["coding"][0]["code"] for c in resources(bundle, "Consent")
    ]
    assert bases == ["consent-person", "consent-family"]


def test_D_11_the_consent_names_the_wording_and_its_items_and_no_date():
    consent = one(of_row(1), "Consent")
    version, *items = consent["extension"]
    assert version == {"url": canonical.WORDING_VERSION, "valueString": "2019-03"}
    assert [i["valueInteger"] for i in items] == [1, 2, 3, 4, 5, 6, 7]
    assert "dateTime" not in consent
    assert (consent["status"], consent["provision"]["type"]) == ("active", "permit")
    bare = one(of_row(1, source=submission.Source("4619999917")), "Consent")
    assert "extension" not in bare


def test_D_20_the_need_for_community_support_is_stated_when_asked_for():
    programme = submission.Programme("kagoshima", ("needs-community-support",))
    request = one(of_row(1, programme=programme), "ServiceRequest")
    assert request["reasonCode"][0]["coding"] == [
        {"system": canonical.REFERRAL_REASON, "code": "needs-community-support"}
    ]


def test_D_22_a_corrected_sheet_names_its_case():
    task = one(submitted(an_answers(), {"referralNumber": "c-1"}), "Task")
    assert task["groupIdentifier"] == {"system": canonical.CASE_ID, "value": "c-1"}
    assert "groupIdentifier" not in one(of_row(1), "Task")


def test_the_same_content_is_the_same_submission_however_it_was_written():
    request = of_row(1)["entry"][-2]["request"]
    token = request["ifNoneExist"].removeprefix(
        f"identifier={canonical.SUBMISSION_ID}|"
    )
    assert of_row(1)["identifier"]["value"] == token
    later = of_row(1, on=datetime(2027, 1, 1, tzinfo=UTC))
    assert [e["fullUrl"] for e in later["entry"]] == [
        e["fullUrl"] for e in of_row(1)["entry"]
    ]
    rewritten = {
        **ROWS[0].answers,
        "k1.birth": [answer("valueDate", "1970-03-07", "昭和45年3月7日")],
    }
    assert submitted(rewritten, ROWS[0].extras)["identifier"]["value"] == token


def test_other_content_or_another_source_is_another_submission():
    digests = {of_row(n)["identifier"]["value"] for n in (1, 2, 3, 4, 6, 8)}
    other = submission.Source("4619999925", "2019-03")
    digests.add(of_row(1, source=other)["identifier"]["value"])
    digests.add(
        submitted(an_answers(**{"k1.birth": [answer("valueDate", None, "S65.1.1")]}))[
            "identifier"
        ]["value"]
    )
    digests.add(
        submitted(an_answers(**{"k1.birth": [answer("valueDate", None, "S66.1.1")]}))[
            "identifier"
        ]["value"]
    )
    assert len(digests) == 9


@given(st.permutations(sorted(ROWS[0].answers)))
def test_the_order_of_the_columns_makes_no_other_submission(order):
    answers = {link: ROWS[0].answers[link] for link in order}
    assert submitted(answers, ROWS[0].extras) == of_row(1)


# --- consent is never guessed ------------------------------------------------------

CONSENTS = [
    *(chosen("k1.consent", f"consent-{x}") for x in ("person", "family", "none")),
    written("有"),
]


@given(st.lists(st.sampled_from(CONSENTS), max_size=4))
def test_KG_04_a_bundle_needs_a_consent_that_says_only_yes(consents):
    said = {(c["valueCoding"].get("code") or "?") for c in consents}
    if said and said <= {"consent-person", "consent-family"}:
        assert submitted(an_answers(**{"k1.consent": consents}))
    else:
        with pytest.raises(FhirError):
            submitted(an_answers(**{"k1.consent": consents}))


@given(
    st.text(alphabet="試験太郎髙﨑 ", min_size=1)
    .map(lambda t: " ".join(t.split()))
    .filter(bool)
)
def test_a_name_is_split_at_one_separator_and_nowhere_else(text):
    name = one(
        submitted(an_answers(**{"k1.name": [answer("valueString", text)]})), "Patient"
    )["name"][0]
    assert name["text"] == text
    if text.count(" ") == 1:
        assert f"{name['family']} {name['given'][0]}" == text
    else:
        assert "family" not in name


# --- another programme ---------------------------------------------------------------


def lifelink(**over):
    cells = {
        "受付経路": "#いのちSOS(自治体名) 専用アカウント",
        "居住地の自治体への情報提供の同意": "有",
        "居住地の自治体": "46201",
        "相談者氏名": "試験　太郎",
        "相談内容": "つなぐ理由",
        **over,
    }
    headers = [c.header for c in LAYOUTS["lifelink"].columns]
    (row,) = a_sheet(a_csv(cells, headers=headers)).rows
    options = {
        "source": submission.Source("provider"),
        "programme": submission.Programme("lifelink"),
    }
    return submitted(row.answers, row.extras, LL, **options)


@pytest.mark.parametrize("text", ["無", "", "たぶん"])
def test_LL_04_no_consent_no_hand_over(text):
    with pytest.raises(FhirError) as error:
        lifelink(居住地の自治体への情報提供の同意=text)
    assert error.value.issues[0].id == "HUB-CON-001"


def test_LL_08_the_dedicated_account_is_urgent_and_the_telephone_is_not():
    assert one(lifelink(), "ServiceRequest")["priority"] == "urgent"
    assert one(lifelink(), "Task")["priority"] == "urgent"
    assert "priority" not in one(lifelink(受付経路="#いのちSOS(電話)"), "Task")


def test_a_complete_form_of_the_other_programme_has_no_finding():
    made = one(lifelink(), "QuestionnaireResponse")
    assert check.check(made, LL) == []


def test_the_municipality_of_a_form_is_carried_with_its_code():
    address = one(lifelink(), "Patient")["address"][0]
    coding = {"system": canonical.MUNICIPALITY_CODES, "code": "46201"}
    assert address["extension"] == [
        {"url": canonical.MUNICIPALITY, "valueCoding": coding}
    ]


def test_a_refusal_repeats_nothing_that_was_received():
    with pytest.raises(FhirError) as error:
        of_row(5)
    said = json.dumps(
        [i.text + i.english for i in error.value.issues], ensure_ascii=False
    )
    assert "仮名" not in said
