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

    Tokens are told by system, references by type, not one by one: such a list costs
    a hundredth of its conditions.
    """
    tokens = [v for v in alternatives if isinstance(v, values.Token)]
    references = [v for v in alternatives if isinstance(v, values.Reference)]
    if tokens:
        return either([*_tokens(index, tokens)])
    if references:
        return either([*_references(index, references)])
    return either([matches(index, kind, modifier, value) for value in alternatives])


def either(conditions: Sequence[Condition]) -> Condition:
    """A disjunction as a balanced tree: SQLite allows a depth of 1,000."""
    if len(conditions) <= _FLAT:
        return or_(*conditions)
    middle = len(conditions) // 2
    halves = (either(conditions[:middle]), either(conditions[middle:]))
    return or_(*(_Bracket(half) for half in halves))


class _Bracket(Grouping[bool]):
    """Brackets that stay: SQLAlchemy would make one long list of nested ORs."""

    operator = None
    inherit_cache = True


def matches(
    index: FromClause, kind: str, modifier: str | None, value: Value
) -> Condition:
    """True for the rows of `index` that match; `kind` says which columns it has."""
    match value:
        case values.Token():
            found = or_(false(), *_tokens(index, [value]))
        case values.Codes():
            pairs = [values.Token(s, c) for s, codes in value.systems for c in codes]
            found = or_(false(), *_tokens(index, pairs))
        case values.Reference():
            found = or_(false(), *_references(index, [value]))
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


def _references(
    index: FromClause, references: Sequence[values.Reference]
) -> Iterator[Condition]:
    """Conditions for resources here, by type, and for URLs, by version."""
    here: dict[str | None, list[str]] = {}
    urls: dict[str | None, list[str]] = {}
    for one in references:
        if one.id is not None:
            here.setdefault(one.type, []).append(one.id)
        if one.url is not None:
            urls.setdefault(one.version, []).append(bounded(one.url))
    for type_, ids in here.items():
        of_type = index.c.target_type == type_ if type_ else index.c.target_type != ""
        yield and_(of_type, index.c.target_id.in_(ids))
    for version, texts in urls.items():
        foreign = and_(index.c.target_type == "", index.c.target_id.in_(texts))
        if version is None:
            yield foreign
        else:
            yield and_(foreign, index.c.version == bounded(version))


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
