"""Make `kanji_variants.json`: old and variant kanji with the form they fold to.

    python -m hub.store.kanji Unihan_OtherMappings.txt JPShinjitaiCharactersRev.txt

From the Unicode Han Database (`kJoyoKanji` and `kJinmeiyoKanji`: which of the kanji
for general use and for names are forms of another; Unicode License v3) and from
OpenCC (old to new Japanese forms; Apache-2.0). `FAMILY_NAMES` are ours.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

OUTPUT = Path(__file__).with_name("kanji_variants.json")

# Forms that one family writes either way and that neither source pairs.
FAMILY_NAMES = tuple(
    zip(
        "髙﨑嵜𠮷邉濵槗𣘺桒嶌渕邨栁舘靑曻舩峯靏靍鸖𡈽閒﨟葊𣳾惪隝濹冨嶋舩徧栢恆",
        "高崎崎吉辺浜橋橋桑島淵村柳館青昇船峰鶴鶴鶴土間臈広泰徳島墨富島船遍柏恒",
        strict=True,
    )
)
_FORM = re.compile(r"U\+([0-9A-F]{4,5})")
_LISTS = ("kJoyoKanji", "kJinmeiyoKanji")

Pairs = Iterable[tuple[str, str]]


def build(*sources: Pairs) -> dict[str, str]:
    """{form: the form all of its family fold to}; of two sources the first decides."""
    to: dict[str, str] = {}
    for old, new in (pair for source in sources for pair in source):
        root, other = _root(to, new), _root(to, old)
        if root != other:
            to[other] = root
    return {form: _root(to, form) for form in sorted(to)}


def _root(to: dict[str, str], form: str) -> str:
    while form in to:
        form = to[form]
    return form


def unihan(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs (form, standard form) of `Unihan_OtherMappings.txt`."""
    for line in lines:
        code, *field = line.rstrip("\n").split("\t")
        if line.startswith("#") or len(field) != 2 or field[0] not in _LISTS:  # noqa: PLR2004 - name and value
            continue
        if match := _FORM.search(field[1]):
            yield _character(code), _character(match[0])


def _character(code: str) -> str:
    """`U+9AD8` as the character."""
    return chr(int(code.removeprefix("U+"), base=16))


def opencc(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs (old form, new form) of `JPShinjitaiCharactersRev.txt`."""
    for line in lines:
        old, _, new = line.rstrip("\n").partition("\t")
        if new and not line.startswith("#"):
            yield old, new.split(" ")[0]


def main(mappings: Path, shinjitai: Path, output: Path = OUTPUT) -> None:
    """Write the table beside this module."""
    with (
        mappings.open(encoding="utf-8") as one,
        shinjitai.open(encoding="utf-8") as two,
    ):
        table = build(FAMILY_NAMES, unihan(one), opencc(two))
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    output.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
