"""Expand R4 value sets from the code systems at hand. Used when tables are built."""

from collections.abc import Callable, Iterator
from typing import Any

Resource = dict[str, Any]
Expansion = dict[str, list[str]]
Find = Callable[[str], Resource | None]


class NotHeldError(Exception):
    """The value set names codes that are not in the packages at hand."""


def expand(value_set: Resource, find: Find) -> Expansion:
    """All codes of a value set as {system: sorted codes}.

    `find` gives a CodeSystem or ValueSet by its URL without version. Raises
    NotHeldError when a system is absent, incomplete, or filtered in a way that is
    not understood: such a value set can not be checked.
    """
    found: dict[str, set[str]] = {}
    compose = value_set.get("compose", {})
    for part in compose.get("include", []):
        for system, code in _part(part, find):
            found.setdefault(system, set()).add(code)
    for part in compose.get("exclude", []):
        for system, code in _part(part, find):
            found.get(system, set()).discard(code)
    if not any(found.values()):
        raise NotHeldError(value_set.get("url", ""))
    return {system: sorted(codes) for system, codes in sorted(found.items())}


def concepts(code_system: Resource) -> Iterator[tuple[Resource, tuple[str, ...]]]:
    """Every concept of a code system with the codes of its ancestors."""
    top = reversed(code_system.get("concept", []))
    stack: list[tuple[Resource, tuple[str, ...]]] = [(concept, ()) for concept in top]
    while stack:
        concept, above = stack.pop()
        yield concept, above
        below = (*above, concept["code"])
        stack.extend((c, below) for c in reversed(concept.get("concept", [])))


def _part(part: Resource, find: Find) -> Iterator[tuple[str, str]]:
    if "system" not in part:
        for url in part.get("valueSet", []):
            value_set = find(url.split("|")[0])
            if value_set is None:
                raise NotHeldError(url)
            for system, codes in expand(value_set, find).items():
                yield from ((system, code) for code in codes)
        return
    if "valueSet" in part:
        raise NotHeldError(part["system"])
    for code in _codes(part, find):
        yield part["system"], code


def _codes(part: Resource, find: Find) -> Iterator[str]:
    if "concept" in part:
        yield from (concept["code"] for concept in part["concept"])
        return
    system = find(part["system"])
    if system is None or system.get("content") != "complete":
        raise NotHeldError(part["system"])
    for concept, above in concepts(system):
        if all(_passes(f, concept, above) for f in part.get("filter", [])):
            yield concept["code"]


def _passes(rule: Resource, concept: Resource, above: tuple[str, ...]) -> bool:
    if rule["property"] != "concept":
        raise NotHeldError(rule["property"])
    ancestors = {*above, *_parents(concept)}
    if rule["op"] == "is-a":
        return concept["code"] == rule["value"] or rule["value"] in ancestors
    if rule["op"] == "descendent-of":
        return rule["value"] in ancestors
    raise NotHeldError(rule["op"])


def _parents(concept: Resource) -> Iterator[str]:
    for item in concept.get("property", []):
        if item["code"] in {"subsumedBy", "parent"}:
            yield item["valueCode"]
