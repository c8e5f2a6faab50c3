"""Codes: which belong to a value set, and whether one of our systems holds a code.

The required value sets of R4 are a committed table (see `hub.validation.build`);
the hub's own code systems come from the packages in `profiles/`, handed in.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from hub.fhir.canonical import ROOT
from hub.terminology.expand import concepts

Resource = dict[str, Any]
Codes = Mapping[str, frozenset[str]]


class Packages(Protocol):
    """What is needed of `hub.packages`: a CodeSystem by its URL."""

    def code_system(self, url: str, /) -> Resource | None: ...


def codes(value_set: str) -> Codes | None:
    """The codes of an R4 value set as {system: codes}; None when it is not held.

    `value_set` is a canonical without version. Only value sets that R4 binds as
    required are held, and of these not the open ones (MIME types, currencies, UCUM).
    """
    held = _value_sets().get(value_set)
    return None if held is None else _frozen(value_set)


@cache
def resource_types() -> frozenset[str]:
    """The names of all R4 resource types that can be instantiated."""
    held = codes("http://hl7.org/fhir/ValueSet/resource-types") or {}
    return frozenset().union(*held.values()) - {"Resource", "DomainResource"}


def validate_code(value_set: str, code: str, system: str | None = None) -> bool | None:
    """Whether a value set holds a code (of `system`, if given); None: not held here."""
    held = codes(value_set)
    if held is None:
        return None
    if system is not None:
        return code in held.get(system, frozenset())
    return any(code in part for part in held.values())


def is_ours(system: str) -> bool:
    """True for the URL of a code system the hub itself defines."""
    return system.startswith(ROOT + "/CodeSystem/")


def system_codes(packages: Packages, system: str) -> frozenset[str] | None:
    """All codes of a code system in the packages; None when there is no such system."""
    # Packages are loaded once and frozen: their CodeSystems can be kept by identity.
    code_system = packages.code_system(system)
    if code_system is None:
        return None
    kept = _SYSTEMS.get(system)
    if kept is None or kept[0] is not code_system:
        found = frozenset(concept["code"] for concept, _ in concepts(code_system))
        kept = _SYSTEMS[system] = (code_system, found)
    return kept[1]


_SYSTEMS: dict[str, tuple[Resource, frozenset[str]]] = {}


def not_held() -> Iterator[str]:
    """The required value sets whose codes are open or published elsewhere."""
    yield from (url for url, held in _value_sets().items() if held is None)


@cache
def _value_sets() -> dict[str, dict[str, list[str]] | None]:
    table: dict[str, dict[str, list[str]] | None] = json.loads(
        files("hub.terminology").joinpath("valuesets.json").read_bytes()
    )
    return table


@cache
def _frozen(value_set: str) -> Codes:
    held = _value_sets()[value_set] or {}
    return {system: frozenset(found) for system, found in held.items()}
