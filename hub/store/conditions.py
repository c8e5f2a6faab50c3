"""A search criterion as SQL over one alias of the table of resources.

Every alias that a chain or `_has` brings in carries the visibility predicate
(security.md G3), so what is hidden can neither match nor be inferred.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Table,
    and_,
    false,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)

from hub.fhir import search_values as values
from hub.fhir.search import Chain, Criterion, Has, Match
from hub.store import tables
from hub.store.emitters import PREFIX
from hub.store.folding import fold
from hub.store.parameters import Definition, bounded, definitions, system_number
from hub.store.visibility import Visible
from hub.store.width import seen

Condition = ColumnElement[bool]

# After every string that begins with a prefix, in code point order.
_LAST = "\U0010ffff"
# What a criterion likely finds, least first: by parameter, by its type, or a chain.
_SIZES = (
    *("_id", "identifier", "uri", "reference", "chain", "string"),
    *("quantity", "number", "_lastUpdated", "date", "token"),
)
TABLES: dict[str, Table] = {
    "token": tables.token,
    "string": tables.string,
    "reference": tables.reference,
    "date": tables.date,
    "number": tables.quantity,
    "quantity": tables.quantity,
    "uri": tables.uri,
}


def conditions(
    rows: FromClause,
    types: tuple[str, ...],
    criteria: Sequence[Criterion],
    visible: Visible,
) -> list[Condition]:
    """True for the rows of `types` that meet every criterion.

    The criterion that likely finds least leads as a list of keys; the others look
    at each row it leaves. SQLite would otherwise list the keys of each in full.
    """
    ordered = sorted(criteria, key=_likely_size)
    return [
        condition(rows, types, criterion, visible, each_row=place > 0)
        for place, criterion in enumerate(ordered)
    ]


def _likely_size(criterion: Criterion) -> int:
    if not isinstance(criterion, Match):
        return _SIZES.index("chain")
    code, kind = criterion.parameter.code, criterion.parameter.type
    return _SIZES.index(code if code in _SIZES else kind)


def condition(
    rows: FromClause,
    types: tuple[str, ...],
    criterion: Criterion,
    visible: Visible,
    *,
    each_row: bool = False,
) -> Condition:
    """True for the rows of `types` that meet the criterion.

    `each_row` asks for a look-up by the row's key instead of a list of keys.
    """
    if isinstance(criterion, Chain):
        return _chain(rows, types, criterion, visible)
    if isinstance(criterion, Has):
        return _has(rows, types, criterion, visible)
    if criterion.parameter.code == "_id":
        return _id(rows, criterion)
    if criterion.parameter.code == "_lastUpdated":
        return or_(*(_updated(rows, value) for value in criterion.values))
    return _indexed(rows, types, criterion, each_row=each_row)


def known(value: int | str) -> ColumnElement[Any]:
    """A value of ours, written into the statement so that it is planned with.

    A prepared statement would be planned for any parameter, any type, any LIMIT.
    """
    return literal(value, literal_execute=True)


def numbers(types: Sequence[str], code: str) -> list[Definition]:
    """The definitions of a parameter in each of the types."""
    return [definitions()[name][code] for name in types]


def _chain(
    rows: FromClause, types: tuple[str, ...], chain: Chain, visible: Visible
) -> Condition:
    # One key query a branch: joined by OR, no index could be entered by any.
    branches = [
        _branch(types, chain.parameter.code, name, inner, visible)
        for name, inner in chain.branches
    ]
    found = branches[0] if len(branches) == 1 else union_all(*branches)
    return rows.c.key.in_(found)


def _branch(
    types: tuple[str, ...], code: str, target_type: str, inner: Criterion, see: Visible
) -> Select[Any]:
    """Keys of what points, by the parameter `code`, to a match of `inner`."""
    link = tables.reference.alias()
    target = tables.resource.alias()
    ids = select(target.c.id).where(
        target.c.type == known(target_type),
        ~target.c.deleted,
        seen(see, target, (target_type,), (inner,)),
        condition(target, (target_type,), inner, see),
    )
    return select(link.c.key).where(
        _parameter(link, types, code),
        link.c.target_type == known(target_type),
        link.c.target_id.in_(ids),
    )


def _has(
    rows: FromClause, types: tuple[str, ...], has: Has, visible: Visible
) -> Condition:
    link = tables.reference.alias()
    source = tables.resource.alias()
    found = (
        select(link.c.target_id)
        .join(source, source.c.key == link.c.key)
        .where(_parameter(link, (has.type,), has.parameter.code))
        .where(~source.c.deleted, seen(visible, source, (has.type,), (has.criterion,)))
        .where(condition(source, (has.type,), has.criterion, visible))
    )
    return or_(
        *(
            and_(
                rows.c.type == name,
                rows.c.id.in_(found.where(link.c.target_type == name)),
            )
            for name in types
        )
    )


def _id(rows: FromClause, match: Match) -> Condition:
    ids = [v.code for v in match.values if isinstance(v, values.Token) and not v.system]
    same = rows.c.id.in_([id_ for id_ in ids if id_])
    return ~same if match.modifier == "not" else same


def _updated(rows: FromClause, value: values.Value) -> Condition:
    """`_lastUpdated` is a moment in the row itself, so an index can be entered."""
    if not isinstance(value, values.Range):
        return false()
    moment, low, high = rows.c.last_updated, int(value.low), int(value.high)
    outside = or_(moment < low, moment >= high)
    conditions: dict[str, Condition] = {
        "eq": and_(moment >= low, moment < high),
        "ap": and_(moment >= low, moment < high),
        "ne": outside,
        "ge": moment >= low,
        "gt": moment >= high,
        "sa": moment >= high,
        "le": moment < high,
        "lt": moment < low,
        "eb": moment < low,
    }
    return conditions[value.prefix]


def _indexed(
    rows: FromClause, types: tuple[str, ...], match: Match, *, each_row: bool
) -> Condition:
    first = match.values[0]
    if isinstance(first, values.Missing):
        return _missing(rows, types, match, is_missing=first.missing)
    index, own = _index_of(match, types)
    matches = or_(*(_matches(index, match.modifier, value) for value in match.values))
    found = select(index.c.key).where(own(index), *_entry(index, match), matches)
    if match.modifier == "not":
        return ~found.where(index.c.key == rows.c.key).exists()
    if each_row:
        return found.where(index.c.key == rows.c.key).exists()
    return rows.c.key.in_(found)


def _entry(index: FromClause, match: Match) -> list[Condition]:
    """What alternatives have in common, said once so that an index is entered by it."""
    wanted: list[str] = []
    for value in match.values:
        if isinstance(value, values.Token) and value.code is not None:
            wanted.append(value.code)
        elif isinstance(value, values.Reference):
            wanted += [text for text in (value.id, value.url) if text]
        else:
            return []
    name = "code" if "code" in index.c else "target_id"
    return [index.c[name].in_([bounded(text) for text in wanted])]


def _index_of(
    match: Match, types: tuple[str, ...]
) -> tuple[FromClause, Callable[[FromClause], Condition]]:
    """The index table a match looks into, and which rows of it are the parameter's."""
    code = match.parameter.code
    if match.modifier == "text":
        of_text = [d.text_number for d in numbers(types, code)]
        return tables.string.alias(), lambda i: i.c.parameter.in_(of_text)
    if match.modifier == "identifier":
        others = [d.identifier_number for d in numbers(types, code)]
        return tables.token.alias(), lambda i: i.c.parameter.in_(others)
    index = TABLES[match.parameter.type].alias()
    return index, lambda i: _parameter(i, types, code)


def _parameter(index: FromClause, types: Sequence[str], code: str) -> Condition:
    found = [definition.number for definition in numbers(types, code)]
    if len(found) == 1:
        return index.c.parameter == known(found[0])
    return index.c.parameter.in_(found)


def _missing(
    rows: FromClause, types: tuple[str, ...], match: Match, *, is_missing: bool
) -> Condition:
    code = match.parameter.code
    found = _any_row(rows, TABLES[match.parameter.type].alias(), numbers(types, code))
    if match.parameter.type == "reference":
        # A reference by identifier alone is a value too.
        by_identifier = _any_row(
            rows, tables.token.alias(), numbers(types, code), "identifier_number"
        )
        present = or_(found.exists(), by_identifier.exists())
    else:
        present = found.exists()
    return ~present if is_missing else present


def _any_row(
    rows: FromClause, index: FromClause, of: list[Definition], number: str = "number"
) -> Select[Any]:
    return select(index.c.key).where(
        index.c.key == rows.c.key,
        index.c.parameter.in_([getattr(definition, number) for definition in of]),
    )


def _matches(index: FromClause, modifier: str | None, value: values.Value) -> Condition:
    match value:
        case values.Token():
            found = _token(index, value)
        case values.Reference():
            found = _reference(index, value)
        case values.Range() if "code" in index.c:
            found = _number(index, value)
        case values.Range():
            found = _date(index, value)
        case values.Quantity():
            found = and_(_number(index, value.number), _unit(index, value))
        case values.Text() if "exact" in index.c:
            found = _string(index, modifier, value.text)
        case values.Text():
            found = _uri(index, modifier, value.text)
        case values.Missing():
            # `:missing` asks whether there is a row, not what it holds.
            raise AssertionError
    return found


def _token(index: FromClause, value: values.Token) -> Condition:
    conditions = []
    if value.code is not None:
        conditions.append(index.c.code == bounded(value.code))
    if value.system is not None:
        conditions.append(index.c.system == system_number(value.system))
    return and_(*conditions)


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
    if modifier != "below":
        return value == bounded(text)
    below = text.rstrip("/") + "/"
    return or_(value == bounded(text), and_(value >= below, value < below + _LAST))
