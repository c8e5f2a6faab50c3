"""The search parameters the store can index, read from `search_parameters.json`."""

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b
from importlib.resources import files
from typing import Any
from zlib import crc32

from hub.fhir.search import Declared, Parameter

_LONGEST = 200  # characters of a value that an index entry holds as it is


@dataclass(frozen=True, slots=True)
class Definition:
    """A parameter of one type with where its values stand (`build.build`).

    The numbers stand for it in the index tables: of its own rows, of the rows of
    `:text`, of `:identifier` and of `:of-type`.
    """

    parameter: Parameter
    paths: tuple[dict[str, Any], ...]
    number: int
    text_number: int
    identifier_number: int
    of_type_number: int


@cache
def definitions() -> dict[str, dict[str, Definition]]:
    """{type: {code: Definition}} of every served type."""
    return {
        resource_type: _definitions(resource_type, rows)
        for resource_type, rows in _table()["parameters"].items()
    }


@cache
def declared() -> Declared:
    """{type: {code: Parameter}}: what `search.parse` and the capabilities need."""
    return {
        resource_type: {code: found.parameter for code, found in rows.items()}
        for resource_type, rows in definitions().items()
    }


def compartments() -> dict[str, dict[str, list[str]]]:
    """{compartment: {type: [code]}}: by which parameters a type is in it (R4)."""
    found: dict[str, dict[str, list[str]]] = _table()["compartments"]
    return found


def unsupported() -> dict[str, list[str]]:
    """{type: [code]} of R4 parameters the store cannot index."""
    found: dict[str, list[str]] = _table()["unsupported"]
    return found


@lru_cache(maxsize=4096)
def system_number(uri: str) -> int:
    """64 bits of a system's URI, 0 for none: system URIs outweigh the codes."""
    if not uri:
        return 0
    return int.from_bytes(
        blake2b(uri.encode(), digest_size=8).digest(), "big", signed=True
    )


def bounded(text: str) -> str:
    """The text itself, or its head and a digest: PostgreSQL refuses long entries."""
    if len(text) <= _LONGEST:
        return text
    return text[:100] + blake2b(text.encode(), digest_size=32).hexdigest()


@cache
def _table() -> dict[str, Any]:
    source = files("hub.store").joinpath("search_parameters.json")
    table: dict[str, Any] = json.loads(source.read_text("utf-8"))
    return table


def _definitions(
    resource_type: str, rows: list[dict[str, Any]]
) -> dict[str, Definition]:
    # `name` and `phonetic` read the same elements: one set of rows serves both.
    first: dict[str, str] = {}
    result = {}
    for row in rows:
        same = first.setdefault(json.dumps([row["type"], row["paths"]]), row["code"])
        components = row.get("components", ())
        parameter = Parameter(
            row["code"],
            row["type"],
            tuple(row.get("targets", ())),
            tuple(Parameter(part["code"], part["type"]) for part in components),
            any(path["as"] == "Identifier" for path in row["paths"]),
        )
        numbers = (
            _number(f"{resource_type}.{same}:{aspect}")
            for aspect in ("", "text", "identifier", "of-type")
        )
        result[row["code"]] = Definition(parameter, tuple(row["paths"]), *numbers)
    return result


def _number(name: str) -> int:
    # Computed from the name, so that a new parameter renumbers nothing; a test
    # proves that no two names meet. 31 bits: PostgreSQL's INTEGER is signed.
    return crc32(name.encode()) >> 1
