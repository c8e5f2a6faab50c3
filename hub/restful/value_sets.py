"""The codes of a value set, for `:in`: R4's required ones, and those of `profiles/`."""

from collections.abc import Collection, Mapping

from hub.fhir.json import Resource
from hub.packages import Packages
from hub.terminology import codes
from hub.terminology.expand import NotHeldError, concepts, expand


def find_codes(packages: Packages, url: str) -> Mapping[str, Collection[str]] | None:
    """{system: codes} of a value set's canonical; None when it is not held here.

    The URL that a CodeSystem names as its `valueSet`, and its own, mean all of it.
    """
    canonical = url.partition("|")[0]
    held = codes(canonical)
    if held is not None:
        return held
    known = {found["url"]: found for found in packages.all()}
    found = known.get(canonical) or _whole(packages, canonical)
    if found is None:
        return None
    if found["resourceType"] == "CodeSystem":
        return {found["url"]: [concept["code"] for concept, _ in concepts(found)]}
    try:
        return expand(found, known.get)
    except NotHeldError:
        return None


def _whole(packages: Packages, canonical: str) -> Resource | None:
    systems = packages.all("CodeSystem")
    return next((one for one in systems if one.get("valueSet") == canonical), None)
