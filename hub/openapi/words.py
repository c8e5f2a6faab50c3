"""The sentences of the document, from `words.toml`: Japanese, then English."""

import tomllib
from functools import cache
from importlib.resources import files


def say(area: str, name: str) -> str:
    """`日本語 / English`; the name itself where nobody wrote a sentence."""
    row = _table().get(area, {}).get(name)
    if row is None:
        return name
    mark = "\n\n" if "\n" in row["ja"] else " / "
    return f"{row['ja']}{mark}{row['en']}"


def known(area: str) -> tuple[str, ...]:
    """The names that have a sentence in an area."""
    return tuple(_table()[area])


@cache
def _table() -> dict[str, dict[str, dict[str, str]]]:
    return tomllib.loads(files("hub.openapi").joinpath("words.toml").read_text("utf-8"))
