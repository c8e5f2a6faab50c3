"""What every extraction needs: the answers of one response, and its references."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from hub.fhir.answers import Answers, code_of, text_of, value_of
from hub.fhir.canonical import RESOURCE_ID
from hub.fhir.json import Resource
from hub.questionnaires.form import EXCLUSIVE, EXTRACT, Form, mark, option


@dataclass(frozen=True, slots=True)
class Context:
    """One response: references to it, its patient, encounter and source; `authored`
    is an instant.
    """

    form: Form
    answers: Answers
    response: str
    patient: str
    encounter: str | None
    authored: str
    source: str | None

    def new_id(self, link: str, index: int) -> str:
        """The same response gives the same ids, so extracting twice adds nothing."""
        name = f"{RESOURCE_ID}|{self.response}|{link}|{index}"
        return str(uuid5(NAMESPACE_URL, name))

    def given(self, link: str | None) -> list[Resource]:
        return self.answers.get(link, []) if link else []

    def text(self, link: str | None) -> str:
        return "・".join(text_of(a) for a in self.given(link))

    def when(self) -> str:
        """The day of the visit, else the moment of the response."""
        link = self.form.role("visit-date")
        day = next((value_of(a) for a in self.given(link)), None)
        return str(day) if day else self.authored


def extracts(item: Resource) -> Iterator[dict[str, Any]]:
    """The `form-extract` marks of an item, each as {name: value or extensions}."""
    for extension in item.get("extension", []):
        if extension["url"] == EXTRACT:
            yield {
                part["url"]: part.get("extension")
                or next(v for k, v in part.items() if k.startswith("value"))
                for part in extension["extension"]
            }


def belongs(child: Resource, answer: Resource, item: Resource) -> bool:
    """True when a child is asked for because of this answer."""
    wanted = {
        when["answerCoding"]["code"]
        for when in child.get("enableWhen", [])
        if when["question"] == item["linkId"] and "answerCoding" in when
    }
    return not wanted or code_of(answer) in wanted


def excludes(item: Resource, answer: Resource) -> bool:
    """True for the answer that means "none of these" or "not done"."""
    printed = option(item, code_of(answer))
    return printed is not None and bool(mark(printed, EXCLUSIVE))
