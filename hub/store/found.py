"""What the emitters find in a resource: index rows, by table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hub.store.folding import fold

Row = dict[str, Any]

PREFIX = 100  # folded characters that the index of strings holds


@dataclass(slots=True)
class Found:
    """Rows without `key` and `n`, by table; `base_url` is the hub's own FHIR base."""

    base_url: str
    token: list[Row] = field(default_factory=list)
    string: list[Row] = field(default_factory=list)
    reference: list[Row] = field(default_factory=list)
    date: list[Row] = field(default_factory=list)
    quantity: list[Row] = field(default_factory=list)
    uri: list[Row] = field(default_factory=list)
    composite: list[Row] = field(default_factory=list)
    _folded: dict[str, Row] = field(default_factory=dict)
    _said: set[tuple[int, str]] = field(default_factory=set)

    def say(self, parameter: int, text: str) -> None:
        """A row of the index of strings; the same words once for a parameter.

        A form's code says its words as display and as text, under several parameters.
        """
        if (parameter, text) in self._said:
            return
        self._said.add((parameter, text))
        if text not in self._folded:
            self._folded[text] = _words(text)
        self.string.append({"parameter": parameter, **self._folded[text]})


Emit = Callable[[Any, Found], None]


def _words(text: str) -> Row:
    folded = fold(text)
    return {
        "value": folded[:PREFIX],
        "rest": folded if len(folded) > PREFIX else None,
        "exact": text if text != folded else None,
    }
