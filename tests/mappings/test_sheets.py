"""Sheets to answers: the eight records, the Excel form, and every kind of bad input."""

import contextlib
import io
import zipfile
from datetime import date

import openpyxl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.fhir import canonical
from hub.fhir.answers import code_of, text_of, value_of, written_of
from hub.fhir.outcome import FhirError
from mappings.sheets import write
from mappings.sheets.layout import layout
from mappings.sheets.table import Limits
from tests.mappings.build import (
    DATA,
    EXCEL,
    HEADERS,
    LAYOUTS,
    PACKAGES,
    RECORDS,
    REPOSITORY,
    YOSHIKI1,
    a_csv,
    a_sheet,
    an_excel,
)

TEXT = RECORDS.decode("cp932")
ROWS = a_sheet(RECORDS).rows


def codes(row, link):
    return [code_of(a) for a in row.answers.get(link, [])]


def warned(row):
    return [(i.id, i.column) for i in row.issues]


def a_row(**cells):
    return a_sheet(a_csv({k.replace("_", ""): v for k, v in cells.items()})).rows[0]


def refused(raw, **options):
    with pytest.raises(FhirError) as error:
        a_sheet(raw, **options)
    assert any(ord(c) > 0x3000 for c in error.value.issues[0].text)
    return error.value.issues[0].id


# --- the eight records -----------------------------------------------------------


def test_the_samples_are_those_of_the_handbook():
    samples = REPOSITORY.parent / "shared/domain/samples"
    if not samples.exists():
        pytest.skip("the handbook is not beside this repository")
    assert (samples / "csv/yoshiki1_wide_cp932.csv").read_bytes() == RECORDS
    assert (samples / "xlsx/yoshiki1_layout.xlsx").read_bytes() == EXCEL


def test_the_file_is_recognised_and_all_its_columns_are_known():
    sheet = a_sheet(RECORDS)
    assert (sheet.mapping, sheet.form, sheet.issues) == ("yoshiki1", "k1", ())
    assert [row.number for row in sheet.rows] == list(range(1, 9))


def test_record_1_is_read_without_a_warning():
    row = ROWS[0]
    assert warned(row) == []
    assert text_of(row.answers["k1.name"][0]) == "試験　太郎"
    assert value_of(row.answers["k1.name"][0]) == "試験 太郎"
    assert value_of(row.answers["k1.kana"][0]) == "シケン タロウ"
    assert value_of(row.answers["k1.birth"][0]) == "1970-03-07"
    assert written_of(row.answers["k1.birth"][0]) == "S45.3.7"
    assert codes(row, "k1.sex") == ["sex-male"]
    assert codes(row, "k1.consent") == ["consent-person"]
    assert codes(row, "k1.means") == ["means-medication"]
    assert codes(row, "k1.motive") == ["motive-health", "motive-work"]
    assert codes(row, "k1.motive.health") == ["motive-health-mental"]


def test_record_2_has_half_width_kana_and_two_means():
    row = ROWS[1]
    assert warned(row) == []
    assert value_of(row.answers["k1.name"][0]) == "合成花子"
    assert value_of(row.answers["k1.kana"][0]) == "ゴウセイ ハナコ"
    assert value_of(row.answers["k1.phone"][0]) == "0995-00-0002"
    assert row.extras == {"postalCode": "899-4300"}
    assert "①" in text_of(row.answers["k1.address"][0])
    assert codes(row, "k1.means") == ["means-medication", "means-cut-stab"]
    assert codes(row, "k1.consent") == ["consent-family"]
    assert text_of(row.answers["k1.consent.family"][0]) == "母"


def test_record_3_keeps_a_word_that_is_not_on_the_form():
    row = ROWS[2]
    assert warned(row) == [("HUB-SHEET-020", "結婚")]
    assert codes(row, "k1.marital") == [None]
    assert text_of(row.answers["k1.marital"][0]) == "その他"
    assert value_of(row.answers["k1.birth"][0]) == "1926-12-24"
    assert value_of(row.answers["k1.name"][0]) == "架空 髙子"
    assert text_of(row.answers["k1.history.internal"][0]) == "糖尿病"
    assert text_of(row.answers["k1.history.surgical"][0]) == "骨折"
    assert text_of(row.answers["k1.outlook.day"][0]) == "25日頃"


def test_record_4_wishes_for_the_nearest_centre():
    assert ROWS[3].extras["nearestCentre"] is True
    assert value_of(ROWS[3].answers["k1.name"][0]) == "見本 﨑男"


def test_record_5_says_no():
    assert codes(ROWS[4], "k1.consent") == ["consent-none"]
    assert value_of(ROWS[4].answers["k1.phone"][0]) == "099-000-0005"


def test_record_6_was_told_to_whom_is_not_stated():
    row = ROWS[5]
    assert warned(row) == []
    assert codes(row, "k1.explained") == [None]
    assert text_of(row.answers["k1.explained"][0]) == "した"
    assert text_of(row.answers["k1.means.other"][0]) == "不明(本人未回答)"


def test_record_7_is_almost_empty_and_valid():
    """KG-18."""
    assert warned(ROWS[6]) == []
    assert not ROWS[6].is_refused


def test_record_8_gives_one_warning_per_cell_and_keeps_the_texts():
    """D-10. Weekday, KG-19 and KG-20 are the form's to say, not the cell's."""
    row = ROWS[7]
    assert warned(row) == [
        ("HUB-SHEET-022", "生年月日"),
        ("HUB-SHEET-025", "郵便番号"),
        ("HUB-SHEET-024", "電話"),
        ("HUB-SHEET-020", "自殺の手段"),
        ("HUB-SHEET-020", "自殺の意図"),
        ("HUB-SHEET-020", "致命的な状態"),
        ("HUB-SHEET-020", "自殺の動機"),
    ]
    assert not row.is_refused
    assert row.answers["k1.birth"][0].keys() == {"_valueDate"}
    assert row.extras == {"postalCodeText": "890-000"}
    assert [text_of(a) for a in row.answers["k1.means"]] == ["なげ"]


def test_unreadable_values_refuse_the_row_when_the_setting_says_so():
    """D-10, setting refuse."""
    rows = a_sheet(RECORDS, unreadable="refuse").rows
    assert [r.number for r in rows if r.is_refused] == [3, 5, 8]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_same_records_in_utf_8_give_the_same_answers(encoding):
    assert a_sheet(TEXT.encode(encoding)).rows == ROWS


def test_the_excel_form_gives_the_answers_of_record_1():
    sheet = a_sheet(EXCEL)
    assert sheet.issues == ()
    (row,) = sheet.rows
    assert warned(row) == []
    assert row.answers == ROWS[0].answers


def test_the_excel_wide_layout_gives_the_answers_of_the_csv():
    table = [line.split(",") for line in TEXT.splitlines()]
    rows = a_sheet(an_excel(table)).rows
    assert [r.answers for r in rows] == [r.answers for r in ROWS]


def test_one_form_a_file_gives_the_answers_of_the_wide_layout():
    lines = ["自殺未遂者支援（様式1）,,"]
    first = TEXT.splitlines()[1].split(",")
    lines += [f"{h},{v}," for h, v in zip(HEADERS, first, strict=True)]
    for encoding in ("cp932", "utf-8-sig"):
        (row,) = a_sheet("\r\n".join(lines).encode(encoding)).rows
        assert row.answers == ROWS[0].answers


def test_columns_are_found_by_their_words_wherever_they_stand():
    table = [line.split(",") for line in TEXT.splitlines()]
    turned = ["".join(f"{c}," for c in reversed(row))[:-1] for row in table]
    turned[0] = (
        turned[0].replace("氏名", "氏　名").replace("(", "（").replace(")", "）")
    )
    rows = a_sheet("\r\n".join(turned).encode("utf-8")).rows
    assert [r.answers for r in rows] == [r.answers for r in ROWS]


# --- cells ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "健康問題(身体疾患・精神疾患)・経済問題",
            ["motive-health", "motive-economic"],
        ),
        ("健康問題（精神疾患）･勤務問題", ["motive-health", "motive-work"]),
        ("不明", ["motive-unknown"]),
    ],
)
def test_a_dot_inside_a_bracket_belongs_to_the_bracket(text, expected):
    assert codes(a_row(自殺の動機=text), "k1.motive") == expected


def test_both_sub_answers_of_a_bracket_are_read():
    row = a_row(自殺の動機="健康問題(身体疾患・精神疾患)・経済問題")
    assert codes(row, "k1.motive.health") == [
        "motive-health-physical",
        "motive-health-mental",
    ]


def test_a_slash_never_separates():
    assert codes(a_row(自殺の手段="切創/刺創"), "k1.means") == ["means-cut-stab"]
    row = a_row(自殺の手段="服薬/ガス")
    assert codes(row, "k1.means") == [None]


def test_a_known_word_beside_an_unknown_one_keeps_its_code():
    row = a_row(自殺の手段="服薬・なげ")
    assert codes(row, "k1.means") == ["means-medication", None]
    assert warned(row) == [("HUB-SHEET-020", "自殺の手段")]


def test_two_answers_where_one_is_asked_for_are_not_chosen_between():
    row = a_row(性別="男・女")
    assert codes(row, "k1.sex") == [None]
    assert text_of(row.answers["k1.sex"][0]) == "男・女"


def test_a_cell_that_still_lists_every_choice_was_not_filled_in():
    every = "縊首・服薬・服毒・飛び降り・飛び込み・切創/刺創・ガス・焼身・その他（ ）"
    row = a_row(自殺の手段=every)
    assert codes(row, "k1.means") == [None]
    assert warned(row) == [("HUB-SHEET-020", "自殺の手段")]


def test_a_bracket_the_form_does_not_print_is_kept_beside_the_code():
    row = a_row(自殺の手段="服薬(市販薬)")
    assert codes(row, "k1.means") == ["means-medication"]
    assert text_of(row.answers["k1.means"][0]) == "服薬(市販薬)"
    assert warned(row) == [("HUB-SHEET-028", "自殺の手段")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("本人", ["consent-person"]),
        ("本人・家族", ["consent-person", "consent-family"]),
        ("有（同意者：本人）", ["consent-person"]),
        ("有(同意者:家族(母))", ["consent-family"]),
        ("有（同意者：本人・家族（母））", ["consent-person", "consent-family"]),
        ("無", ["consent-none"]),
        ("", []),
    ],
)
def test_consent_is_read_in_its_printed_words(text, expected):
    assert codes(a_row(支援事業の同意=text), "k1.consent") == expected


@pytest.mark.parametrize(
    "text",
    [
        "有",
        "あり",
        "○",
        "本人?",
        "家族等",
        "母",
        "有（同意者： ）",
        "本人/家族",
        "本人（拒否）",
        "本人（口頭）",
        "家族（同意せず）",
        "有（同意者：家族（無））",
    ],
)
def test_a_consent_cell_is_never_guessed(text):
    """KG-04, D-10, D-13."""
    row = a_row(支援事業の同意=text)
    assert codes(row, "k1.consent") == [None]
    assert warned(row) == [("HUB-SHEET-029", "支援事業の同意")]


@pytest.mark.parametrize(
    ("text", "wished"),
    [
        ("最寄りの保健所への相談を希望", True),
        ("最寄りの保健所への相談を希望する。", True),
        ("独居。最寄りの保健所への相談を希望します。要通院", True),
        ("独居\r\n最寄りの保健所への相談を希望します\r\n要通院", True),
        ("最寄りの保健所への相談を希望しない", False),
        ("最寄りの保健所への相談を希望しません。", False),
        ("母は最寄りの保健所への相談を希望", False),
        ("最寄りの保健所への相談を希望か不明", False),
        ("", False),
    ],
)
def test_only_the_whole_sentence_is_a_wish(text, wished):
    """KG-12, D-09: doubt is no wish."""
    assert ("nearestCentre" in a_row(その他特記事項=text).extras) == wished


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("平成31年5月1日", "HUB-SHEET-022"),
        ("明治3年1月1日", "HUB-SHEET-023"),
        ("不詳", "HUB-SHEET-021"),
    ],
)
def test_each_trouble_of_a_date_has_its_own_code(text, id_):
    row = a_row(生年月日=text)
    assert warned(row) == [(id_, "生年月日")]
    assert text_of(row.answers["k1.birth"][0]) == text


def test_several_telephone_numbers_in_a_cell_are_several_answers():
    row = a_row(電話="099-000-0001・０９０－０００－０００２")
    assert [value_of(a) for a in row.answers["k1.phone"]] == [
        "099-000-0001",
        "090-000-0002",
    ]
    assert warned(row) == []


def test_the_weekday_may_stand_in_the_bracket_of_the_date():
    row = a_row(**{"搬送日(受診日)": "令和8年4月1日（水曜日）"})
    assert value_of(row.answers["k1.visit"][0]) == "2026-04-01"
    assert codes(row, "k1.visit.dow") == ["wed"]


def test_a_date_line_left_as_printed_is_empty():
    assert a_row(**{"搬送日(受診日)": "令和 年 月 日（ 曜日 ）"}).answers == {}


def test_bracket_and_column_that_differ_are_both_kept_as_text():
    row = a_row(職業="その他（自由業）", 職業その他="講師")
    assert [text_of(a) for a in row.answers["k1.occupation.other"]] == ["自由業・講師"]
    assert ("HUB-SHEET-017", "職業その他") in warned(row)


def test_a_lost_character_in_a_name_warns():
    assert warned(a_row(氏名="■子")) == [("HUB-SHEET-027", "氏名")]


def test_gaiji_and_control_characters_never_pass_in_silence():
    row = a_row(氏名="\ue000子", その他特記事項="a\x07b")
    assert value_of(row.answers["k1.name"][0]) == "〓子"
    assert text_of(row.answers["k1.remarks"][0]) == "ab"
    assert sorted(warned(row)) == [
        ("HUB-SHEET-031", "その他特記事項"),
        ("HUB-SHEET-032", "氏名"),
    ]


def test_a_quoted_cell_may_hold_a_line_break():
    sheet = a_sheet(a_csv({"その他特記事項": "一行目\r\n二行目"}, {"氏名": "試験"}))
    assert [r.number for r in sheet.rows] == [1, 2]
    assert text_of(sheet.rows[0].answers["k1.remarks"][0]) == "一行目\r\n二行目"


def test_a_formula_in_a_csv_cell_stays_text():
    row = a_row(その他特記事項="=1+1")
    assert text_of(row.answers["k1.remarks"][0]) == "=1+1"


def test_the_referral_number_of_a_corrected_sheet_is_carried():
    """D-22."""
    raw = a_csv({"氏名": "試験", "紹介番号": "abc-1"}, headers=[*HEADERS, "紹介番号"])
    assert a_sheet(raw).rows[0].extras == {"referralNumber": "abc-1"}


# --- files ---------------------------------------------------------------------


def test_an_unknown_and_a_missing_column_are_told_once():
    raw = a_csv({}, {}, headers=["氏名", "住所", "支援事業の同意", "身長"])
    found = a_sheet(raw).issues
    assert [(i.id, i.severity) for i in found] == [
        ("HUB-SHEET-011", "warning"),
        ("HUB-SHEET-016", "warning"),
    ]
    assert "4" in found[0].text
    assert "身長" not in found[0].text  # an unknown header may be anybody's name
    assert "性別" in found[1].text


def test_an_unknown_mapping_is_named():
    assert refused(RECORDS, mapping="nosuch") == "HUB-SHEET-001"
    assert a_sheet(RECORDS, mapping="yoshiki1").mapping == "yoshiki1"


@pytest.mark.parametrize("encoding", ["utf-16", "euc_jp", "iso2022_jp"])
def test_another_encoding_is_not_guessed(encoding):
    plain = ",".join(HEADERS) + "\r\n" + "," * (len(HEADERS) - 1) + "\r\n"
    assert refused(plain.encode(encoding)) == "HUB-SHEET-002"


def test_utf_8_with_a_broken_character_is_a_wrong_encoding():
    assert refused(b"\xef\xbb\xbf" + TEXT.encode()[:-1] + b"\xe3") == "HUB-SHEET-002"


@pytest.mark.parametrize(
    "raw",
    [
        "商品,数量,単価\r\nりんご,1,100\r\n".encode("cp932"),
        b"hello world",
        an_excel([["商品", "数量"], ["りんご", 1]]),
    ],
    ids=["csv", "text", "excel"],
)
def test_another_sheet_is_refused(raw):
    assert refused(raw) == "HUB-SHEET-003"


def test_the_sheet_of_another_programme_is_not_this_one():
    assert refused(RECORDS, mapping="lifelink") == "HUB-SHEET-003"
    as_utf_8 = RECORDS.decode("cp932").encode()
    assert refused(as_utf_8, mapping="lifelink") == "HUB-SHEET-003"


def test_a_sheet_that_two_layouts_know_equally_well_must_be_named():
    raw = a_csv({"生年月日": "R8.4.1"}, headers=["生年月日", "ふりがな"])
    assert refused(raw) == "HUB-SHEET-019"
    assert a_sheet(raw, mapping="yoshiki1").mapping == "yoshiki1"


@pytest.mark.parametrize("raw", [b"", b"\r\n \r\n", b"\xef\xbb\xbf\r\n"])
def test_an_empty_file_is_refused(raw):
    assert refused(raw) == "HUB-SHEET-004"


def test_a_file_with_headers_only_is_refused():
    assert refused(a_csv()) == "HUB-SHEET-013"


def test_a_half_filled_row_is_refused_and_the_others_go_on():
    lines = TEXT.split("\r\n")
    lines[2] = ",".join(lines[2].split(",")[:20])
    rows = a_sheet("\r\n".join(lines).encode("cp932")).rows
    assert [(i.id, i.row, i.severity) for i in rows[1].issues] == [
        ("HUB-SHEET-005", 2, "error")
    ]
    assert rows[1].answers == {}
    assert [r.number for r in rows if r.is_refused] == [2]
    assert rows[2].answers == ROWS[2].answers


def test_a_file_cut_off_inside_a_quote_loses_only_that_row():
    raw = a_csv({"氏名": "試験"}, {"その他特記事項": "一行目\r\n二行目"})
    rows = a_sheet(raw[: raw.index("二行目".encode())]).rows
    assert [r.number for r in rows if r.is_refused] == [2]
    assert rows[1].issues[0].id == "HUB-SHEET-006"


def test_a_header_that_stands_there_twice_is_refused():
    assert refused(a_csv({}, headers=["氏名", "住所", "氏 名"])) == "HUB-SHEET-010"


def test_files_have_limits():
    assert refused(RECORDS, limits=Limits(size=100)) == "HUB-SHEET-012"
    assert refused(RECORDS, limits=Limits(rows=3)) == "HUB-SHEET-007"
    assert (
        refused(a_csv({"住所": "あ" * 50}), limits=Limits(cell=40)) == "HUB-SHEET-034"
    )
    table = [HEADERS, *[["a"] * len(HEADERS)] * 5]
    assert refused(an_excel(table), limits=Limits(rows=3)) == "HUB-SHEET-007"
    assert (
        refused(an_excel([HEADERS, ["あ" * 50]]), limits=Limits(cell=40))
        == "HUB-SHEET-034"
    )


# --- Excel files ---------------------------------------------------------------


def repacked(**parts):
    """The Excel sample with some parts replaced."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(EXCEL)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.infolist():
            new.writestr(part.filename, parts.pop(part.filename, old.read(part)))
        for name, content in parts.items():
            new.writestr(name, content)
    return out.getvalue()


def sheet_xml():
    with zipfile.ZipFile(io.BytesIO(EXCEL)) as package:
        return package.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize(
    "raw",
    [
        b"PK\x03\x04 broken",
        EXCEL[:2000],
        repacked(**{"xl/worksheets/sheet1.xml": b"<a"}),
    ],
    ids=["no zip", "cut off", "no xml"],
)
def test_a_broken_excel_file_is_told_as_such(raw):
    assert refused(raw) == "HUB-SHEET-008"


def test_a_zip_that_is_no_workbook_is_told_as_such():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        package.writestr("a.txt", "a")
    assert refused(out.getvalue()) == "HUB-SHEET-008"


def test_the_old_or_protected_format_is_told_as_such():
    assert refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)) == "HUB-SHEET-014"


def test_a_zip_bomb_is_not_opened():
    assert refused(repacked(**{"xl/media/a.bin": bytes(30_000_000)})) == "HUB-SHEET-009"


def test_an_entity_bomb_is_not_opened():
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    assert refused(repacked(**{"xl/sharedStrings.xml": bomb})) == "HUB-SHEET-009"


def test_too_many_parts_are_not_opened():
    assert refused(EXCEL, limits=Limits(parts=3)) == "HUB-SHEET-009"


def test_a_merged_range_as_large_as_the_sheet_costs_nothing():
    xml = sheet_xml().replace(b'ref="B5:E5"', b'ref="B5:XFD1048576"')
    assert xml != sheet_xml()
    (row,) = a_sheet(repacked(**{"xl/worksheets/sheet1.xml": xml})).rows
    assert row.answers == ROWS[0].answers


def test_a_cell_far_away_is_too_many_rows():
    far = b'<row r="1048576"><c r="A1048576" t="inlineStr"><is><t>x</t></is></c></row></sheetData>'
    xml = sheet_xml().replace(b"</sheetData>", far)
    assert refused(repacked(**{"xl/worksheets/sheet1.xml": xml})) == "HUB-SHEET-007"


def test_a_formula_cell_in_excel_is_kept_as_text():
    raw = an_excel([["氏名", "住所", "電話"], ["=1+1", "架空町", "099-000-0001"]])
    (row,) = a_sheet(raw).rows
    assert text_of(row.answers["k1.name"][0]) == "=1+1"
    assert ("HUB-SHEET-030", "氏名") in warned(row)


def test_real_dates_and_numbers_of_excel_are_read():
    raw = an_excel(
        [
            ["氏名", "生年月日", "郵便番号", "住所"],
            ["試験", date(1970, 3, 7), 8900000, "架空町"],
        ]
    )
    (row,) = a_sheet(raw).rows
    assert value_of(row.answers["k1.birth"][0]) == "1970-03-07"
    assert row.extras == {"postalCode": "890-0000"}


def test_a_value_beside_the_columns_is_a_half_filled_row():
    raw = an_excel(
        [
            ["氏名", "住所", "電話"],
            ["試験", "架空町", "", "stray"],
            ["見本", "架空町", ""],
        ]
    )
    rows = a_sheet(raw).rows
    assert [r.issues[0].id if r.issues else None for r in rows] == [
        "HUB-SHEET-005",
        None,
    ]


def test_empty_rows_below_a_list_are_nothing():
    raw = an_excel([["氏名", "住所", "電話"], ["試験", "架空町", ""], ["", " ", None]])
    assert [r.number for r in a_sheet(raw).rows] == [1]
    wide = a_csv({"氏名": "試験"}, {}, {}, headers=["氏名", "住所", "電話"])
    assert [r.number for r in a_sheet(wide).rows] == [1]


def test_a_title_may_stand_above_the_headers():
    rows = [
        ["様式1 一覧"],
        [],
        ["氏名", "住所", "支援事業の同意"],
        ["試験", "架空町", "本人"],
    ]
    excel = a_sheet(an_excel(rows))
    text = "様式1 一覧,,\r\n氏名,住所,支援事業の同意\r\n試験,架空町,本人\r\n"
    assert [codes(row, "k1.consent") for row in excel.rows] == [["consent-person"]]
    assert a_sheet(text.encode()).rows[0].answers == excel.rows[0].answers


def test_a_hidden_worksheet_is_not_taken_in():
    """Nobody sends a person they do not see."""
    workbook = openpyxl.load_workbook(io.BytesIO(EXCEL))
    workbook.copy_worksheet(workbook.worksheets[0]).sheet_state = "hidden"
    out = io.BytesIO()
    workbook.save(out)
    sheet = a_sheet(out.getvalue())
    assert [r.number for r in sheet.rows] == [1]
    assert [i.id for i in sheet.issues] == ["HUB-SHEET-033"]


def test_a_cell_longer_than_the_reader_takes_is_told_as_such():
    raw = a_csv({"氏名": "試験", "その他特記事項": "長" * 200_000})
    assert refused(raw) == "HUB-SHEET-034"


def test_each_worksheet_of_a_workbook_is_one_form():
    workbook = openpyxl.load_workbook(io.BytesIO(EXCEL))
    workbook.copy_worksheet(workbook.worksheets[0])
    workbook.create_sheet("memo")["A1"] = "memo"
    out = io.BytesIO()
    workbook.save(out)
    sheet = a_sheet(out.getvalue())
    assert [(r.number, r.answers == ROWS[0].answers) for r in sheet.rows] == [
        (1, True),
        (2, True),
    ]
    assert [i.id for i in sheet.issues] == ["HUB-SHEET-033"]


def test_a_label_twice_on_one_form_is_refused():
    raw = an_excel(
        [["氏名", "試験"], ["住所", "架空町"], ["電話", ""], ["氏 名", "見本"]]
    )
    assert refused(raw) == "HUB-SHEET-018"


def test_the_consent_of_the_excel_form_is_read_by_its_label():
    rows = [
        ["様式1"],
        ["氏 名", "試験　太郎"],
        ["住 所", "架空町"],
        ["電 話", ""],
        ["支援事業の同意", None, "有（同意者：家族（父））"],
    ]
    (row,) = a_sheet(an_excel(rows)).rows
    assert codes(row, "k1.consent") == ["consent-family"]
    assert text_of(row.answers["k1.consent.family"][0]) == "父"


# --- the small form of another programme -----------------------------------------


def test_the_lifelink_sheet_is_recognised_and_read():
    """LL-04: the consent is a yes-no box there."""
    raw = a_csv(
        {
            "受付経路": "#いのちSOS(自治体名) 専用アカウント",
            "居住地の自治体への情報提供の同意": "有",
            "居住地の自治体": "46201",
            "相談者氏名": "試験　太郎",
            "専用アカウント案内の3基準": "自殺リスクの高い人・対面・電話相談によるアプローチが難しい人・安全・安定して利用が可能",
        },
        headers=[c.header for c in LAYOUTS["lifelink"].columns],
    )
    sheet = a_sheet(raw)
    assert (sheet.mapping, sheet.form) == ("lifelink", "ll")
    (row,) = sheet.rows
    assert row.issues == ()
    assert codes(row, "ll.channel") == ["ch-inochi-muni"]
    assert value_of(row.answers["ll.consent"][0]) is True
    assert value_of(row.answers["ll.municipality"][0])["identifier"]["value"] == "46201"
    assert codes(row, "ll.criteria") == [
        "card-high-risk",
        "card-hard-contact",
        "card-safe-use",
    ]


def test_a_municipality_code_with_its_check_digit_is_accepted_and_a_wrong_one_is_text():
    raw = a_csv(
        *(
            {"受付経路": "x", "居住地の自治体": t}
            for t in ("462012", "462013", "鹿児島市")
        ),
        headers=[c.header for c in LAYOUTS["lifelink"].columns],
    )
    places = [value_of(r.answers["ll.municipality"][0]) for r in a_sheet(raw).rows]
    assert [p.get("identifier", {}).get("value") for p in places] == [
        "46201",
        None,
        None,
    ]
    assert places[2] == {"display": "鹿児島市"}


# --- back ------------------------------------------------------------------------

WORDS = {
    c.header: sorted(YOSHIKI1.choices[str(c.link)].words)
    for c in YOSHIKI1.columns
    if c.kind == "choice" and c.link
}
FREE = st.text(
    alphabet=st.characters(
        codec="utf-8",
        exclude_categories=["Cs", "Cc", "Co", "Cn"],
        exclude_characters="()（）・･、，,;；'\ufffe\uffff",
    ),
    max_size=20,
)


def a_cell(column):
    if column.kind == "choice":
        return st.one_of(st.just(""), st.sampled_from(WORDS[column.header]), FREE)
    if column.kind == "date":
        return st.one_of(
            FREE, st.dates().map(lambda d: f"{d.year}年{d.month}月{d.day}日")
        )
    return FREE


@given(st.fixed_dictionaries({c.header: a_cell(c) for c in YOSHIKI1.columns}))
@example(
    {"自殺の動機": "健康問題(精神疾患)・勤務問題", "既往歴": "内科的疾患(糖尿病)・なし"}
)
@example({"電話": "+81-99-000-0005", "その他特記事項": "-1"})
def test_sheet_to_answers_to_sheet_to_answers_is_the_identity(cells):
    (first,) = a_sheet(a_csv(cells, headers=[c.header for c in YOSHIKI1.columns])).rows
    (second,) = a_sheet(write.to_csv([(first.answers, first.extras)], YOSHIKI1)).rows
    assert second.answers == first.answers
    assert second.extras == first.extras


def test_the_eight_records_written_and_read_again_are_the_same():
    raw = write.to_csv(
        [(r.answers, r.extras) for r in ROWS], YOSHIKI1, encoding="cp932"
    )
    again = a_sheet(raw).rows
    assert [r.answers for r in again] == [r.answers for r in ROWS]
    assert [r.extras for r in again] == [r.extras for r in ROWS]


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@a"])
def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(text):
    row = a_row(その他特記事項=text)
    assert f"'{text}".encode() in write.to_csv([(row.answers, row.extras)], YOSHIKI1)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_a_stable_code(raw):
    with contextlib.suppress(FhirError):
        assert a_sheet(raw).rows


def test_the_samples_of_the_demonstration_show_three_cases():
    folder = REPOSITORY / "profiles/samples"
    excel = a_sheet((folder / "yoshiki1_layout.xlsx").read_bytes()).rows
    csv_rows = a_sheet((folder / "yoshiki1_wide_cp932.csv").read_bytes()).rows
    assert [codes(r, "k1.consent") for r in (*excel, *csv_rows)] == [
        ["consent-person"],
        ["consent-family"],
        ["consent-none"],
    ]
    assert (DATA / "yoshiki1_layout.xlsx").exists()


def test_a_protected_part_of_a_package_is_told_as_such():
    raw = bytearray(EXCEL)
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # the flag in the first directory entry
    assert refused(bytes(raw)) == "HUB-SHEET-014"


def test_two_kinds_of_form_in_one_workbook_are_refused():
    workbook = openpyxl.load_workbook(io.BytesIO(EXCEL))
    other = workbook.create_sheet("b")
    other.append([c.header for c in LAYOUTS["lifelink"].columns])
    other.append(["#いのちSOS(電話)", "有"])
    out = io.BytesIO()
    workbook.save(out)
    assert refused(out.getvalue()) == "HUB-SHEET-015"


def test_an_open_quote_in_the_first_line_leaves_nothing_to_read():
    assert refused('"氏名,住所\r\n'.encode()) == "HUB-SHEET-006"


def test_empty_lines_are_no_records_but_are_counted():
    raw = a_csv({"氏名": "試験"}, headers=["氏名", "住所", "性別"])
    raw = raw.replace("試験".encode(), "\r\n試験".encode())
    assert [r.number for r in a_sheet(b"\r\n" + raw).rows] == [2]


def test_byte_values_that_no_table_of_cp932_has_are_a_wrong_encoding():
    assert (
        refused("氏名,住所\r\n".encode("cp932") + b"\x80,\xa0\r\n") == "HUB-SHEET-002"
    )


@pytest.mark.parametrize(
    ("column", "word"),
    [
        ({"headers": ["氏名"], "link": "k1.nosuch", "kind": "text"}, "no item"),
        ({"headers": ["氏名", "性別"], "link": "k1.name", "kind": "text"}, "twice"),
    ],
)
def test_a_layout_that_does_not_fit_its_form_is_named(column, word):
    sex = {"headers": ["性別"], "link": "k1.sex", "kind": "choice"}
    table = {"mapping": "m", "form": "k1", "title": "t", "column": [sex, column]}
    with pytest.raises(ValueError, match=word):
        layout(table, PACKAGES.questionnaire(canonical.questionnaire("k1")) or {})


def test_the_small_form_is_written_back_as_it_was():
    own = LAYOUTS["lifelink"]
    cells = {
        "受付経路": "生きづらびっと(SNS)",
        "居住地の自治体への情報提供の同意": "同意する",
        "居住地の自治体": "46201",
        "郵便番号": "8900000",
    }
    (row,) = a_sheet(a_csv(cells, headers=[c.header for c in own.columns])).rows
    written = write.to_cells(row.answers, row.extras, own)
    assert {k: v for k, v in written.items() if v} == {**cells, "郵便番号": "890-0000"}
