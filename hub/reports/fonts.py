"""The fonts of printed sheets: files from PyPI, never the machine's own.

So paper looks the same everywhere. Folders with more fonts may be added; they serve
the characters that the first font lacks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typst

from hub.fhir.outcome import FhirError, issue
from hub.reports.characters import Characters, characters

_PACKAGES = ("noto_cjk_sans_jp_regular", "noto_cjk_sans_jp_bold")


@dataclass(frozen=True, slots=True)
class Fonts:
    """Fonts in the order in which a character looks for one that has it.

    `families` are typst's names, `regular` the upright fonts of normal weight.
    """

    loaded: Any
    families: tuple[str, ...]
    regular: tuple[Characters, ...]


def fonts(*more: Path) -> Fonts:
    """The fonts from PyPI, then those of other folders (searched recursively).

    Read once for each set of folders. Raises FhirError HUB-REP-007.
    """
    return _load(tuple(more))


@lru_cache(maxsize=8)
def _load(more: tuple[Path, ...]) -> Fonts:
    own = _own_folders()
    loaded = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[*own, *more],
    )
    found = sorted(loaded.fonts(), key=lambda font: _rank(font, own))
    families = tuple(dict.fromkeys(font.family for font in found))
    chosen = {family: _regular(family, found) for family in families}
    return Fonts(
        loaded,
        families,
        tuple(characters(Path(f.path), f.index) for f in chosen.values()),
    )


def _own_folders() -> list[Path]:
    specs = [find_spec(name) for name in _PACKAGES]
    folders = [Path(spec.origin).parent for spec in specs if spec and spec.origin]
    if len(folders) < len(_PACKAGES):
        raise FhirError(issue("HUB-REP-007"))
    return folders


def _rank(font: Any, own: Sequence[Path]) -> tuple[bool, str, str]:
    return (Path(font.path).parent not in own, font.family, font.path)


def _regular(family: str, found: Sequence[Any]) -> Any:
    same = [font for font in found if font.family == family]
    return min(same, key=lambda f: (abs(f.weight - 400), f.style != "normal"))
