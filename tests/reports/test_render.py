import io
import math
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pypdf import PdfReader

from hub.fhir.outcome import FhirError
from hub.reports import render_pdf, unprintable
from tests.reports.build import NAMES, SHEETS, a_report, a_row

FORBIDDEN = ("自殺", "未遂", "自傷")
SENTENCES = (
    "貴院から、自殺未遂者支援連携体制事業の同意者として、当保健所に情報提供がありました、下記対象者への支援状況について、別紙のとおり報告します。",
    "今後とも、ご協力くださるよう、よろしくお願い申し上げます。",
)
COLUMNS = (
    "連絡受理日",
    "氏名",
    "生年月日",
    "性別",
    "自殺未遂の背景・要因",
    "支援内容",
    "今後の支援計画",
)


def read(pdf):
    return PdfReader(io.BytesIO(pdf))


def text_of(page):
    """The page's text without the breaks that lines and cells bring."""
    return re.sub(r"\s+", "", page.extract_text())


def squeezed(text):
    return re.sub(r"\s+", "", text)


def test_the_cover_holds_what_the_paper_prints():
    pages = read(render_pdf(a_report(), SHEETS)).pages
    cover = text_of(pages[0])
    for sentence in SENTENCES:
        assert sentence in cover
    for part in (
        "（様式5-①）",
        "連絡票",
        "みなと見本病院管理者様",
        "（救急科扱い）",
        "姶良保健所長",
        "令和8年5月1日",
        "1.貴院からの情報提供年月：令和8年4月分",
        "2.対象者数：3人",
        "【連絡先】",
        "姶良保健所健康企画課",
        "担当：見本一子",
        "電話：000-0000-0000",
        "E-mail：hokenjo@example.jp",
    ):
        assert part in cover, part


def test_the_printed_sentence_is_the_programmes_own(shared: Path):
    source = squeezed((shared / "domain/sources/kagoshima.txt").read_text("utf-8"))
    for sentence in SENTENCES:
        assert sentence in source


def test_the_table_has_the_seven_columns_and_every_name_as_written():
    page = text_of(read(render_pdf(a_report(5), SHEETS)).pages[1])
    for column in COLUMNS:
        assert column in page, column
    for name in NAMES:
        assert squeezed(name) in page, name
    assert "R8.4.3" in page
    assert "S60.5.12（40歳）" in page


@pytest.mark.parametrize("number", [0, 1, 5, 6, 10, 40])
def test_KG_10_there_is_a_cover_and_a_sheet_for_five_persons_each(number):
    pages = read(render_pdf(a_report(number), SHEETS)).pages
    assert len(pages) == 1 + max(1, math.ceil(number / 5))
    for page in pages[1:]:
        assert "今後の支援計画" in text_of(page)
    total = f"{len(pages)}／{len(pages)}"
    assert total in text_of(pages[-1])
    width, height = (float(pages[1].mediabox[i]) for i in (2, 3))
    assert width > height


def test_KG_09_nothing_to_report_is_a_report_too():
    cover, table = map(text_of, read(render_pdf(a_report(0), SHEETS)).pages)
    assert "2.対象者数：0人（該当なし）" in cover
    assert "該当なし" in table


def test_long_text_wraps_and_is_whole():
    words = [f"第{n}回の訪問で本人と面接した。" for n in range(1, 40)]
    report = a_report((a_row(0, support="".join(words)), a_row(1)))
    text = "".join(text_of(page) for page in read(render_pdf(report, SHEETS)).pages)
    for word in words:
        assert word in text, word


def test_a_row_that_fits_no_page_goes_on_over_the_next():
    words = [f"{n}回目の電話。" for n in range(1, 1200)]
    report = a_report((a_row(0, plan="\n".join(words)),))
    pages = read(render_pdf(report, SHEETS)).pages
    text = "".join(text_of(page) for page in pages)
    assert all(word in text for word in words)


@pytest.mark.parametrize(
    ("seal", "shown", "hidden"),
    [
        ("none", "", "公印省略"),
        ("omitted", "（公印省略）", "所長印"),
        ("box", "印", "公印省略"),
    ],
)
def test_the_seal_is_none_left_out_in_words_or_a_box(seal, shown, hidden):
    cover = text_of(read(render_pdf(a_report(), SHEETS, seal)).pages[0])
    assert shown in cover
    assert hidden not in cover


def test_the_same_report_gives_the_same_bytes():
    first = render_pdf(a_report(), SHEETS)
    render_pdf(a_report(40), SHEETS)
    assert render_pdf(a_report(), SHEETS) == first
    later = a_report(issued_at=datetime(2026, 5, 2, tzinfo=UTC))
    assert render_pdf(later, SHEETS) != first


def test_the_file_says_it_is_pdf_a_2b_and_ua_1_and_is_tagged():
    reader = read(render_pdf(a_report(), SHEETS))
    catalog = reader.trailer["/Root"]
    metadata = catalog["/Metadata"].get_object().get_data().decode("utf-8")
    assert "<pdfaid:part>2</pdfaid:part>" in metadata
    assert "<pdfaid:conformance>B</pdfaid:conformance>" in metadata
    assert "<pdfuaid:part>1</pdfuaid:part>" in metadata
    assert catalog["/MarkInfo"]["/Marked"]
    assert str(catalog["/Lang"]).startswith("ja")


def test_no_word_of_the_matter_is_in_metadata_file_name_or_outline():
    # portal.md §4: a title or a file name may be seen by a family member.
    report = a_report()
    reader = read(render_pdf(report, SHEETS))
    catalog = reader.trailer["/Root"]
    metadata = catalog["/Metadata"].get_object().get_data().decode("utf-8")
    outside = f"{report.file_name} {reader.metadata} {metadata} {reader.outline}"
    for word in (*FORBIDDEN, *(squeezed(name) for name in NAMES)):
        assert word not in squeezed(outside)
    assert reader.metadata.title == "連絡票"


def test_what_people_type_is_never_markup():
    typed = '#import "x"; #strong[a] *b* $x$ @c <d> \\ "e" //f `g`'
    report = a_report((a_row(name=typed, plan=typed),))
    assert squeezed(typed) in text_of(read(render_pdf(report, SHEETS)).pages[1])


def test_a_missing_character_is_refused_by_field_and_never_dropped():
    rows = (a_row(0), a_row(1, name="見本\ue000\U0001f600", plan="\U0001f600へ"))
    report = a_report(rows)
    with pytest.raises(FhirError) as refused:
        render_pdf(report, SHEETS)
    first, second = found = refused.value.issues
    assert [i.id for i in found] == ["HUB-REP-001", "HUB-REP-001"]
    assert all(part in first.text for part in ("氏名", "2行目", "2字"))
    assert (second.row, second.column) == (2, "今後の支援計画")
    assert not any("見本" in i.text + i.english for i in found)
    assert unprintable(report) == list(found)


def test_a_missing_character_can_be_printed_as_the_printers_mark():
    report = a_report((a_row(0, name="見本\ue000子"),))
    page = text_of(read(render_pdf(report, SHEETS, geta=True)).pages[1])
    assert "見本〓子" in page


def test_a_variant_the_font_lacks_is_a_warning_and_still_printed():
    report = a_report((a_row(0, name="山\U000e01ef田"),))
    (found,) = unprintable(report)
    assert (found.id, found.severity) == ("HUB-REP-006", "warning")
    assert "山" in text_of(read(render_pdf(report, SHEETS)).pages[1])


def test_a_programme_without_the_sheet_says_so(tmp_path):
    with pytest.raises(FhirError, match="HUB-REP-004"):
        render_pdf(a_report(), tmp_path)


def test_a_broken_sheet_says_so_without_repeating_what_it_reads(tmp_path):
    sheet = tmp_path / "yoshiki5.typ"
    sheet.write_text("#panic(sys.inputs.data)", "utf-8")
    with pytest.raises(FhirError, match="HUB-REP-005") as refused:
        render_pdf(a_report(), tmp_path)
    assert refused.value.__cause__ is None
    assert not any(squeezed(n) in str(refused.value.issues) for n in NAMES)


def test_the_sheet_itself_refuses_a_count_that_is_not_the_rows(tmp_path):
    # KG-10: the template asserts it, so no other caller can print a wrong number.
    text = (SHEETS / "yoshiki5.typ").read_text("utf-8")
    broken = text.replace("d.rows.len() == d.count", "d.rows.len() + 1 == d.count")
    (tmp_path / "yoshiki5.typ").write_text(broken, "utf-8")
    with pytest.raises(FhirError, match="HUB-REP-005"):
        render_pdf(a_report(), tmp_path)
