"""One value of a query as SQL over an index table (R4 4.0.1 search.html)."""

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, FromClause, and_, false, func, or_, true
from sqlalchemy.sql.elements import Grouping

from hub.fhir import search_values as values
from hub.fhir.search_values import Value
from hub.store.folding import fold
from hub.store.found import PREFIX
from hub.store.parameters import bounded, system_number

Condition = ColumnElement[bool]

# After every string that begins with a prefix, in code point order.
_LAST = "\U0010ffff"
_FLAT = 50  # alternatives told side by side


def any_of(
    index: FromClause, kind: str, modifier: str | None, alternatives: Sequence[Value]
) -> Condition:
    """True for the rows that match one of the alternatives.

    Tokens are told by system and not one by one: both databases limit how deep an
    expression may be.
    """
    tokens = [v for v in alternatives if isinstance(v, values.Token)]
    if len(tokens) == len(alternatives):
        return either([*_tokens(index, tokens)])
    return either([matches(index, kind, modifier, value) for value in alternatives])


def either(conditions: Sequence[Condition]) -> Condition:
    """A disjunction as a balanced tree: SQLite allows a depth of 1,000."""
    if len(conditions) <= _FLAT:
        return or_(*conditions)
    middle = len(conditions) // 2
    halves = (either(conditions[:middle]), either(conditions[middle:]))
    return Grouping(halves[0]) | Grouping(halves[1])


def matches(
    index: FromClause, kind: str, modifier: str | None, value: Value
) -> Condition:
    """True for the rows of `index` that match; `kind` says which columns it has."""
    match value:
        case values.Token():
            found = next(_tokens(index, [value]))
        case values.Codes():
            pairs = [values.Token(s, c) for s, codes in value.systems for c in codes]
            found = or_(false(), *_tokens(index, pairs))
        case values.Reference():
            found = _reference(index, value)
        case values.Range():
            found = (_date if kind == "date" else _number)(index, value)
        case values.Quantity():
            found = and_(_number(index, value.number), _unit(index, value))
        case values.Text() if kind == "uri":
            found = _uri(index, modifier, value.text)
        case values.Text():
            found = _string(index, modifier, value.text)
        case values.Missing() | values.Composite():
            # Asked elsewhere: whether there is a row; two components at once.
            raise AssertionError
    return found


def _tokens(index: FromClause, tokens: Sequence[values.Token]) -> Iterator[Condition]:
    """One condition for the tokens of a system; at least one when there are any."""
    by_system: dict[str | None, list[str]] = {}
    for token in tokens:
        if token.code is None:
            yield index.c.system == system_number(token.system or "")
        else:
            by_system.setdefault(token.system, []).append(bounded(token.code))
    for system, codes in by_system.items():
        known = index.c.code.in_(codes)
        if system is None:
            yield known
        else:
            yield and_(known, index.c.system == system_number(system))


def _reference(index: FromClause, value: values.Reference) -> Condition:
    c = index.c
    foreign = and_(c.target_type == "", c.target_id == bounded(value.url or ""))
    if value.id is None:
        if value.version is None:
            return foreign
        return and_(foreign, c.version == bounded(value.version))
    here = c.target_type == value.type if value.type else c.target_type != ""
    local = and_(here, c.target_id == value.id)
    return or_(local, foreign) if value.url else local


def _date(index: FromClause, value: values.Range) -> Condition:
    """R4 search.html §3.1.1.4.7: both sides are ranges, `[low, high)` here."""
    low, high = int(value.low), int(value.high)
    c = index.c
    inside = and_(c.low >= low, c.high <= high)
    conditions: dict[str, Condition] = {
        # The upper bound of `low` lets an index be entered from both ends.
        "eq": and_(inside, c.low < high),
        "ne": ~inside,
        "gt": c.high > high,
        "lt": c.low < low,
        "ge": or_(c.low >= low, c.high > high),
        "le": or_(c.high <= high, c.low < low),
        "sa": c.low >= high,
        "eb": c.high <= low,
        "ap": and_(c.low < high, c.high > low),
    }
    return conditions[value.prefix]


def _number(index: FromClause, value: values.Range) -> Condition:
    """Digits imply a range for `eq` and `ne`; the others compare exactly."""
    c = index.c
    inside = and_(c.low >= value.low, c.high < value.high, c.low < value.high)
    conditions: dict[str, Condition] = {
        "eq": inside,
        "ne": ~inside,
        "gt": c.high > value.exact,
        "lt": c.low < value.exact,
        "ge": c.high >= value.exact,
        "le": c.low <= value.exact,
        "sa": c.low > value.exact,
        "eb": c.high < value.exact,
        "ap": and_(c.low < value.high, c.high >= value.low),
    }
    return conditions[value.prefix]


def _unit(index: FromClause, value: values.Quantity) -> Condition:
    if value.code is None:
        return true()
    if value.system is None:  # `5.4||mg`: the code or the unit as written
        return or_(index.c.code == bounded(value.code), index.c.unit == value.code)
    return and_(
        index.c.code == bounded(value.code),
        index.c.system == system_number(value.system),
    )


def _string(index: FromClause, modifier: str | None, text: str) -> Condition:
    c, folded = index.c, fold(text)
    whole = func.coalesce(c.rest, c.value)
    head = folded[:PREFIX]
    if modifier == "exact":
        return and_(c.value == head, func.coalesce(c.exact, whole) == text)
    if modifier == "contains":
        return whole.contains(folded, autoescape=True)
    begins = and_(c.value >= head, c.value < head + _LAST)
    if len(folded) > PREFIX:
        return and_(begins, whole.startswith(folded, autoescape=True))
    return begins


def _uri(index: FromClause, modifier: str | None, text: str) -> Condition:
    value = index.c.value
    if modifier == "above":
        return value.in_([bounded(one) for one in _above(text)])
    if modifier != "below":
        return value == bounded(text)
    below = text.rstrip("/") + "/"
    return or_(value == bounded(text), and_(value >= below, value < below + _LAST))


def _above(uri: str) -> Iterator[str]:
    """The URI and those it lies below, segment by segment."""
    yield uri
    scheme, separator, path = uri.rpartition("://")
    while "/" in path:
        path = path.rpartition("/")[0]
        yield f"{scheme}{separator}{path}"
        yield f"{scheme}{separator}{path}/"
