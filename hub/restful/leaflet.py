"""What a refusal for want of consent answers with: the programme's leaflet (KG-04)."""

from collections.abc import Iterable
from typing import Any

from hub.fhir.outcome import Issue, issue
from hub.programmes.programme import Leaflet

# No consent at all, none in force, or the person said no.
_NOBODY_CONSENTS = frozenset({"HUB-CON-001", "HUB-CON-002", "HUB-CON-006"})


def is_due(issues: Iterable[Issue]) -> bool:
    """True when the refusal says that neither the person nor the family consents."""
    return any(found.id in _NOBODY_CONSENTS for found in issues)


def to_json(leaflet: Leaflet) -> dict[str, Any]:
    """`title`, `text`, `desks` (`name`, `telephone`), and `english` of the same."""
    return {
        "title": leaflet.title.ja,
        "text": leaflet.text.ja.strip(),
        "desks": [
            {"name": desk.name.ja, "telephone": desk.telephone}
            for desk in leaflet.desks
        ],
        "english": {
            "title": leaflet.title.en,
            "text": leaflet.text.en.strip(),
            "desks": [
                {"name": desk.name.en, "telephone": desk.telephone}
                for desk in leaflet.desks
            ],
        },
    }


def to_issue(leaflet: Leaflet) -> Issue:
    """The leaflet as an information issue beside the refusal."""
    told = to_json(leaflet)
    return issue(
        "HUB-REST-030",
        severity="information",
        leaflet=_plain(told, "：", "、"),
        english=_plain(told["english"], ": ", ", "),
    )


def _plain(told: dict[str, Any], colon: str, comma: str) -> str:
    desks = comma.join(
        " ".join(filter(None, (desk["name"], desk["telephone"])))
        for desk in told["desks"]
    )
    return f"{told['title']}{colon}{' '.join(told['text'].split())} {desks}".strip()
