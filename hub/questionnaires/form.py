"""A Questionnaire, read once: its items by linkId, and what their marks mean.

Marks are extensions under the hub's root; SDC's own are used where they exist:

- `form-role` on an item: whose fact this is (`person-name`, `consent`, …);
- `form-part` on a child: it is the `text` or a `component` of its parent's finding;
- `form-extract` on an item: the resource it becomes (Condition, Encounter, …);
- `form-weekday-of`: the date item whose weekday this repeats;
- on an option `form-party` (person, family, nobody), `form-priority`, and
  `form-maps-to`, the coding it has in another system;
- SDC `observationExtract` with `item.code`: the item becomes an Observation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub.fhir.canonical import ROOT
from hub.fhir.json import Resource

ROLE = f"{ROOT}/StructureDefinition/form-role"
PART = f"{ROOT}/StructureDefinition/form-part"
EXTRACT = f"{ROOT}/StructureDefinition/form-extract"
WEEKDAY_OF = f"{ROOT}/StructureDefinition/form-weekday-of"
PARTY = f"{ROOT}/StructureDefinition/form-party"
PRIORITY = f"{ROOT}/StructureDefinition/form-priority"
MAPS_TO = f"{ROOT}/StructureDefinition/form-maps-to"
EXCLUSIVE = "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive"
MAX_OCCURS = "http://hl7.org/fhir/StructureDefinition/questionnaire-maxOccurs"
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
OBSERVATION = f"{_SDC}observationExtract"
OBSERVATION_CATEGORY = f"{_SDC}observation-extract-category"


@dataclass(frozen=True, slots=True)
class Form:
    """`items` are by linkId in the order of the form; `parents` name the item above.

    `roles` gives the linkId of a role.
    """

    url: str
    items: Mapping[str, Resource]
    parents: Mapping[str, str]
    roles: Mapping[str, str]

    def role(self, name: str) -> str | None:
        return self.roles.get(name)

    def label(self, link: str) -> str:
        """How a message names an item: its printed text, or its linkId."""
        return str(self.items[link].get("text") or link)


_kept: dict[int, tuple[Resource, Form]] = {}
_MOST_KEPT = 64  # more Questionnaires than any hub serves


def form(questionnaire: Resource) -> Form:
    """Read a Questionnaire, each object once: nobody changes one that was read."""
    found = _kept.get(id(questionnaire))
    if found is None or found[0] is not questionnaire:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        found = _kept[id(questionnaire)] = (questionnaire, _read(questionnaire))
    return found[1]


def _read(questionnaire: Resource) -> Form:
    items: dict[str, Resource] = {}
    parents: dict[str, str] = {}
    roles: dict[str, str] = {}
    for item, parent in _walk(questionnaire, None):
        link = item["linkId"]
        items[link] = item
        if parent is not None:
            parents[link] = parent
        if role := mark(item, ROLE):
            roles[role] = link
    return Form(questionnaire["url"], items, parents, roles)


def _walk(node: Resource, parent: str | None) -> Iterator[tuple[Resource, str | None]]:
    for item in node.get("item", []):
        yield item, parent
        yield from _walk(item, item["linkId"])


def marks(element: Mapping[str, Any], url: str) -> list[Any]:
    """The values of an element's extensions with this url, in order."""
    return [
        value
        for extension in element.get("extension", [])
        if extension["url"] == url
        for key, value in extension.items()
        if key.startswith("value")
    ]


def mark(element: Mapping[str, Any], url: str) -> Any:
    """The first such value, or None."""
    return next(iter(marks(element, url)), None)


def option(item: Resource, code: str | None) -> Resource | None:
    """The answerOption of a code; None when the form does not print it."""
    return next(
        (o for o in item.get("answerOption", []) if _option_code(o) == code), None
    )


def _option_code(one: Resource) -> Any:
    coding = one.get("valueCoding")
    return coding.get("code") if coding else one.get("valueString")


def maps_to(item: Resource, code: str | None, system: str) -> Resource | None:
    """The coding an option has in `system`, when the form states one."""
    found = option(item, code) or {}
    return next((c for c in marks(found, MAPS_TO) if c["system"] == system), None)
