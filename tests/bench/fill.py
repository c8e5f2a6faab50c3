"""A register of any size on PostgreSQL: copies of real referrals, made by the database.

A few referrals enter through the hub's own door; each is then copied with new ids,
keys, identifiers, names and moments. `OWN` cases belong to the organisations that the
templates belong to, all others to others: the register grows around one hospital, as
it does in a country. What the hub extracts as Observation and Condition is left out:
it is half of a case and none of what is searched here.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, inspect, text

from hub.store.parameters import definitions

OWN = 1_000  # cases of the measured organisations, at every size
_STEP = 300_000_000  # microseconds between two cases
_AT_ONCE = 40_000  # cases of one transaction
_LEFT_OUT = ("Observation", "Condition")
_UNIQUE = ("identifier", "group-identifier", "phone", "telecom")
_NAMES = ("name", "family", "given", "phonetic")

# The templates: `i` numbers their cases, `rank` the resources of one.
_TEMPLATES = (
    """CREATE TABLE IF NOT EXISTS template_case AS
       SELECT id, row_number() OVER (ORDER BY id) - 1 AS i,
              (SELECT count(*) FROM case_) AS cases FROM case_""",
    """CREATE TABLE IF NOT EXISTS template AS
       SELECT r.key, r.type, r.id, c.i, c.cases,
              row_number() OVER (PARTITION BY c.i ORDER BY r.key) AS rank
       FROM resource r JOIN case_resource m ON m.type = r.type AND m.id = r.id
       JOIN template_case c ON c.id = m.case_id
       WHERE r.type NOT IN ('Observation', 'Condition')""",
)
# `g` is the round: every round copies each template once, the oldest round first.
_KEY = "((g * k.cases + k.i) * 1024 + k.rank)"
_EARLIER = f"(:last - g) * k.cases * {_STEP}"
_OWNER = "CASE WHEN g % 10 = 0 AND g < :own THEN {0} ELSE 'o' || (g % 997) END"


def _id(column: str) -> str:
    return f"md5({column} || ':' || g)::uuid::text"


def _statements() -> Iterator[tuple[str, str, str]]:
    """Table, its columns as selected, and what they are selected from."""
    of_key = "{0} t JOIN template k ON k.key = t.key"
    yield (
        "resource",
        (
            f"{_KEY}, t.type, {_id('t.id')}, t.version, t.last_updated - {_EARLIER}, "
            "t.deleted, t.body"
        ),
        of_key,
    )
    code = f"CASE WHEN t.parameter IN {_of(_UNIQUE)} THEN t.code || g ELSE t.code END"
    yield ("search_token", f"{_KEY}, t.parameter, t.n, {code}, t.system", of_key)
    name = f"CASE WHEN t.parameter IN {_of(_NAMES)} THEN t.value || g ELSE t.value END"
    yield (
        "search_string",
        f"{_KEY}, t.parameter, t.n, {name}, t.rest, t.exact",
        of_key,
    )
    target = (
        "CASE WHEN EXISTS (SELECT 1 FROM template o WHERE o.type = t.target_type AND "
        f"o.id = t.target_id) THEN {_id('t.target_id')} ELSE t.target_id END"
    )
    yield (
        "search_reference",
        f"{_KEY}, t.parameter, t.n, {target}, t.target_type, t.version",
        of_key,
    )
    moved = "CASE WHEN abs(t.{0}) > 4e15 THEN t.{0} ELSE t.{0} - " + _EARLIER + " END"
    yield (
        "search_date",
        f"{_KEY}, t.parameter, t.n, {moved.format('low')}, {moved.format('high')}",
        of_key,
    )
    yield ("search_uri", f"{_KEY}, t.parameter, t.n, t.value", of_key)
    of_case = "{0} t JOIN template_case k ON k.id = t.id"
    ids = ("t.patient", "t.service_request", "t.parent_task")
    yield (
        "case_",
        (
            f"{_id('t.id')}, t.programme, {_OWNER.format('t.source')}, "
            f"t.correlation || g, {', '.join(_id(one) for one in ids)}, t.consent, "
            f"t.provided_at - {_EARLIER}, t.opened_at - {_EARLIER}, t.closed_at"
        ),
        of_case,
    )
    in_case = "{0} t JOIN template_case k ON k.id = t.case_id"
    yield (
        "case_resource",
        f"t.type, {_id('t.id')}, {_id('t.case_id')}, t.data_class, t.author",
        in_case + " JOIN template o ON o.type = t.type AND o.id = t.id",
    )
    yield (
        "grant_",
        (
            f"{_id('t.id')}, {_id('t.case_id')}, {_OWNER.format('t.organisation')}, "
            f"t.role, t.basis, t.consent, t.clause, t.classes, t.starts - {_EARLIER}, "
            "t.ends, t.closed_at, t.closed_because"
        ),
        in_case,
    )


def _of(codes: Iterable[str]) -> str:
    found = [
        str(rows[code].number)
        for rows in definitions().values()
        for code in codes
        if code in rows
    ]
    return f"({', '.join(found)})"


def is_prepared(engine: Engine) -> bool:
    """True when the templates were taken before."""
    return inspect(engine).has_table("template")


def prepare(engine: Engine) -> int:
    """Take the cases that are there as templates; how many."""
    with engine.begin() as connection:
        for statement in _TEMPLATES:
            connection.execute(text(statement))
        connection.execute(text("CREATE INDEX ON template (type, id)"))
        connection.execute(text("ANALYZE template"))
        count = text("SELECT count(*) FROM template_case")
        return int(connection.execute(count).scalar_one())


def fill(engine: Engine, cases: int) -> None:
    """Copy the templates until there are `cases` cases beside them."""
    with engine.begin() as connection:
        templates = int(
            connection.execute(text("SELECT count(*) FROM template_case")).scalar_one()
        )
        present = int(
            connection.execute(text("SELECT count(*) FROM case_")).scalar_one()
        )
    first, last = (present - templates) // templates, cases // templates
    if first >= last:
        return
    step = max(1, _AT_ONCE // templates)
    with _bare(engine, is_large=(last - first) * templates > _AT_ONCE):
        for start in range(first, last, step):
            bounds = {"from": start, "to": min(start + step, last) - 1}
            with engine.begin() as connection:
                _copy(
                    connection, {**bounds, "last": last, "own": 10 * OWN // templates}
                )
    with engine.connect() as connection:
        plain = connection.execution_options(isolation_level="AUTOCOMMIT")
        plain.execute(text("VACUUM (ANALYZE)"))


def _copy(connection: Connection, values: dict[str, int]) -> None:
    for table, selected, joined in _statements():
        connection.execute(
            text(
                f"INSERT INTO {table} SELECT {selected} FROM {joined.format(table)} "
                "CROSS JOIN generate_series(CAST(:from AS bigint), :to) AS g"
            ),
            values,
        )


@contextmanager
def _bare(engine: Engine, *, is_large: bool) -> Iterator[None]:
    """Without indexes and foreign keys while much is copied."""
    if not is_large:
        yield
        return
    tables = tuple(table for table, _selected, _joined in _statements())
    with engine.begin() as connection:
        made = connection.execute(_MADE, {"tables": list(tables)}).all()
        for row in made:
            connection.execute(text(row.drop))
    yield
    for row in reversed(made):
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL maintenance_work_mem = '1GB'"))
            connection.execute(text(row.make))


# Foreign keys, then constraints, then the other indexes: dropped in this order.
_MADE = text(
    """
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
             AS drop,
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname,
             pg_get_constraintdef(oid)) AS make,
           CASE contype WHEN 'f' THEN 0 ELSE 1 END AS place
    FROM pg_constraint WHERE conrelid::regclass::text = ANY(:tables)
      AND contype IN ('f', 'p', 'u')
    UNION ALL
    SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid), 2
    FROM pg_index WHERE indrelid::regclass::text = ANY(:tables)
      AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)
    ORDER BY place
    """
)
