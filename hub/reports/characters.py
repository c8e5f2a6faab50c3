"""Which characters a font can draw, read from its `cmap` table.

A character that no font has would vanish from paper, so names are checked before
print. Read here because the fonts are OpenType files and nothing else is needed of
them. Source: OpenType 1.9, `cmap`, formats 4, 12 and 14.
"""

import struct
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

_FULL = {(3, 10), (0, 4), (0, 6)}
_BMP = {(3, 1), (0, 3)}
_VARIATIONS = (0, 5)
# Not drawn by any font; shaping removes them (Unicode, Default_Ignorable_Code_Point).
_INVISIBLE = {0xAD, 0x34F, 0x61C, *range(0x200B, 0x2010), *range(0x2028, 0x2030)} | {
    *range(0x2060, 0x2070),
    0xFEFF,
}
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


@dataclass(frozen=True, slots=True)
class Characters:
    """Ranges of code points (sorted, both ends included) and variation sequences."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    variations: dict[int, tuple[tuple[int, int], ...]]

    def has(self, code: int) -> bool:
        at = bisect_right(self.starts, code) - 1
        return at >= 0 and code <= self.ends[at]

    def has_variation(self, code: int, selector: int) -> bool:
        ranges = self.variations.get(selector, ())
        return any(start <= code <= end for start, end in ranges)


@lru_cache(maxsize=32)
def characters(path: Path, index: int = 0) -> Characters:
    """Read one font file (OpenType or TrueType; `index` within a collection).

    Raises ValueError when the file has no usable `cmap`.
    """
    table = _table(path.read_bytes(), index)
    offsets = {
        (platform, encoding): offset
        for platform, encoding, offset in struct.iter_unpack(
            ">HHI", table[4 : 4 + 8 * _u16(table, 2)]
        )
    }
    kept = [offsets[key] for key in (*_FULL, *_BMP) if key in offsets]
    ranges = sorted(r for at in kept for r in _ranges(table[at:]))
    if not ranges:
        raise ValueError("the font maps no characters")
    variations = offsets.get(_VARIATIONS)
    merged = list(_merged(ranges))
    return Characters(
        tuple(start for start, _ in merged),
        tuple(end for _, end in merged),
        {} if variations is None else dict(_selectors(table[variations:])),
    )


def missing(text: str, fonts: Sequence[Characters]) -> list[str]:
    """The characters of a text that none of the fonts can draw, in order."""
    lacking = []
    before = ""
    for char in text:
        if not _is_silent(char) and not _drawn(before, char, fonts):
            lacking.append(char)
        before = char
    return lacking


def missing_variants(text: str, fonts: Sequence[Characters]) -> list[str]:
    """Variation sequences whose shape the font of the character does not have."""
    lacking = []
    for base, selector in pairwise(text):
        if not _is_selector(selector):
            continue
        font = next((f for f in fonts if f.has(ord(base))), None)
        if font and not font.has_variation(ord(base), ord(selector)):
            lacking.append(base + selector)
    return lacking


def _is_silent(char: str) -> bool:
    return char in "\n " or ord(char) in _INVISIBLE or _is_selector(char)


def _is_selector(char: str) -> bool:
    return any(ord(char) in selectors for selectors in _SELECTORS)


def _drawn(before: str, char: str, fonts: Sequence[Characters]) -> bool:
    if any(font.has(ord(char)) for font in fonts):
        return True
    if not (before and unicodedata.combining(char)):
        return False
    # Shaping joins a letter and its mark when the font has them as one character.
    joined = unicodedata.normalize("NFC", before + char)
    return len(joined) == 1 and any(font.has(ord(joined)) for font in fonts)


def _table(font: bytes, index: int) -> bytes:
    start = 0
    if font[:4] == b"ttcf":
        start = struct.unpack_from(">I", font, 12 + 4 * index)[0]
    for at in range(start + 12, start + 12 + 16 * _u16(font, start + 4), 16):
        tag, _, offset, length = struct.unpack_from(">4sIII", font, at)
        if tag == b"cmap":
            return font[offset : offset + length]
    raise ValueError("the font has no cmap table")


def _ranges(subtable: bytes) -> Iterator[tuple[int, int]]:
    kind = _u16(subtable, 0)
    if kind == 12:  # noqa: PLR2004 - the format's number
        count = struct.unpack_from(">I", subtable, 12)[0]
        for start, end, glyph in struct.iter_unpack(
            ">III", subtable[16 : 16 + 12 * count]
        ):
            yield (start + (glyph == 0), end)
    elif kind == 4:  # noqa: PLR2004 - the format's number
        yield from _segments(subtable)


def _segments(subtable: bytes) -> Iterator[tuple[int, int]]:
    size = _u16(subtable, 6)
    ends, starts, deltas, offsets = (
        struct.unpack_from(f">{size // 2}H", subtable, at)
        for at in (14, 16 + size, 16 + 2 * size, 16 + 3 * size)
    )
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        for code in range(start, min(end, 0xFFFE) + 1):
            if not offsets[i]:
                glyph = code + deltas[i]
            else:
                at = 16 + 3 * size + 2 * i + offsets[i] + 2 * (code - start)
                glyph = _u16(subtable, at)
                glyph += deltas[i] if glyph else 0
            if glyph & 0xFFFF:
                yield (code, code)


def _merged(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start, end = ranges[0]
    for low, high in ranges[1:]:
        if low > end + 1:
            yield start, end
            start, end = low, high
        else:
            end = max(end, high)
    yield start, end


def _selectors(
    subtable: bytes,
) -> Iterator[tuple[int, tuple[tuple[int, int], ...]]]:
    for at in range(10, 10 + 11 * struct.unpack_from(">I", subtable, 6)[0], 11):
        selector = int.from_bytes(subtable[at : at + 3])
        default, other = struct.unpack_from(">II", subtable, at + 3)
        yield selector, (*_defaults(subtable, default), *_others(subtable, other))


def _defaults(subtable: bytes, at: int) -> Iterator[tuple[int, int]]:
    count = struct.unpack_from(">I", subtable, at)[0] if at else 0
    for entry in range(at + 4, at + 4 + 4 * count, 4):
        start = int.from_bytes(subtable[entry : entry + 3])
        yield start, start + subtable[entry + 3]


def _others(subtable: bytes, at: int) -> Iterator[tuple[int, int]]:
    count = struct.unpack_from(">I", subtable, at)[0] if at else 0
    for entry in range(at + 4, at + 4 + 5 * count, 5):
        code = int.from_bytes(subtable[entry : entry + 3])
        yield code, code


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2])
