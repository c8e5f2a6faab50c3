"""Fold strings for comparison: width, case, kana and old kanji forms (rest.md §3)."""

import json
import re
import unicodedata
from functools import lru_cache
from importlib.resources import files

# Usual accent stripping would turn ガ into カ: the kana sound marks stay.
_SOUND_MARKS = ("\u3099", "\u309a")
_KATAKANA = {code: code - 0x60 for code in (*range(0x30A1, 0x30F7), 0x30FD, 0x30FE)}
_MARKS = {
    code: None
    for code in (*range(0x300, 0x1E950), *range(0xE0100, 0xE01F0))
    if unicodedata.category(chr(code)) == "Mn" and chr(code) not in _SOUND_MARKS
}
# Forms that NFKC keeps apart and that one family writes either way (`kanji`).
_VARIANTS: dict[str, str] = json.loads(
    files("hub.store").joinpath("kanji_variants.json").read_bytes()
)
_TABLE: dict[int, int | str | None] = {
    **_MARKS,
    **_KATAKANA,
    **{ord(old): new for old, new in _VARIANTS.items()},
}
_SPACES = re.compile(r"\s+")


@lru_cache(maxsize=4096)  # forms say the same words of every person
def fold(text: str) -> str:
    """What two spellings of one name have in common; never shown to anybody.

    NFKC, case folding, katakana as hiragana, combining marks but U+3099 and U+309A
    removed, variant kanji as the usual form, runs of white space as one space.
    """
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", text).translate(_TABLE)
        text = unicodedata.normalize("NFC", apart)
    return _SPACES.sub(" ", text.casefold()).strip()
