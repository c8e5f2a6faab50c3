"""Japanese strings that are one name in several spellings (rest.md §3)."""

import json
import unicodedata
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.store import kanji
from hub.store.folding import fold

VARIANTS: dict[str, str] = json.loads(
    files("hub.store").joinpath("kanji_variants.json").read_bytes()
)
HIRAGANA = [chr(code) for code in range(0x3041, 0x3097)]
SOUND_MARKS = "\u3099\u309a"


def as_katakana(text: str) -> str:
    return "".join(chr(ord(c) + 0x60) if c in HIRAGANA else c for c in text)


@pytest.mark.parametrize(
    "family",
    [
        ("高", "髙"),
        ("崎", "﨑", "嵜"),
        ("辺", "邊", "邉"),
        ("沢", "澤"),
        ("浜", "濱", "濵"),
        ("斎", "齋"),
        ("斉", "齊"),
        ("島", "嶋", "嶌"),
        ("桜", "櫻"),
        ("真", "眞"),
        ("恵", "惠"),
        ("富", "冨"),
        ("峰", "峯"),
        ("瀬", "瀨"),
        ("神", "神"),
        ("塚", "塚"),
        ("吉", "𠮷"),
        ("亘", "亙"),
        ("野", "埜"),
    ],
)
def test_the_forms_of_a_kanji_fold_to_one(family):
    assert len({fold(form) for form in family}) == 1


def test_every_form_of_the_table_folds_to_its_usual_one():
    assert len(VARIANTS) > 480
    for form, usual in VARIANTS.items():
        assert fold(form) == fold(usual) != fold(form + "x")
        assert usual not in VARIANTS


def test_of_two_sources_the_first_decides_and_chains_end():
    table = kanji.build([("a", "b")], [("b", "c"), ("c", "a"), ("d", "a")])
    assert table == {"a": "c", "b": "c", "d": "c"}


def test_the_sources_are_read_as_they_are_published():
    lines = [
        "# x\n",
        "U+9AD9\tkJoyoKanji\t2010\n",
        "U+6AFB\tkJinmeiyoKanji\t2010:U+685C",
    ]
    assert list(kanji.unihan(lines)) == [("櫻", "桜")]
    assert list(kanji.opencc(["# x\n", "澤\t沢\n", "辨\t弁 辧\n"])) == [
        ("澤", "沢"),
        ("辨", "弁"),
    ]


@given(st.text(alphabet=st.sampled_from(HIRAGANA)))
def test_hiragana_and_katakana_are_one(text):
    assert fold(as_katakana(text)) == fold(text)


@given(st.text(alphabet=st.sampled_from([chr(c) for c in range(0xFF66, 0xFF9E)])))
def test_half_and_full_width_kana_are_one(text):
    assert fold(text) == fold(unicodedata.normalize("NFKC", text))


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_case_and_width_of_letters_are_one(text):
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    assert fold(wide) == fold(text) == fold(text.upper())


@given(
    st.sampled_from("かきくけこさしすせそたちつてとはひふへほ"),
    st.sampled_from(["NFC", "NFD"]),
)
def test_sound_marks_stay_and_other_marks_go(kana, form):
    voiced = unicodedata.normalize(form, kana + SOUND_MARKS[0])
    assert fold(voiced) == fold(kana + SOUND_MARKS[0]) != fold(kana)
    assert fold(kana + "\u0301") == fold(kana)


LETTERS = st.text(alphabet=[*HIRAGANA, *as_katakana("".join(HIRAGANA)), *VARIANTS, "A"])


@given(LETTERS, LETTERS)
def test_a_longer_name_starts_as_its_start_does(one, other):
    assert fold(one + other) == fold(one) + fold(other)
