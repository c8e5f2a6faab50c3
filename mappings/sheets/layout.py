"""What the columns of a sheet mean: a layout's TOML table with its Questionnaire."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from mappings.japanese import fold

Kind = Literal[
    "text", "name", "kana", "date", "phone", "postal", "choice", "boolean",
    "municipality",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """The printed words of one choice, folded, and what they stand for.

    `words` gives a Coding (`true`/`false` for a yes-no box); `bracket` names, by
    code, the item its bracket belongs to, and `bracket_label` the word printed in
    front of that text; `wrap` are words whose bracket holds the answers, with the
    label printed inside; `uncoded` words say something that has no code. `every` is
    true when all choices may hold at once.
    """

    words: Mapping[str, Any]
    repeats: bool
    options: int
    bracket: Mapping[str, str] = field(default_factory=dict)
    bracket_label: Mapping[str, str] = field(default_factory=dict)
    wrap: Mapping[str, str] = field(default_factory=dict)
    uncoded: frozenset[str] = frozenset()
    every: bool = False

    def word(self, code: str) -> str | None:
        """The first printed word of a code: how it is written out."""
        return next(
            (w for w, c in self.words.items() if isinstance(c, dict) and
             c.get("code") == code), None,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `headers` as printed, the first is the one written out.

    Its cell fills item `link` or the extra `extra`. `printed` columns stand on the
    printed sheet; `optional` ones are not missed.
    """

    headers: tuple[str, ...]
    kind: Kind
    link: str | None = None
    extra: str | None = None
    printed: bool = True
    optional: bool = False
    consent: bool = False
    weekday: str | None = None
    wish: frozenset[str] = frozenset()

    @property
    def header(self) -> str:
        return self.headers[0]


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of sheet. `form` is the form's id (`k1`), `choices` are by linkId."""

    mapping: str
    form: str
    title: str
    columns: tuple[Column, ...]
    choices: Mapping[str, Choice]
    headings: frozenset[str]
    known: Mapping[str, Column]
    repeating: frozenset[str]

    def find(self, header: str) -> Column | None:
        """The column of a header; spaces and width do not matter."""
        return self.known.get(fold(header))


def best(layouts: Sequence[Layout], texts: Sequence[str]) -> tuple[Layout, int]:
    """The layout that knows most of these texts, and how many.

    Its own headers count before other names for them. Raises FhirError HUB-SHEET-019
    when two layouts know them equally well: the caller must name one.
    """
    scores = sorted(
        ((_score(one, texts), n) for n, one in enumerate(layouts)), reverse=True
    )
    (known, own), first = scores[0]
    if known and len(scores) > 1 and scores[1][0] == (known, own):
        raise FhirError(issue("HUB-SHEET-019"))
    return layouts[first], known


def _score(one: Layout, texts: Sequence[str]) -> tuple[int, int]:
    found = [(column, text) for text in texts if (column := one.find(text))]
    return len(found), sum(fold(c.header) == fold(text) for c, text in found)


def layout(table: Mapping[str, Any], questionnaire: Resource) -> Layout:
    """Build a Layout from its TOML table and the Questionnaire of its form.

    Raises ValueError, naming the column, when the table does not fit the form.
    """
    items = {item["linkId"]: item for item in _items(questionnaire)}
    columns = tuple(_column(row, items) for row in table["column"])
    known: dict[str, Column] = {}
    for column in columns:
        for header in column.headers:
            if known.setdefault(fold(header), column) is not column:
                raise ValueError(f"{table['mapping']}: header {header} twice")
    return Layout(
        mapping=table["mapping"],
        form=table["form"],
        title=table["title"],
        columns=columns,
        choices=_choices(table, items),
        headings=frozenset(fold(h) for h in table.get("headings", ())),
        known=known,
        repeating=frozenset(k for k, i in items.items() if i.get("repeats")),
    )


def _items(parent: Resource) -> Iterator[Resource]:
    for item in parent.get("item", []):
        yield item
        yield from _items(item)


def _column(row: Mapping[str, Any], items: Mapping[str, Resource]) -> Column:
    link = row.get("link")
    if link is not None and link not in items:
        raise ValueError(f"column {row['headers'][0]}: the form has no item {link}")
    wish = row.get("wish")
    return Column(
        headers=tuple(row["headers"]),
        kind=row["kind"],
        link=link,
        extra=row.get("extra"),
        printed=row.get("printed", True),
        optional=row.get("optional", False),
        consent=row.get("consent", False),
        weekday=row.get("weekday"),
        wish=frozenset(fold(wish + end) for end in row.get("wish_endings", [""]))
        if wish
        else frozenset(),
    )


def _choices(
    table: Mapping[str, Any], items: Mapping[str, Resource]
) -> dict[str, Choice]:
    rows = {row["link"]: row for row in table["column"] if "link" in row}
    found: dict[str, Choice] = {}
    for link, item in items.items():
        row = rows.get(link, {})
        if item["type"] == "choice":
            found[link] = _choice(row, item)
        elif item["type"] == "boolean":
            found[link] = Choice(_booleans(row), repeats=False, options=2)
    return found


def _booleans(row: Mapping[str, Any]) -> dict[str, bool]:
    return {fold(w): v == "true" for w, v in row.get("words", {}).items()}


def _choice(row: Mapping[str, Any], item: Resource) -> Choice:
    codings = [option["valueCoding"] for option in item["answerOption"]]
    by_code = {c["code"]: c for c in codings}
    words = {fold(w): by_code[code] for w, code in row.get("words", {}).items()}
    if not words:
        words = {fold(c["display"]): c for c in codings}
    if suffix := row.get("suffix"):
        words |= {w + fold(suffix): c for w, c in words.items()}
    return Choice(
        words=words,
        repeats=item.get("repeats", False),
        options=len(codings),
        bracket=row.get("bracket", {}),
        bracket_label=row.get("bracket_label", {}),
        wrap={fold(w): label for w, label in row.get("wrap", {}).items()},
        uncoded=frozenset(fold(w) for w in row.get("uncoded", ())),
        every=row.get("every", False),
    )
