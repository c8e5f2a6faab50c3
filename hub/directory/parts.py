"""The parts of an address whose text names its municipality (handbook §5.1)."""

import re

from hub.directory.address import Resolved
from hub.directory.gazetteer import Gazetteer
from hub.fhir.canonical import MUNICIPALITY, MUNICIPALITY_CODES
from hub.fhir.json import Resource

_SPACES = re.compile(r"\s+")


def parts(gazetteer: Gazetteer, text: str, resolved: Resolved) -> Resource:
    """FHIR Address elements beside `text`: state, city, line, municipality code.

    Only what the text itself says: nothing from a postal code or from where the
    source stands. `city` is county and municipality (JP Core); of a ward, which
    belongs into it, no city is made. `line` is the rest without spaces, given when
    the text begins with the full name.
    """
    if resolved.by != "text" or resolved.municipality is None:
        return {}
    code, name = resolved.municipality, gazetteer.name(resolved.municipality)
    _, length = gazetteer.begins_with_prefecture(name)
    coding = {"system": MUNICIPALITY_CODES, "code": code}
    made: Resource = {
        "extension": [{"url": MUNICIPALITY, "valueCoding": coding}],
        "state": name[:length],
        "country": "JP",
    }
    if resolved.ward is None:
        made["city"] = name[length:]
        written = _SPACES.sub("", text)
        if written.startswith(name) and written != name:
            made["line"] = [written[len(name) :]]
    return made
