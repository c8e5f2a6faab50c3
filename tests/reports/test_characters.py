import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.reports.characters import characters, missing, missing_variants
from hub.reports.fonts import fonts

RARE = "髙﨑𠮷𠮟\ufa1b神齋齊邊邉濵①㈱〓"


def test_the_fonts_are_found_without_the_machines_own():
    assert fonts().families == ("Noto Sans CJK JP",)
    assert fonts() is fonts()


def test_rare_characters_of_names_are_there():
    assert missing(RARE, fonts().regular) == []


def test_gaiji_emoji_and_other_scripts_are_missing():
    text = "a\ue000あ\U0001f600\u1234\n b"
    assert missing(text, fonts().regular) == ["\ue000", "\U0001f600", "\u1234"]


def test_variants_are_known_by_their_selector():
    # 葛 and 辻 have registered variants; no font has the last selector for 山.
    assert missing_variants("葛\U000e0100城辻\U000e0100", fonts().regular) == []
    assert missing_variants("山\U000e01ef", fonts().regular) == ["山\U000e01ef"]


def test_a_letter_and_its_mark_count_when_the_font_has_them_joined():
    assert missing("か\u3099e\u0301", fonts().regular) == []


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=30))
def test_what_is_missing_is_part_of_the_text(text):
    assert set(missing(text, fonts().regular)) <= set(text)


def a_font(segments):
    """A font with nothing but a cmap of format 4: (start, end, delta), delta mod 65536."""
    rows = [*segments, (0xFFFF, 0xFFFF, 1)]
    size = 2 * len(rows)
    parts = [[e for _, e, _ in rows], [0], [s for s, _, _ in rows]]
    parts += [[d & 0xFFFF for _, _, d in rows], [0] * len(rows)]
    words = b"".join(struct.pack(f">{len(p)}H", *p) for p in parts)
    subtable = struct.pack(">7H", 4, 14 + len(words), 0, size, 0, 0, 0) + words
    cmap = struct.pack(">HHHHI", 0, 1, 3, 1, 12) + subtable
    head = struct.pack(">4sHHHH", b"\x00\x01\x00\x00", 1, 0, 0, 0)
    return head + struct.pack(">4sIII", b"cmap", 0, 28, len(cmap)) + cmap


def test_an_older_cmap_is_read_too(tmp_path):
    path = tmp_path / "font.ttf"
    # The second segment maps its first character to glyph 0: it is not there.
    path.write_bytes(a_font([(0x41, 0x43, 0), (0x61, 0x63, -0x61)]))
    found = characters(path)
    assert [c for c in "@ABCDabcd" if found.has(ord(c))] == list("ABCbc")


def test_a_file_that_is_no_font_is_refused(tmp_path):
    path = tmp_path / "font.ttf"
    path.write_bytes(b"\x00\x01\x00\x00" + bytes(30))
    with pytest.raises(ValueError, match="cmap"):
        characters(path)
