"""A source that is not in the directory, told by a small JSON object."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from hub.directory.address import resolve
from hub.directory.gazetteer import Gazetteer
from hub.directory.values import HOSPITALS, KINDS, Organisation
from hub.fhir.outcome import FhirError, issue, require_none

_REQUIRED = ("organizationCode", "name", "kind", "municipality", "programme")

# What people write for a kind, beside the codes and their printed names.
_WORDS: Mapping[str, str] = {
    "emergency": "emergency-hospital",
    "救急告示": "emergency-hospital",
    "救急告示病院": "emergency-hospital",
    "救急": "emergency-hospital",
    "cooperating": "cooperating-hospital",
    "協力": "cooperating-hospital",
    "協力病院": "cooperating-hospital",
    "psychiatric": "psychiatric-hospital",
    "精神科": "psychiatric-hospital",
    "精神科病院": "psychiatric-hospital",
    "other": "other-hospital",
    "その他": "other-hospital",
    "その他の病院": "other-hospital",
    "counselling": "counselling-provider",
    "provider": "counselling-provider",
    "SNS相談事業者": "counselling-provider",
    "相談事業者": "counselling-provider",
    **{display: code for code, display in KINDS.items()},
    **{code: code for code in KINDS},
}


def source_from_json(value: Any, gazetteer: Gazetteer) -> Organisation:
    """An ad-hoc source as an Organisation.

    Keys: `organizationCode`, `name`, `kind` (a code, or its Japanese word),
    `municipality` (5- or 6-digit code, or a name), `programme` (id), and, when
    known, `wordingVersion`. Raises FhirError HUB-DIR-010, -011 (400) with every
    key that is missing or wrong.
    """
    if not isinstance(value, Mapping):
        raise FhirError(issue("HUB-DIR-011", key="(JSON)", expected="object"))
    texts = {key: _text(value.get(key)) for key in (*_REQUIRED, "wordingVersion")}
    kind = _kind(texts["kind"])
    municipality = _municipality(texts["municipality"], gazetteer)
    found = [issue("HUB-DIR-010", key, key=key) for key in _REQUIRED if not texts[key]]
    if texts["kind"] and kind is None:
        expected = " | ".join(sorted(HOSPITALS))
        found.append(issue("HUB-DIR-011", "kind", key="kind", expected=expected))
    if texts["municipality"] and municipality is None:
        found.append(
            issue(
                "HUB-DIR-011",
                "municipality",
                key="municipality",
                expected="JIS X 0402",
            )
        )
    require_none(found)
    return Organisation(
        code=texts["organizationCode"],
        name=texts["name"],
        kind=kind or "",
        municipality=municipality,
        programmes=(texts["programme"],),
        wording_version=texts["wordingVersion"] or None,
    )


def _text(value: Any) -> str:
    # JSON writers like to make a code a number.
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value).strip()
    return ""


def _kind(written: str) -> str | None:
    folded = unicodedata.normalize("NFKC", written).strip()
    return _WORDS.get(folded) or _WORDS.get(folded.lower())


def _municipality(written: str, gazetteer: Gazetteer) -> str | None:
    digits = unicodedata.normalize("NFKC", written)
    if digits.isascii() and digits.isdigit():
        # A leading zero is lost when the code was a number.
        return gazetteer.municipality(digits) or gazetteer.municipality(f"0{digits}")
    return resolve(gazetteer, written).municipality
