"""Forms and answers for the tests of the questionnaires."""

from pathlib import Path
from typing import Any

from hub.fhir import canonical
from hub.fhir.answers import answer
from hub.fhir.json import Resource
from hub.packages import Packages

REPOSITORY = Path(__file__).parent.parent.parent
PACKAGES = Packages.load(REPOSITORY / "profiles")


def a_questionnaire(form: str) -> Resource:
    found = PACKAGES.questionnaire(canonical.questionnaire(form))
    assert found
    return found


K1, K5_2, LL = a_questionnaire("k1"), a_questionnaire("k5-2"), a_questionnaire("ll")


def _items(node: Resource) -> Any:
    for item in node.get("item", []):
        yield item
        yield from _items(item)


ITEMS = {item["linkId"]: item for form in (K1, K5_2, LL) for item in _items(form)}


def chosen(link: str, code: str) -> Resource:
    """The answer of a choice item by its code."""
    options = [o["valueCoding"] for o in ITEMS[link]["answerOption"]]
    return {"valueCoding": next(o for o in options if o["code"] == code)}


def written(text: str) -> Resource:
    """A choice that could not be read."""
    return answer("valueCoding", None, text)


def an_answers(**over: Any) -> dict[str, Any]:
    """A form where the person was told and consents."""
    return {
        "k1.name": [answer("valueString", "試験 太郎", "試験　太郎")],
        "k1.explained": [chosen("k1.explained", "explained-person")],
        "k1.consent": [chosen("k1.consent", "consent-person")],
        **over,
    }
