"""Search syntax: query pairs to a frozen Query (R4 4.0.1 search.html; rest.md §3).

Pure: which parameters a type has is handed in as `declared`. Nothing is ignored in
silence: what is not understood is refused, or under lenient handling named.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn

from hub.fhir import search_values as values
from hub.fhir.outcome import FhirError, issue
from hub.fhir.search_values import Value

Kind = Literal[
    "token", "string", "reference", "date", "quantity", "number", "uri", "composite"
]

MAX_DEPTH = 3  # links of a chain or `_has`, rounds of `:iterate`
MAX_VALUES = 1000  # alternatives in one query
_EACH = 4  # more, for an alternative that no list can hold (measured: 1 ms each)
MAX_SORT = 5
MAX_CODES = 2000  # of the value sets of one query

REFUSED = frozenset(
    {"_filter", "_query", "_text", "_content", "_list", "_contained", "_at", "_type"}
)
# What shapes the answer and selects nothing.
RESULT = frozenset(
    {"_sort", "_count", "_total", "_totalMethod", "_summary", "_elements"}
    | {"_include", "_revinclude"}
)
TRANSPORT = frozenset({"_format", "_pretty"})
_MODIFIERS: dict[str, frozenset[str]] = {
    "token": frozenset({"not", "text", "in", "not-in", "of-type"}),
    "string": frozenset({"exact", "contains"}),
    "reference": frozenset({"identifier"}),
    "uri": frozenset({"below", "above"}),
}
# What stands in the row itself has no index of texts, types or absence.
_OF_THE_ROW: dict[str, frozenset[str]] = {
    "_id": frozenset({"not"}),
    "_lastUpdated": frozenset(),
}
_SUMMARIES = frozenset({"true", "false", "text", "data", "count"})
_TOTALS = {"none": "none", "accurate": "accurate", "estimate": "accurate"}
_CONTROL = re.compile("[\x00-\x1f\ud800-\udfff]")  # security.md J8
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared search parameter; `targets` of a reference, `("*",)` = any.

    `components` of a composite, in order; `is_identifier` of a token that reads
    Identifiers.
    """

    code: str
    type: Kind
    targets: tuple[str, ...] = ()
    components: "tuple[Parameter, ...]" = ()
    is_identifier: bool = False


Declared = Mapping[str, Mapping[str, Parameter]]
# The codes of a value set by system; None when it is not known here.
ValueSets = Callable[[str], Mapping[str, Collection[str]] | None]


@dataclass(frozen=True, slots=True)
class Match:
    """One of `values` must match the parameter."""

    parameter: Parameter
    modifier: str | None
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The reference must point to a resource that meets the branch of its type."""

    parameter: Parameter
    branches: "tuple[tuple[str, Criterion], ...]"


@dataclass(frozen=True, slots=True)
class Has:
    """Some resource of `type` must point here by `parameter` and meet `criterion`."""

    type: str
    parameter: Parameter
    criterion: "Criterion"


@dataclass(frozen=True, slots=True)
class Member:
    """The resource is in the compartment of `type`/`id` (R4 compartmentdefinition)."""

    type: str
    id: str


Criterion = Match | Chain | Has | Member


@dataclass(frozen=True, slots=True)
class Include:
    """`_include` or `_revinclude` of the parameter of `source`; `target` a type."""

    source: str
    parameter: Parameter
    target: str | None
    iterate: bool
    reverse: bool


@dataclass(frozen=True, slots=True)
class Sort:
    parameter: Parameter
    descending: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A search understood in full.

    `understood` are the pairs for the self link, in order; `ignored` the positions
    (1 = first pair) of unknown parameters under lenient handling. `count` is as
    asked for, not yet capped.
    """

    types: tuple[str, ...]
    criteria: tuple[Criterion, ...] = ()
    includes: tuple[Include, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int | None = None
    total: Literal["none", "accurate"] | None = None
    summary: str | None = None
    elements: tuple[str, ...] = ()
    understood: tuple[tuple[str, str], ...] = ()
    ignored: tuple[int, ...] = ()

    @property
    def counts_only(self) -> bool:
        return self.summary == "count" or self.count == 0


Pairs = Sequence[tuple[str, str]]


def parse(
    resource_type: str,
    pairs: Pairs,
    declared: Declared,
    *,
    base_url: str = "",
    lenient: bool = False,
    value_sets: ValueSets = lambda _url: None,
    within: Member | None = None,
    every: tuple[str, ...] = (),
) -> Query:
    """Understand a search on one type, or on `_type=` when `resource_type` is "".

    `every` are the types meant when no `_type` is given; `within` is a compartment.

    `declared` is {type: {code: Parameter}}; `base_url` is the hub's own FHIR base,
    without which own absolute references look foreign; `value_sets` is what `:in`
    may name. Raises FhirError HUB-SEARCH-001 (unknown parameter; not under
    `lenient`), -002 (malformed value), -003 and -004 (not supported) and others of
    that file, all 400.
    """
    types, rest = _types(resource_type, pairs, declared, every)
    reader = _Reader(types, declared, base_url, value_sets)
    query = Query(types=types, criteria=(within,) if within else ())
    for position, (name, text) in rest:
        if name in TRANSPORT:
            continue
        try:
            query = reader.read(query, name, text, position)
        except _UnknownError:
            if not lenient:
                _refuse("001", position=position)
            query = replace(query, ignored=(*query.ignored, position))
        else:
            query = replace(query, understood=(*query.understood, (name, text)))
    _require_bounded(query)
    if not resource_type and types != every:
        listed = (("_type", ",".join(types)),)
        query = replace(query, understood=listed + query.understood)
    return query


def conditional(
    resource_type: str,
    pairs: Pairs,
    declared: Declared,
    *,
    base_url: str = "",
    value_sets: ValueSets = lambda _url: None,
) -> Query:
    """Criteria of a conditional operation: strict even under lenient handling.

    Raises as `parse`, and HUB-SEARCH-009 when nothing selects: no criterion at all
    would match everything.
    """
    for position, (name, _text) in enumerate(pairs, 1):
        if name.partition(":")[0] in RESULT | TRANSPORT:
            _refuse("001", position=position)
    query = parse(
        resource_type, pairs, declared, base_url=base_url, value_sets=value_sets
    )
    if not query.criteria:
        _refuse("009")
    return query


def types_touched(query: Query) -> frozenset[str]:
    """Every type the query reads, chains and includes too: each needs its scope."""
    touched = set(query.types)
    for criterion in query.criteria:
        touched |= _types_of(criterion)
    for include in query.includes:
        touched.add(include.source)
        touched.update(_include_targets(include))
    return frozenset(touched)


def _include_targets(include: Include) -> tuple[str, ...]:
    if include.target or include.reverse:
        return (include.target,) if include.target else ()
    return tuple(t for t in include.parameter.targets if t != "*")


def _types_of(criterion: Criterion) -> set[str]:
    if isinstance(criterion, Chain):
        nested = [{name} | _types_of(c) for name, c in criterion.branches]
        return set().union(*nested)
    if isinstance(criterion, Has):
        return {criterion.type} | _types_of(criterion.criterion)
    return set()


class _UnknownError(Exception):
    """The parameter is not declared for this type."""


def _refuse(number: str, /, **fields: Any) -> NoReturn:
    raise FhirError(issue(f"HUB-SEARCH-{number}", **fields))


def _types(
    resource_type: str, pairs: Pairs, declared: Declared, every: tuple[str, ...]
) -> tuple[tuple[str, ...], list[tuple[int, tuple[str, str]]]]:
    numbered = list(enumerate(pairs, 1))
    if resource_type:
        return (resource_type,), numbered
    named = [text for name, text in pairs if name == "_type"]
    if every and not named:
        return every, numbered
    types = tuple(dict.fromkeys(t for text in named for t in text.split(",")))
    if not types or not all(name in declared for name in types):
        _refuse("008", parameter="_type")
    return types, [pair for pair in numbered if pair[1][0] != "_type"]


def _require_bounded(query: Query) -> None:
    if sum(_weight(criterion) for criterion in query.criteria) > MAX_VALUES:
        _refuse("010", limit=MAX_VALUES)
    if sum(_codes(criterion) for criterion in query.criteria) > MAX_CODES:
        _refuse("021", limit=MAX_CODES)


def _weight(criterion: Criterion) -> int:
    if isinstance(criterion, Chain):
        return sum(_weight(c) for _type, c in criterion.branches)
    if isinstance(criterion, Has):
        return 1 + _weight(criterion.criterion)
    if isinstance(criterion, Member):
        return 1
    return len(criterion.values) + _EACH * (len({*map(_alike, criterion.values)}) - 1)


def _alike(value: Value) -> object:
    """What values have in common that are looked up together, as one list."""
    if isinstance(value, values.Token):
        return value.system, value.code is None
    if isinstance(value, values.Reference):
        return value.type, value.version
    return value


def _codes(criterion: Criterion) -> int:
    if isinstance(criterion, Chain):
        return sum(_codes(c) for _type, c in criterion.branches)
    if isinstance(criterion, Has):
        return _codes(criterion.criterion)
    if isinstance(criterion, Member):
        return 0
    return sum(v.size for v in criterion.values if isinstance(v, values.Codes))


class _Reader:
    """Reads one pair after another against the declared parameters of the types."""

    def __init__(
        self,
        types: tuple[str, ...],
        declared: Declared,
        base_url: str,
        value_sets: ValueSets,
    ) -> None:
        self.types, self.declared, self.base_url = types, declared, base_url
        self.value_sets = value_sets

    def read(self, query: Query, name: str, text: str, position: int) -> Query:
        if _CONTROL.search(name + text):
            _refuse("013", position=position)
        bare, _, modifier = name.partition(":")
        if bare in REFUSED:
            _refuse("003", name=bare)
        if bare in ("_include", "_revinclude"):
            include = self._include(bare, modifier, text)
            return replace(query, includes=(*query.includes, include))
        if name == "_sort":
            return replace(query, sort=self._sort(text))
        if name in RESULT:
            return _result(query, name, text)
        criterion = self.criterion(self.types, name, text, 0, position)
        return replace(query, criteria=(*query.criteria, criterion))

    def criterion(
        self, types: tuple[str, ...], name: str, text: str, depth: int, position: int
    ) -> Criterion:
        """`position` is that of the pair (1 = first): what an error may name."""
        if name.startswith("_has:"):
            return self._has(name, text, depth, position)
        head, dot, rest = name.partition(".")
        code, _, modifier = head.partition(":")
        parameter = self._parameter(types, code)
        if dot:
            return self._chain(parameter, modifier, rest, text, depth, position)
        return self._match(parameter, modifier or None, text)

    def _parameter(self, types: tuple[str, ...], code: str) -> Parameter:
        found = [self.declared.get(name, {}).get(code) for name in types]
        first = found[0]
        if first is None or any(p is None or p.type != first.type for p in found):
            raise _UnknownError
        return first

    def _has(self, name: str, text: str, depth: int, position: int) -> Has:
        parts = name.split(":", 3)
        if len(parts) != 4:  # noqa: PLR2004 - _has:Type:reference:parameter
            _refuse("006", position=position)
        _require_depth(depth)
        _, source, code, rest = parts
        parameter = self._parameter((source,), code)
        points_here = {*parameter.targets} & {"*", *self.types}
        if parameter.type != "reference" or (depth == 0 and not points_here):
            _refuse("006", position=position)
        inner = self.criterion((source,), rest, text, depth + 1, position)
        return Has(source, parameter, inner)

    def _chain(
        self,
        parameter: Parameter,
        only: str,
        rest: str,
        text: str,
        depth: int,
        position: int,
    ) -> Chain:
        _require_depth(depth)
        branches = []
        for target in self._targets(parameter, only, position):
            try:
                inner = self.criterion((target,), rest, text, depth + 1, position)
            except _UnknownError:
                continue  # another target type may know it
            branches.append((target, inner))
        if not branches:
            raise _UnknownError
        return Chain(parameter, tuple(branches))

    def _targets(
        self, parameter: Parameter, only: str, position: int
    ) -> tuple[str, ...]:
        if parameter.type != "reference":
            _refuse("006", position=position)
        allowed = parameter.targets
        if "*" in allowed:
            allowed = tuple(self.declared)
        if only and only not in allowed:
            _refuse("006", position=position)
        return (only,) if only else allowed

    def _match(self, parameter: Parameter, modifier: str | None, text: str) -> Match:
        read = self._reader(parameter, modifier)
        try:
            found = tuple(read(piece) for piece in values.pieces(text, ","))
        except ValueError:
            _refuse("002", parameter=parameter.code)
        if modifier == "missing" and len(found) > 1:
            _refuse("002", parameter=parameter.code)
        return Match(parameter, modifier, found)

    def _reader(
        self, parameter: Parameter, modifier: str | None
    ) -> Callable[[str], Value]:
        """What reads one alternative; refuses a modifier the parameter has not."""
        own = _OF_THE_ROW.get(parameter.code)
        allowed = _MODIFIERS.get(parameter.type, frozenset()) if own is None else own
        if modifier == "of-type" and not parameter.is_identifier:
            allowed = frozenset()
        if modifier == "missing" and own is None:
            return values.parse_missing
        if modifier is None or modifier in allowed:
            return self._value_reader(parameter, modifier)
        if parameter.type == "reference" and self._is_target(parameter, modifier):
            only = modifier
            return lambda t: values.parse_reference(t, self.base_url, only)
        _refuse("004", parameter=parameter.code)

    def _is_target(self, parameter: Parameter, name: str) -> bool:
        return name in self.declared and bool({*parameter.targets} & {"*", name})

    def _value_reader(
        self, parameter: Parameter, modifier: str | None
    ) -> Callable[[str], Value]:
        special: dict[str | None, Callable[[str], Value]] = {
            "text": values.parse_text,
            "identifier": values.parse_token,
            "of-type": values.parse_of_type,
            "in": self._value_set,
            "not-in": self._value_set,
        }
        readers: dict[Kind, Callable[[str], Value]] = {
            "token": values.parse_token,
            "string": values.parse_text,
            "uri": values.parse_text,
            "date": values.parse_date,
            "number": values.parse_number,
            "quantity": values.parse_quantity,
            "reference": lambda t: values.parse_reference(t, self.base_url, None),
            "composite": lambda t: self._composite(parameter, t),
        }
        return special.get(modifier, readers[parameter.type])

    def _composite(self, parameter: Parameter, text: str) -> values.Composite:
        parts = values.pieces(text, "$")
        if len(parts) != len(parameter.components):
            raise ValueError("components")
        return values.Composite(
            tuple(
                self._value_reader(component, None)(part)
                for component, part in zip(parameter.components, parts, strict=True)
            )
        )

    def _value_set(self, text: str) -> values.Codes:
        url = values.parse_text(text).text
        codes = self.value_sets(url)
        if codes is None:
            _refuse("020")
        return values.Codes(tuple((s, tuple(sorted(codes[s]))) for s in sorted(codes)))

    def _include(self, name: str, modifier: str, text: str) -> Include:
        if text == "*" or modifier not in ("", "iterate"):
            _refuse("003", name=name)
        source, code, target = (
            ([*text.split(":"), ""])[:3] if ":" in text else ("",) * 3
        )
        parameter = self.declared.get(source, {}).get(code)
        if parameter is None or parameter.type != "reference" or text.count(":") > 2:  # noqa: PLR2004
            _refuse("007", parameter=name)
        if target and not self._is_target(parameter, target):
            _refuse("007", parameter=name)
        return Include(
            source, parameter, target or None, modifier == "iterate", name != "_include"
        )

    def _sort(self, text: str) -> tuple[Sort, ...]:
        keys = []
        for piece in text.split(","):
            code = piece.removeprefix("-")
            try:
                parameter = self._parameter(self.types, code)
            except _UnknownError:
                _refuse("008", parameter="_sort")
            if parameter.type == "composite":  # two values have no order
                _refuse("008", parameter="_sort")
            keys.append(Sort(parameter, piece != code))
        if len(keys) > MAX_SORT:
            _refuse("008", parameter="_sort")
        return tuple(keys)


def _require_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        _refuse("005", limit=MAX_DEPTH)


def _result(query: Query, name: str, text: str) -> Query:
    """Apply `_count`, `_total`, `_totalMethod`, `_summary` or `_elements`."""
    if name == "_count" and re.fullmatch(r"\d{1,9}", text):
        return replace(query, count=int(text))
    if name == "_summary" and text in _SUMMARIES:
        return replace(query, summary=None if text == "false" else text)
    # fhirpy counts with `_totalMethod=count`: the one alias (rest.md §8).
    if name == "_totalMethod" and text == "count":
        return replace(query, total="accurate")
    if name == "_total" and text in _TOTALS:
        return replace(query, total="none" if text == "none" else "accurate")
    if name == "_elements" and all(_NAME.fullmatch(e) for e in text.split(",")):
        return replace(query, elements=tuple(text.split(",")))
    _refuse("008", parameter=name)
