"""One answer of a QuestionnaireResponse: its value, and how it was written.

Answers are FHIR's own `item.answer` elements without nested items, kept by linkId:
`{"k1.birth": [{"valueDate": "1970-03-07", "_valueDate": {…written form…}}]}`.
A value that could not be read has only its written form: the text is kept, the
coded value is absent (decision D-10).
"""

from typing import Any

from hub.fhir.canonical import WRITTEN_FORM
from hub.fhir.json import Resource

# linkId -> answers in order; for a repeating group each entry is an Answers again.
Answers = dict[str, list[Any]]

_COMPLEX = ("valueCoding", "valueReference", "valueQuantity", "valueAttachment")


def answer(key: str, value: Any, written: str | None = None) -> Resource:
    """`key` is `valueDate` and so on; `written` is kept when it says it otherwise.

    `value` None makes an answer that was written but could not be read.
    """
    if key in _COMPLEX:
        return {key: {**_complex(key, written, missing=value is None), **(value or {})}}
    made: Resource = {} if value is None else {key: value}
    if written is not None and written != value:
        made[f"_{key}"] = _extension(written)
    return made


def key_of(one: Resource) -> str | None:
    """The `value…` key of an answer, also when only its written form is there."""
    for key in one:
        if key.startswith(("value", "_value")):
            return key.removeprefix("_")
    return None


def value_of(one: Resource) -> Any:
    """The value that was understood, or None (a Coding without code is none)."""
    key = key_of(one)
    value = one.get(key) if key else None
    if key == "valueCoding" and value is not None and "code" not in value:
        return None
    return value


def written_of(one: Resource) -> str | None:
    """The text as written, when it was kept beside (or instead of) the value."""
    key = key_of(one)
    if key is None:
        return None
    holder = one.get(key) if key in _COMPLEX else one.get(f"_{key}")
    for extension in (holder or {}).get("extension", []):
        if extension.get("url") == WRITTEN_FORM:
            return str(extension["valueString"])
    return None


def text_of(one: Resource) -> str:
    """What a reader sees: the written form, else the display, else the value."""
    written = written_of(one)
    if written is not None:
        return written
    value = one.get(key_of(one) or "")
    if isinstance(value, dict):
        return str(value.get("display") or value.get("code") or "")
    return "" if value is None else str(value)


def code_of(one: Resource) -> str | None:
    """The code of a choice that was understood; else None."""
    value = value_of(one)
    return value.get("code") if isinstance(value, dict) else None


def _complex(key: str, written: str | None, *, missing: bool) -> Resource:
    if written is None:
        return {}
    # A Coding without code is shown by its display; so every viewer sees the text.
    shown = {"display": written} if missing and key != "valueAttachment" else {}
    return {**_extension(written), **shown}


def _extension(written: str) -> Resource:
    return {"extension": [{"url": WRITTEN_FORM, "valueString": written}]}
