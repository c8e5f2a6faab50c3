"""What is read from `profiles/` once, at the start, and held in memory.

Questionnaires, code systems and the layouts of sheets are data that a programme
brings with it: they lie in `profiles/` and in `profiles/programmes/<id>/`, or in
another folder of the same shape that is handed in.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from hub.fhir.json import Resource
from hub.fhir.outcome import code_system

_ARTEFACTS = (
    "codesystems",
    "questionnaires",
    "valuesets",
    "conceptmaps",
    "operationdefinitions",
    "subscriptiontopics",
)
# Named by its canonical alone: R4 has no such type (R5 Backport).
_NOT_OF_R4 = ("SubscriptionTopic",)


class PackagesError(Exception):
    """A file of `profiles/` is missing or broken: the hub cannot start."""


@dataclass(frozen=True, slots=True)
class Packages:
    """Everything read from `profiles/`. Shared by all requests: never change it.

    `_artefacts` is by canonical URL; `_displays` by (system, code); `_layouts` holds
    the sheet layouts as their TOML tables, by mapping name.
    """

    _artefacts: Mapping[str, Resource]
    _displays: Mapping[tuple[str, str], str]
    _layouts: Mapping[str, Mapping[str, Any]]

    @classmethod
    def load(cls, root: Path, *more: Path) -> "Packages":
        """Read `root` (a `profiles` folder) and further folders of the same shape.

        Raises PackagesError, with the file's path, when `root` is not there, a file
        cannot be read, an artefact has no url, or two have the same.
        """
        if not root.is_dir():
            raise PackagesError(f"profiles folder not found: {root}")
        folders = [f for top in (root, *more) for f in _folders(top)]
        own = code_system()  # the one artefact that is not a file
        artefacts: dict[str, Resource] = {own["url"]: own}
        for path in _files(folders, _ARTEFACTS, ".json"):
            resource = _artefact(path)
            if resource["url"] in artefacts:
                raise PackagesError(f"{path}: {resource['url']} exists twice")
            artefacts[resource["url"]] = resource
        return cls(
            MappingProxyType(artefacts),
            MappingProxyType(dict(_all_displays(artefacts.values()))),
            MappingProxyType(dict(_all_layouts(folders))),
        )

    def questionnaire(self, url: str) -> Resource | None:
        """The Questionnaire of a canonical, with or without `|version`; else None."""
        return self._find("Questionnaire", url)

    def code_system(self, url: str) -> Resource | None:
        """The CodeSystem of a canonical, with or without `|version`; else None."""
        return self._find("CodeSystem", url)

    def display(self, system: str, code: str) -> str | None:
        """The Japanese words of a code; None when system or code is not ours."""
        return self._displays.get((system, code))

    def layouts(self) -> Mapping[str, Mapping[str, Any]]:
        """Sheet layouts by mapping name, as written in their TOML files."""
        return self._layouts

    def all(self, resource_type: str | None = None) -> list[Resource]:
        """Every artefact, or those of one type, in the order of their canonicals."""
        return [
            resource
            for _, resource in sorted(self._artefacts.items())
            if resource_type in {None, resource["resourceType"]}
        ]

    def published(self, resource_type: str | None = None) -> list[Resource]:
        """`all` of R4, each with the id under which it is read: the end of its url."""
        return [
            {**resource, "id": resource["url"].rpartition("/")[2]}
            for resource in self.all(resource_type)
            if resource["resourceType"] not in _NOT_OF_R4
        ]

    def _find(self, resource_type: str, url: str) -> Resource | None:
        canonical, _, version = url.partition("|")
        found = self._artefacts.get(canonical)
        if found is None or found["resourceType"] != resource_type:
            return None
        return found if version in {"", found.get("version", "")} else None


def _folders(top: Path) -> Iterator[Path]:
    yield top
    yield from sorted(p for p in top.glob("programmes/*") if p.is_dir())
    # A folder of programmes handed in alone: <folder>/<id>/programme.toml.
    yield from sorted(p.parent for p in top.glob("*/programme.toml"))


def _files(folders: list[Path], names: tuple[str, ...], suffix: str) -> Iterator[Path]:
    for folder in folders:
        for name in names:
            yield from sorted(folder.glob(f"{name}/*{suffix}"))


def _artefact(path: Path) -> Resource:
    try:
        resource = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PackagesError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(resource, dict) or not {"resourceType", "url"} <= resource.keys():
        raise PackagesError(f"{path}: no resourceType or no url")
    return resource


def _all_layouts(folders: list[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    seen: set[str] = set()
    for path in _files(folders, ("mappings",), ".toml"):
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise PackagesError(f"{path}: cannot be read as TOML: {error}") from error
        name = table.get("mapping")
        if not isinstance(name, str) or name in seen:
            raise PackagesError(f"{path}: `mapping` is missing or exists twice")
        seen.add(name)
        yield name, table


def _all_displays(
    artefacts: Iterable[Resource],
) -> Iterator[tuple[tuple[str, str], str]]:
    for artefact in artefacts:
        if artefact["resourceType"] == "CodeSystem":
            for code, display in _concepts(artefact.get("concept", [])):
                yield (artefact["url"], code), display


def _concepts(concepts: list[Any]) -> Iterator[tuple[str, str]]:
    for concept in concepts:
        yield concept["code"], concept.get("display", concept["code"])
        yield from _concepts(concept.get("concept", []))
