"""SMART App Launch 2.2 scopes: read, intersect, write. Pure.

Grammar: `(system|user)/(Type|*).(c?r?u?d?s?)`; version 1 words `.read` = rs,
`.write` = cud, `.*` = cruds. A word with `?` (granular) is dropped, never read as
the unconstrained scope.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

from hub.actor import NAMED_ONLY, Scope

Context = Literal["system", "user"]

LETTERS = "cruds"
_V1 = {"read": "rs", "write": "cud", "*": LETTERS}
_WORD = re.compile(
    r"(?P<context>system|user)/(?P<type>[A-Z][A-Za-z]{1,63}|\*)"
    r"\.(?P<rights>read|write|\*|c?r?u?d?s?)"
)
# RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), separated by spaces.
_SCOPE_TEXT = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")


@dataclass(frozen=True, slots=True)
class Word:
    """One understood word of a scope text; `v1` is the suffix asked in version 1."""

    scope: Scope
    v1: str | None


def is_well_formed(text: str) -> bool:
    """True when every character may stand in a scope (RFC 6749 §3.3)."""
    return _SCOPE_TEXT.fullmatch(text) is not None


def parse_word(word: str) -> Word | None:
    """Read one word; None when it is unknown, malformed or granular."""
    match = _WORD.fullmatch(word)
    if match is None or not match["rights"]:
        return None
    rights = match["rights"]
    scope = Scope(
        context=cast("Context", match["context"]),
        resource_type=match["type"],
        letters=frozenset(_V1.get(rights, rights)),
    )
    return Word(scope, rights if rights in _V1 else None)


@lru_cache(maxsize=1024)
def parse(text: str) -> frozenset[Scope]:
    """The scopes of a text, v1 and v2; what is not understood is left out."""
    words = (parse_word(word) for word in text.split(" "))
    return frozenset(word.scope for word in words if word is not None)


@lru_cache(maxsize=1024)
def grant(requested: str, registered: str, context: Context = "system") -> str:
    """The granted scope text: requested ∩ registered, per type and letter.

    Each word is answered in the notation in which it was asked; a v1 word only when
    all its letters were granted, else its v2 remainder. `system` are the scopes of
    client_credentials, `user` those of authorization_code. Empty when nothing is left.
    """
    allowed = frozenset(s for s in parse(registered) if s.context == context)
    answers: dict[str, None] = {}
    for text in requested.split(" "):
        word = parse_word(text)
        if word is not None and word.scope.context == context:
            answers.update(dict.fromkeys(_answers(word, allowed)))
    return " ".join(answers)


@lru_cache(maxsize=1024)
def effective(granted: str, registered: str) -> frozenset[Scope]:
    """What a token with `granted` may do now that `registered` is registered."""
    return parse(grant(granted, registered)) | parse(grant(granted, registered, "user"))


def render(scope: Scope) -> str:
    """The v2 word of a scope."""
    letters = "".join(letter for letter in LETTERS if letter in scope.letters)
    return f"{scope.context}/{scope.resource_type}.{letters}"


def render_all(scopes: Iterable[Scope]) -> str:
    """A scope text in v2 notation, sorted."""
    return " ".join(sorted(render(scope) for scope in scopes))


def covers(allowed: Iterable[Scope], letter: str, resource_type: str) -> bool:
    """True when some scope has this letter for this type, or `*` for all types.

    `*` never includes what is in NAMED_ONLY.
    """
    types = {resource_type} if resource_type in NAMED_ONLY else {resource_type, "*"}
    return any(
        letter in scope.letters and scope.resource_type in types for scope in allowed
    )


def _answers(word: Word, allowed: frozenset[Scope]) -> Iterator[str]:
    context = word.scope.context
    for resource_type in _types(word.scope.resource_type, allowed):
        letters = frozenset(
            letter
            for letter in word.scope.letters
            if covers(allowed, letter, resource_type)
        )
        if not letters:
            continue
        if word.v1 and letters == word.scope.letters:
            yield f"{context}/{resource_type}.{word.v1}"
        else:
            yield render(Scope(context, resource_type, letters))


def _types(asked: str, allowed: Iterable[Scope]) -> list[str]:
    # `*` is answered type by type, but for what is itself registered for `*`.
    if asked != "*":
        return [asked]
    return sorted({s.resource_type for s in allowed} - NAMED_ONLY)
