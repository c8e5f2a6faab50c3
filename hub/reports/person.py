"""What a printed row says of a Patient and of the hospital's form. Pure."""

from collections.abc import Collection, Iterator
from datetime import date

from hub.fhir.answers import text_of
from hub.fhir.canonical import NAME_REPRESENTATION, WRITTEN_FORM
from hub.fhir.json import Resource
from hub.reports.when import day

_WRITINGS = {"IDE": 0, None: 1, "SYL": 2, "ABC": 3}


def name_of(patient: Resource) -> str:
    """The name as written: kanji (IDE) before kana and Latin letters."""
    for name in sorted(patient.get("name", ()), key=_rank):
        parts = [name.get("family", ""), *name.get("given", ())]
        text = name.get("text") or " ".join(part for part in parts if part)
        if text:
            return str(text)
    return "氏名不明"


def birth_of(patient: Resource) -> tuple[date | None, str]:
    """The day when it is whole; else what was written, or the part that is known."""
    text = str(patient.get("birthDate", ""))
    whole = day(text)
    extensions = (patient.get("_birthDate") or {}).get("extension", ())
    written = (e.get("valueString") for e in extensions if e.get("url") == WRITTEN_FORM)
    return whole, "" if whole else next(written, text) or text


def background_text(answers: Resource | None, link_ids: Collection[str]) -> str:
    """`健康問題（精神疾患）、勤務問題`: the answers under these linkIds, as written.

    `answers` is a QuestionnaireResponse, None when it may not be seen.
    """
    texts = (
        text
        for item in _items(answers or {})
        if item.get("linkId") in link_ids
        for text in _texts(item)
    )
    return "、".join(dict.fromkeys(texts))


def _rank(name: Resource) -> int:
    codes = (
        e.get("valueCode")
        for e in name.get("extension", ())
        if e.get("url") == NAME_REPRESENTATION
    )
    return _WRITINGS.get(next(codes, None), 1)


def _items(holder: Resource) -> Iterator[Resource]:
    for item in holder.get("item", ()):
        yield item
        yield from _items(item)
        for answer in item.get("answer", ()):
            yield from _items(answer)


def _texts(item: Resource) -> Iterator[str]:
    for answer in item.get("answer", ()):
        inner = [t for nested in answer.get("item", ()) for t in _texts(nested)]
        own, within = text_of(answer), "・".join(inner)
        if own or within:
            yield f"{own}（{within}）" if within and own else own or within
