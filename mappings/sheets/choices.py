"""The printed words of a choice cell: `健康問題(精神疾患)・勤務問題`, `その他（…）`.

Several answers are joined with ・; a ・ inside a bracket belongs to the bracket;
brackets come in both widths; a slash never separates. Nothing is guessed: a word
that is not printed on the form comes back unread.
"""

import re
from dataclasses import dataclass
from typing import Any

from mappings.japanese import fold
from mappings.sheets.layout import Choice

_OPEN, _CLOSE, _DOTS = "(（", ")）", "・･"


@dataclass(frozen=True, slots=True)
class Picked:
    """One answer of a cell: `coding` None means the words are not on the form.

    `bracket` is the text in the bracket behind the word, not yet understood.
    `text` is the answer as written. `uncoded` is true for a word that is known to
    have no code: nothing is wrong with it.
    """

    text: str
    coding: Any = None
    bracket: str = ""
    uncoded: bool = False


def pick(text: str, choice: Choice) -> list[Picked]:
    """Read a choice cell into its answers, in order."""
    parts = _split(text)
    picked: list[Picked] = []
    start = 0
    while start < len(parts):
        # A printed word may itself hold a ・: the longest known word wins.
        for end in range(len(parts), start, -1):
            words = _join(parts[start:end])
            found = _word(words, choice)
            if found or end == start + 1:
                picked += found or [Picked(words.strip())]
                start = end
                break
    return picked


def _word(text: str, choice: Choice) -> list[Picked] | None:
    text = text.strip()
    folded = fold(text)
    if folded in choice.words:
        return [Picked(text, choice.words[folded])]
    head, bracket = _bracket(text)
    folded = fold(head)
    if folded in choice.wrap:
        inner = without_label(bracket, choice.wrap[folded])
        if inner:
            return pick(inner, choice)
    if folded in choice.uncoded and not bracket:
        return [Picked(text, uncoded=True)]
    if head != text and folded in choice.words:
        return [Picked(text, choice.words[folded], bracket)]
    return None


def without_label(text: str, label: str) -> str:
    """The text of a bracket without the label printed in front (`病院名：`)."""
    return re.sub(rf"^\s*{re.escape(label)}\s*[:：]\s*", "", text).strip()


def _split(text: str) -> list[str]:
    parts, depth, part = [], 0, ""
    for sign in text:
        depth += (sign in _OPEN) - (sign in _CLOSE)
        if sign in _DOTS and depth <= 0:
            parts.append(part)
            part = ""
        else:
            part += sign
    return [*parts, part]


def _join(parts: list[str]) -> str:
    return "・".join(parts)


def _bracket(text: str) -> tuple[str, str]:
    """Split `word（inside）` at the bracket that closes at the very end."""
    start, depth = 0, 0
    for index, sign in enumerate(text):
        if sign in _OPEN:
            start = index if depth == 0 else start
            depth += 1
        elif sign in _CLOSE:
            depth -= 1
            if depth == 0 and index == len(text) - 1:
                return text[:start], text[start + 1 : -1].strip()
    return text, ""
