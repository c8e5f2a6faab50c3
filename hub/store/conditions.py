"""A search criterion as SQL over one alias of the table of resources.

Every alias that a chain or `_has` brings in carries the visibility predicate
(security.md G3), so what is hidden can neither match nor be inferred.
"""

from collections.abc import Callable, Sequence
from functools import cache
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
    union_all,
)

from hub.database import Session
from hub.fhir import search_values as values
from hub.fhir.search import Chain, Criterion, Has, Match, Member
from hub.store import tables
from hub.store.composites import composite_matches
from hub.store.matching import Condition, any_of, either
from hub.store.parameters import Definition, bounded, compartments, definitions
from hub.store.visibility import Shaped, Visible
from hub.store.width import View, begins_with_text, is_text, seen

# What a criterion likely finds, least first: by parameter, by its type, or a chain.
_SIZES = (
    *("_id", "identifier", "uri", "reference", "chain", "string"),
    *("composite", "quantity", "number", "_lastUpdated", "date", "token"),
)
_FEW = 200  # texts that a search may begin with
_MANY = 1_000_000  # texts of one resource; SQLite has no OFFSET without a LIMIT
TABLES: dict[str, Table] = {
    "token": tables.token,
    "string": tables.string,
    "reference": tables.reference,
    "date": tables.date,
    "number": tables.quantity,
    "quantity": tables.quantity,
    "uri": tables.uri,
    "composite": tables.composite,
}


def conditions(
    rows: FromClause,
    types: tuple[str, ...],
    criteria: Sequence[Criterion],
    view: View,
) -> list[Condition]:
    """True for the rows of `types` that meet every criterion.

    The criterion that likely finds least leads as a list of keys; the others look
    at each row it leaves. SQLite would otherwise list the keys of each in full.
    """
    ordered = sorted(criteria, key=_likely_size)
    return [
        condition(rows, types, criterion, view, each_row=place > 0)
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
    view: View,
    *,
    each_row: bool = False,
) -> Condition:
    """True for the rows of `types` that meet the criterion.

    `each_row` asks for a look-up by the row's key instead of a list of keys.
    """
    if isinstance(criterion, Chain):
        return _chain(rows, types, criterion, view)
    if isinstance(criterion, Has):
        return _has(rows, types, criterion, view)
    if isinstance(criterion, Member):
        return _member(rows, types, criterion)
    if criterion.parameter.code in ("_id", "_lastUpdated"):
        return _column(rows, criterion)
    if is_text(criterion) and not begins_with_text(view, types, criterion):
        return _in_each_row(rows, types, criterion)
    return _indexed(rows, types, criterion, each_row=each_row)


def view_of(session: Session, visible: Visible) -> View:
    """The view of one search: each text is looked up once whether it is common."""

    @cache
    def is_common(types: tuple[str, ...], match: Match) -> bool:
        if not isinstance(visible, Shaped):
            return False  # who sees all begins with the text
        if match.modifier == "contains":
            return True  # no index is entered by what is inside
        index, own = _index_of(match, types)
        few = (
            select(index.c.key)
            .where(own(index), _one_of(index, match))
            .limit(known(_FEW + 1))
            .subquery()
        )
        count = select(func.count()).select_from(few)
        return int(session.execute(count).scalar_one()) > _FEW

    return View(visible, is_common)


def known(value: int | str) -> ColumnElement[Any]:
    """A value of ours, written into the statement so that it is planned with.

    A prepared statement would be planned for any parameter, any type, any LIMIT.
    """
    return literal(value, literal_execute=True)


def numbers(types: Sequence[str], code: str) -> list[Definition]:
    """The definitions of a parameter in each of the types."""
    return [definitions()[name][code] for name in types]


def _chain(
    rows: FromClause, types: tuple[str, ...], chain: Chain, view: View
) -> Condition:
    # One key query a branch: joined by OR, no index could be entered by any.
    branches = [
        _branch(types, chain.parameter.code, name, inner, view)
        for name, inner in chain.branches
    ]
    found = branches[0] if len(branches) == 1 else union_all(*branches)
    return rows.c.key.in_(found)


def _branch(
    types: tuple[str, ...], code: str, target_type: str, inner: Criterion, view: View
) -> Select[Any]:
    """Keys of what points, by the parameter `code`, to a match of `inner`."""
    link = tables.reference.alias()
    target = tables.resource.alias()
    ids = select(target.c.id).where(
        target.c.type == known(target_type),
        ~target.c.deleted,
        seen(view, target, (target_type,), (inner,)),
        condition(target, (target_type,), inner, view),
    )
    return select(link.c.key).where(
        _parameter(link, types, code),
        link.c.target_type == known(target_type),
        link.c.target_id.in_(ids),
    )


def _has(rows: FromClause, types: tuple[str, ...], has: Has, view: View) -> Condition:
    link = tables.reference.alias()
    source = tables.resource.alias()
    found = (
        select(link.c.target_id)
        .join(source, source.c.key == link.c.key)
        .where(_parameter(link, (has.type,), has.parameter.code))
        # The type is said by the parameter, too; here it lets an index be entered.
        .where(source.c.type == known(has.type))
        .where(~source.c.deleted, seen(view, source, (has.type,), (has.criterion,)))
        .where(condition(source, (has.type,), has.criterion, view))
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


def _member(rows: FromClause, types: tuple[str, ...], member: Member) -> Condition:
    """In a compartment: by a reference of its own, or as what the compartment is of.

    Whether that is visible, or exists, plays no part: only the row's own words count.
    """
    ways = compartments()[member.type]
    link = tables.reference.alias()
    pointing = select(link.c.key).where(
        link.c.parameter.in_(
            [
                definitions()[name][code].number
                for name in types
                for code in ways.get(name, ())
            ]
        ),
        link.c.target_type == member.type,
        link.c.target_id == member.id,
    )
    if member.type not in types:
        return rows.c.key.in_(pointing)
    own = tables.resource.alias()
    itself = select(own.c.key).where(own.c.type == member.type, own.c.id == member.id)
    return rows.c.key.in_(union_all(pointing, itself))


def _column(rows: FromClause, match: Match) -> Condition:
    """What the row itself says, without an index table."""
    if match.parameter.code == "_id":
        return _id(rows, match)
    return either([_updated(rows, value) for value in match.values])


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
    found = select(index.c.key).where(
        own(index), *_entry(index, match), _one_of(index, match)
    )
    if match.modifier in ("not", "not-in"):
        return ~found.where(index.c.key == rows.c.key).exists()
    if each_row:
        return found.where(index.c.key == rows.c.key).exists()
    return rows.c.key.in_(found)


def _in_each_row(rows: FromClause, types: tuple[str, ...], match: Match) -> Condition:
    """Asked of each row, whatever the planner thinks of the texts.

    OFFSET keeps the comparison out of the inner query, which so is entered by the
    row's key; it would take the index of texts, and go through all of them each time.
    """
    index, own = _index_of(match, types)
    texts = (
        select(index)
        .where(own(index), index.c.key == rows.c.key)
        .limit(known(_MANY))
        .offset(known(0))
        .correlate(rows)
        .subquery()
    )
    found = select(texts.c.key).where(_one_of(texts, match))
    return found.correlate(rows).exists()


def _one_of(index: FromClause, match: Match) -> Condition:
    parameter = match.parameter
    composites = [v for v in match.values if isinstance(v, values.Composite)]
    if composites:
        return either([composite_matches(index, parameter, v) for v in composites])
    kind = {"text": "string", "identifier": "token"}.get(match.modifier or "")
    return any_of(index, kind or parameter.type, match.modifier, match.values)


def _entry(index: FromClause, match: Match) -> list[Condition]:
    """What alternatives have in common, said once so that an index is entered by it."""
    wanted: list[str] = []
    for value in match.values:
        if not isinstance(value, values.Reference):
            return []
        wanted += [text for text in (value.id, value.url) if text]
    return [index.c.target_id.in_([bounded(text) for text in wanted])]


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
    if match.modifier == "of-type":
        typed = [d.of_type_number for d in numbers(types, code)]
        return tables.token.alias(), lambda i: i.c.parameter.in_(typed)
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
    of = numbers(types, match.parameter.code)
    found = [_any_row(rows, TABLES[match.parameter.type].alias(), of)]
    if match.parameter.type == "reference":
        # A reference by identifier alone is a value too.
        found.append(_any_row(rows, tables.token.alias(), of, "identifier_number"))
    elif match.parameter.type == "token":
        # So is a code that is said in words alone.
        found.append(_any_row(rows, tables.string.alias(), of, "text_number"))
    present = or_(*(one.exists() for one in found))
    return ~present if is_missing else present


def _any_row(
    rows: FromClause, index: FromClause, of: list[Definition], number: str = "number"
) -> Select[Any]:
    return select(index.c.key).where(
        index.c.key == rows.c.key,
        index.c.parameter.in_([getattr(definition, number) for definition in of]),
    )
