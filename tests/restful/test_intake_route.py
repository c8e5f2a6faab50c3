"""`POST /intake/{mapping}`: every row is reported, nothing is half-stored."""

import pytest

from tests.mappings.build import EXCEL, HEADERS, RECORDS, a_csv, an_excel
from tests.restful.build import (
    HOSPITAL,
    a_caller,
    a_name,
    case_of,
    child_of,
    count,
    ids,
    is_found_anywhere,
    refusal,
    stored,
)

CSV = {"Content-Type": "text/csv"}
NUMBERED = [*HEADERS, "紹介番号"]


def a_row(**over):
    return {
        "記入者名": "架空看護師",
        "氏名": a_name(),
        "ふりがな": "しけん はなこ",
        "性別": "女",
        "生年月日": "S45.3.7",
        "住所": "鹿児島県鹿児島市架空町1-2-3",
        "支援事業の説明": "本人",
        "支援事業の同意": "本人",
        "リーフレット": "配付した",
        **over,
    }


def send(caller, raw, mapping="yoshiki1", **headers):
    path = f"/intake/{mapping}"
    return caller.request("POST", path, content=raw, headers={**CSV, **headers})


def rows(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


def test_anonymous_and_wrong_scope(hub):
    before = stored(hub)
    answer = hub.http.post("/intake/yoshiki1", content=a_csv(a_row()))
    assert refusal(answer) == (401, "HUB-AUTH-001")
    for missing in ("Patient", "RelatedPerson", "Consent", "Task"):
        types = {
            "Patient",
            "RelatedPerson",
            "QuestionnaireResponse",
            "Consent",
            "ServiceRequest",
            "Task",
        } - {missing}
        scopes = " ".join(f"system/{t}.cs" for t in sorted(types))
        weak = a_caller(hub, HOSPITAL, scopes=scopes)
        assert refusal(send(weak, a_csv(a_row()))) == (403, "HUB-AUTH-003")
    assert stored(hub) == before


def test_the_sample_sheet_is_reported_row_by_row(hub, source):
    report = rows(send(source, RECORDS))
    assert [one["row"] for one in report] == list(range(1, 9))
    outcomes = [one["outcome"] for one in report]
    assert outcomes.count("refused") == 2
    for one in report:
        if one["outcome"] == "accepted":
            task = source.read(f"/Task/{one['task']}")
            assert task["status"] == "requested"
            # Record 6 lives where the jurisdiction row is of confidence C.
            onward = "HUB-INT-009" if one["row"] == 6 else "HUB-INT-003"
            assert one["code"] in ("HUB-INT-002", onward)
            assert one["route"]["initial"]["id"] == "kagoshima-shi"
        else:
            assert one["code"] == "HUB-CON-001"
            assert "task" not in one


def test_KG_04_a_refused_row_has_the_leaflet(hub, source):
    name = a_name()
    before = stored(hub)
    (one,) = rows(send(source, a_csv(a_row(氏名=name, 支援事業の同意="無"))))
    assert (one["outcome"], one["code"]) == ("refused", "HUB-CON-001")
    assert one["leaflet"]["title"] == "相談窓口のご案内"
    assert {"name": "こころの健康相談統一ダイヤル", "telephone": "0570-064-556"} in one[
        "leaflet"
    ]["desks"]
    assert one["leaflet"]["english"]["title"]
    assert stored(hub) == before
    assert not is_found_anywhere(hub, name)


def test_a_row_refused_for_another_reason_has_no_leaflet(source):
    (one,) = rows(send(source, a_csv(a_row(住所="東京都千代田区架空町1"))))
    assert (one["outcome"], one["code"]) == ("refused", "HUB-REF-014")
    assert "leaflet" not in one


def test_a_date_that_no_era_has_is_named_and_kept_as_text(source):
    (one,) = rows(send(source, a_csv(a_row(生年月日="S65.1.1"))))
    (warning,) = [w for w in one["warnings"] if w["column"] == "生年月日"]
    assert warning["severity"] == "warning"
    assert warning["message"]
    task = source.read(f"/Task/{one['task']}")
    assert "birthDate" not in source.read(f"/{task['for']['reference']}")


def test_a_row_of_another_length_is_refused_alone(source):
    raw = a_csv(a_row(), a_row()) + "足りない,行\r\n".encode()
    report = rows(send(source, raw))
    assert [one["outcome"] for one in report] == ["accepted", "accepted", "refused"]
    assert (report[2]["row"], report[2]["code"]) == (3, "HUB-SHEET-005")


def test_bad_rows_leave_the_good_ones_alone(hub, source):
    cases = count(hub, "case_")
    raw = a_csv(
        a_row(),
        a_row(支援事業の同意="無"),
        a_row(支援事業の同意=""),
        a_row(住所="東京都千代田区架空町1"),
        a_row(),
    )
    report = rows(send(source, raw))
    assert [one["outcome"] for one in report] == [
        "accepted",
        "refused",
        "refused",
        "refused",
        "accepted",
    ]
    assert report[1]["code"] == report[2]["code"] == "HUB-CON-001"
    assert report[3]["code"] == "HUB-REF-014"
    assert count(hub, "case_") == cases + 2
    for one in report:
        assert one["message"]
        assert one["english"]
        if one["outcome"] == "refused":
            assert one["issues"]


def test_each_row_and_each_refusal_is_audited(hub, source):
    before = count(hub, "audit_event")
    rows(send(source, a_csv(a_row(支援事業の同意="無"))))
    assert count(hub, "audit_event") == before + 1


@pytest.mark.parametrize(
    ("mapping", "raw", "status", "id"),
    [
        ("nonsense", RECORDS, 422, "HUB-SHEET-001"),
        ("yoshiki1", b"", 400, "HUB-SHEET-004"),
        ("yoshiki1", b"  \r\n", 400, "HUB-SHEET-004"),
        ("yoshiki1", a_csv(), 400, "HUB-SHEET-013"),
        ("yoshiki1", b"a,b\r\n1,2\r\n", 422, "HUB-SHEET-003"),
        (
            "yoshiki1",
            "氏名,住所\r\n架空,架空\r\n".encode("euc_jp"),
            400,
            "HUB-SHEET-002",
        ),
        ("yoshiki1", b"PK\x03\x04 broken", 400, "HUB-SHEET-008"),
        ("yoshiki1", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 400, "HUB-SHEET-014"),
        ("lifelink", RECORDS, 422, "HUB-SHEET-003"),
    ],
)
def test_a_file_that_is_none_is_refused_whole(hub, source, mapping, raw, status, id):
    before = stored(hub)
    answer = send(source, raw, mapping)
    assert refusal(answer) == (status, id)
    assert answer.json()["issue"][0]["details"]["text"]
    assert stored(hub) == before


def test_an_excel_file_is_taken_in_too(source):
    report = rows(send(source, EXCEL, **{"Content-Type": "application/octet-stream"}))
    assert report
    wrong = an_excel([["これは"], ["様式ではない"]])
    assert send(source, wrong).status_code in (400, 422)


def test_the_layout_is_recognised_from_the_file(source):
    (one,) = rows(send(source, a_csv(a_row()), "auto"))
    assert one["outcome"] == "accepted"


def test_an_unknown_query_parameter_is_refused(source):
    answer = source.request(
        "POST", "/intake/yoshiki1?dry-run=1", content=a_csv(a_row()), headers=CSV
    )
    assert refusal(answer) == (400, "HUB-SEARCH-001")


def test_a_sender_that_is_not_in_the_directory_is_refused(hub):
    nobody = hub.caller("4610000000", "source")
    assert refusal(send(nobody, a_csv(a_row()))) == (400, "HUB-INT-004")


def test_other_methods_are_405(source):
    answer = source.request("GET", "/intake/yoshiki1")
    assert refusal(answer) == (405, "HUB-REST-004")
    assert answer.headers["Allow"] == "POST, OPTIONS"


# The same file twice.


def test_the_same_file_twice_makes_no_second_referral(hub, source):
    raw = a_csv(a_row(), a_row())
    first = rows(send(source, raw))
    before = stored(hub)
    second = rows(send(source, raw))
    assert [one["task"] for one in first] == [one["task"] for one in second]
    assert {one["code"] for one in second} == {"HUB-INT-006"}
    assert {one["outcome"] for one in second} == {"accepted"}
    assert stored(hub) == before


def test_one_row_twice_in_one_file_is_one_referral(hub, source):
    row, cases = a_row(), count(hub, "case_")
    first, second = rows(send(source, a_csv(row, row)))
    assert first["task"] == second["task"]
    assert second["code"] == "HUB-INT-006"
    assert count(hub, "case_") == cases + 1


def test_the_same_row_of_another_hospital_is_its_own_referral(source, stranger):
    raw = a_csv(a_row())
    (first,), (second,) = rows(send(source, raw)), rows(send(stranger, raw))
    assert first["task"] != second["task"]


def test_a_correlation_id_for_the_file_does_not_join_its_rows(source):
    raw = a_csv(a_row(), a_row())
    report = rows(send(source, raw, **{"X-Correlation-ID": "datei-1"}))
    numbers = {
        source.read(f"/Task/{one['task']}")["groupIdentifier"]["value"]
        for one in report
    }
    assert len(numbers) == 2


# A corrected sheet (D-22).


def _number(source, task):
    return source.read(f"/Task/{task}")["groupIdentifier"]["value"]


def test_D_22_a_corrected_row_joins_the_case_it_names(hub, source, centre):
    row = a_row(その他特記事項="はじめ")
    (first,) = rows(send(source, a_csv(row, headers=NUMBERED)))
    cases = count(hub, "case_")
    number = _number(source, first["task"])
    after = {**row, "その他特記事項": "訂正後", "紹介番号": number}
    (second,) = rows(send(source, a_csv(after, headers=NUMBERED)))
    assert second["outcome"] == "accepted"
    assert second["code"] == "HUB-INT-008"
    assert second["task"] == first["task"]
    assert count(hub, "case_") == cases
    task = source.read(f"/Task/{first['task']}")
    patient = task["for"]["reference"]
    forms = centre.search(f"/QuestionnaireResponse?subject={patient}")
    assert sorted(form["status"] for form in forms) == ["amended", "completed"]
    made = {"Task": f"Task/{first['task']}", "Patient": patient}
    child = child_of(centre, made)
    assert any("corrected-form" in str(one["type"]) for one in child["input"])
    assert case_of(source, made)["status"] == "active"


def test_D_22_the_same_corrected_row_twice_is_stored_once(hub, source):
    row = a_row()
    (first,) = rows(send(source, a_csv(row)))
    raw = a_csv({**row, "紹介番号": _number(source, first["task"])}, headers=NUMBERED)
    rows(send(source, raw))
    before = stored(hub)
    (again,) = rows(send(source, raw))
    assert again["code"] == "HUB-INT-006"
    assert again["task"] == first["task"]
    assert stored(hub) == before


def test_D_22_an_unknown_number_is_reported(hub, source):
    before = stored(hub)
    (one,) = rows(send(source, a_csv(a_row(紹介番号="nobody"), headers=NUMBERED)))
    assert (one["outcome"], one["code"]) == ("refused", "HUB-REF-022")
    assert stored(hub) == before


def test_D_22_another_hospitals_number_is_as_unknown(source, stranger):
    (first,) = rows(send(source, a_csv(a_row())))
    number = _number(source, first["task"])
    raw = a_csv(a_row(紹介番号=number), headers=NUMBERED)
    (one,) = rows(send(stranger, raw))
    assert (one["outcome"], one["code"]) == ("refused", "HUB-REF-022")


def test_D_22_a_corrected_address_outside_stays_with_its_case(source):
    row = a_row()
    (first,) = rows(send(source, a_csv(row)))
    number = _number(source, first["task"])
    moved = {**row, "住所": "東京都千代田区架空町1", "紹介番号": number}
    (second,) = rows(send(source, a_csv(moved, headers=NUMBERED)))
    assert (second["outcome"], second["task"]) == ("accepted", first["task"])


def test_D_22_without_the_number_it_is_a_new_referral(source):
    row = a_row()
    (first,) = rows(send(source, a_csv(row)))
    (second,) = rows(send(source, a_csv({**row, "職業": "会社員"})))
    assert second["task"] != first["task"]


def test_D_22_a_corrected_row_that_says_no_consent_is_refused(hub, source):
    row = a_row()
    (first,) = rows(send(source, a_csv(row)))
    number = _number(source, first["task"])
    before = stored(hub)
    no = {**row, "支援事業の同意": "無", "紹介番号": number}
    (second,) = rows(send(source, a_csv(no, headers=NUMBERED)))
    assert (second["outcome"], second["code"]) == ("refused", "HUB-CON-001")
    assert stored(hub) == before
    assert ids(send(source, b"")) == ["HUB-SHEET-004"]


def test_what_is_doubtful_about_an_address_names_its_column(source):
    (row,) = rows(send(source, a_csv(a_row(住所="架空町"))))
    assert [(w["code"], w["column"]) for w in row["warnings"]][-1] == (
        "HUB-ROUTE-001",
        "住所",
    )


def test_the_address_of_a_sheet_has_its_parts(source):
    """Handbook §5.1; the text stays whole and unchanged."""
    (row,) = rows(send(source, a_csv(a_row(住所="鹿児島県鹿児島郡三島村架空"))))
    patient = source.read(f"/Task/{row['task']}")["for"]["reference"]
    (address,) = source.read(f"/{patient}")["address"]
    assert address["text"] == "鹿児島県鹿児島郡三島村架空"
    assert (address["state"], address["city"]) == ("鹿児島県", "鹿児島郡三島村")
    assert address["extension"][0]["valueCoding"]["code"] == "46303"


def test_a_family_consent_without_the_relation_names_the_column(source):
    """Handbook §3: the basis needs 続柄; a dry run says the same as the door."""
    raw = a_csv(a_row(支援事業の説明="本人・家族", 支援事業の同意="家族"))
    (row,) = rows(send(source, raw))
    assert (row["outcome"], row["code"]) == ("refused", "HUB-CON-004")
    assert row["column"] == "家族同意者"


def test_KG_04_a_refusal_names_the_consent_column(source):
    (row,) = rows(send(source, a_csv(a_row(支援事業の同意=""))))
    assert (row["code"], row["column"]) == ("HUB-CON-001", "支援事業の同意")
