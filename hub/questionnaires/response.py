"""Answers by linkId to a QuestionnaireResponse, and back, without loss.

Items stand in the order of the form. A child of a choice stands beneath the answer
that its enableWhen names, else beneath the first one. When its parent has no answer,
it stands beneath an answer without a value: nothing that was written is lost.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from hub.fhir.answers import Answers, code_of
from hub.fhir.dates import instant
from hub.fhir.json import Resource


def to_response(
    answers: Answers,
    questionnaire: Resource,
    *,
    authored: datetime | None = None,
    **elements: Any,
) -> Resource:
    """Make the QuestionnaireResponse (status completed) of these answers.

    `elements` are further elements of it (`id`, `subject`, `source`, …). Raises
    KeyError with the linkId when an answer has no item in the form.
    """
    known = set(_links(questionnaire))
    for link in answers:
        if link not in known:
            raise KeyError(link)
    version = questionnaire.get("version")
    response: Resource = {
        "resourceType": "QuestionnaireResponse",
        **elements,
        "questionnaire": questionnaire["url"] + (f"|{version}" if version else ""),
        "status": "completed",
    }
    if authored:
        response["authored"] = instant(authored)
    items = [made for i in questionnaire.get("item", []) for made in _item(i, answers)]
    if items:
        response["item"] = items
    return response


def from_response(response: Resource, questionnaire: Resource) -> Answers:
    """The answers of a response by linkId: the inverse of `to_response`.

    Each turn of a repeating group is an Answers of its own.
    """
    answers: Answers = {}
    repeating = set(_repeating_groups(questionnaire))
    for item in response.get("item", []):
        _collect(item, answers, repeating)
    return answers


def _links(node: Resource) -> Iterator[str]:
    for item in node.get("item", []):
        yield item["linkId"]
        yield from _links(item)


def _item(item: Resource, answers: Answers) -> list[Resource]:
    if item["type"] == "group":
        return _group(item, answers)
    made = {"linkId": item["linkId"]}
    if item.get("text"):
        made["text"] = item["text"]
    given = [dict(a) for a in answers.get(item["linkId"], [])]
    for child in item.get("item", []):
        for nested in _item(child, answers):
            _place(given, child, nested)
    return [{**made, "answer": given}] if given else []


def _group(item: Resource, answers: Answers) -> list[Resource]:
    # Each turn of a repeating group has answers of its own.
    turns = answers.get(item["linkId"], []) if item.get("repeats") else [answers]
    groups = []
    for turn in turns:
        inside = [made for child in item.get("item", []) for made in _item(child, turn)]
        head = {"linkId": item["linkId"]}
        if item.get("text"):
            head["text"] = item["text"]
        if inside or item.get("repeats"):
            groups.append({**head, **({"item": inside} if inside else {})})
    return groups


def _place(given: list[Resource], child: Resource, nested: Resource) -> None:
    """Put a child item beneath the answer it belongs to."""
    wanted = {w["answerCoding"]["code"] for w in child.get("enableWhen", [])
              if "answerCoding" in w}  # fmt: skip
    fitting = [a for a in given if code_of(a) in wanted]
    if not given:
        given.append({})
    holder = (fitting or given)[0]
    holder["item"] = [*holder.get("item", []), nested]


def _repeating_groups(node: Resource) -> Iterator[str]:
    for item in node.get("item", []):
        if item["type"] == "group" and item.get("repeats"):
            yield item["linkId"]
        yield from _repeating_groups(item)


def _collect(item: Resource, answers: Answers, repeating: set[str]) -> None:
    link = item["linkId"]
    if "answer" not in item:
        inside: Answers = {}
        for child in item.get("item", []):
            _collect(child, inside, repeating)
        if link in repeating:
            answers.setdefault(link, []).append(inside)
        else:
            answers.update(inside)
        return
    for given in item["answer"]:
        value = {k: v for k, v in given.items() if k != "item"}
        if value:
            answers.setdefault(link, []).append(value)
        for child in given.get("item", []):
            _collect(child, answers, repeating)
