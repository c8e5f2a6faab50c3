"""Read a TOML table key by key; every fault names the file and the key."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from hub.fhir.outcome import FhirError, issue

_ABSENT = object()


class Table:
    """One table of a programme file. `close` refuses the keys nobody asked for."""

    def __init__(self, values: Mapping[str, Any], file: str, path: str = "") -> None:
        self._values = values
        self._file = file
        self._path = path
        self._asked: set[str] = set()

    def text(self, key: str) -> str:
        value: str = self._typed(key, str, "text")
        return value

    def text_or_none(self, key: str) -> str | None:
        return self.text(key) if key in self._values else None

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._items(key, str, "list of text"))

    def numbers(self, key: str) -> tuple[int, ...]:
        return tuple(self._items(key, int, "list of whole numbers"))

    def number(self, key: str, default: int) -> int:
        return self._typed(key, int, "whole number") if key in self else default

    def flag(self, key: str, *, default: bool = False) -> bool:
        return self._typed(key, bool, "true | false") if key in self else default

    def one_of(self, key: str, choices: Collection[str], default: str = "") -> str:
        value = self.text(key) if key in self or not default else default
        if value not in choices:
            raise self.bad(key, " | ".join(choices))
        return value

    def day(self, key: str) -> date:
        value: date = self._typed(key, date, "YYYY-MM-DD")
        # datetime is a date for isinstance, but not for comparing.
        if isinstance(value, datetime):
            raise self.bad(key, "YYYY-MM-DD")
        return value

    def day_or_none(self, key: str) -> date | None:
        return self.day(key) if key in self else None

    def table(self, key: str) -> "Table":
        values = self._typed(key, dict, "table")
        return Table(values, self._file, f"{self._path}{key}.")

    def tables(self, key: str) -> list["Table"]:
        """An array of tables; an absent one is empty."""
        items = self._items(key, dict, "list of tables") if key in self else []
        return [
            Table(item, self._file, f"{self._path}{key}[{n}].")
            for n, item in enumerate(items)
        ]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def close(self) -> None:
        """HUB-PROG-015 for a key that means nothing: most likely a slip."""
        for key in self._values:
            if key not in self._asked:
                raise self._fault("HUB-PROG-015", key)

    def bad(self, key: str, expected: str) -> FhirError:
        return self._fault("HUB-PROG-013", key, expected)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def _typed(self, key: str, kind: type[Any], expected: str) -> Any:
        self._asked.add(key)
        value = self._values.get(key, _ABSENT)
        if value is _ABSENT:
            raise self._fault("HUB-PROG-012", key)
        if not _is(value, kind):
            raise self.bad(key, expected)
        return value

    def _items(self, key: str, kind: type[Any], expected: str) -> list[Any]:
        items: list[Any] = self._typed(key, list, expected)
        if not all(_is(item, kind) for item in items):
            raise self.bad(key, expected)
        return items

    def _fault(self, id_: str, key: str, expected: str = "") -> FhirError:
        name = f"{self._path}{key}"
        return FhirError(issue(id_, file=self._file, key=name, expected=expected))


def _is(value: Any, kind: type[Any]) -> bool:
    # TOML's true is not a number, though Python's True is an int.
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))
