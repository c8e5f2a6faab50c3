"""The store's tables: current resources, former versions, the search index.

Index rows name their resource by the integer `key` and their parameter by an
integer (`parameters.number`), so a row is some forty bytes. They carry no foreign
key: the store alone writes them, always beside their resource, and a check per row
would cost more than the row. Texts compare by code point on both databases.
"""

from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    event,
)
from sqlalchemy.types import TypeEngine

from hub.database import metadata

# PostgreSQL would order by the cluster's locale, SQLite by bytes (AB34).
Word: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")

resource = Table(
    "resource",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("type", Word, nullable=False),
    Column("id", Word, nullable=False),
    Column("version", Integer, nullable=False),
    Column("last_updated", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # Searches join by key, reads go by type and id; key order is creation order.
    UniqueConstraint("type", "id", name="resource_type_id"),
    Index("resource_type_key", "type", "key"),
    Index("resource_type_last_updated", "type", "last_updated", "key"),
    Index("resource_last_updated", "last_updated", "key"),
)

# Versions that are no longer current: a create writes one row, not two.
resource_version = Table(
    "resource_version",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("type", Word, nullable=False),
    Column("id", Word, nullable=False),
    Column("last_updated", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("resource_version_type_id", "type", "id"),
    Index("resource_version_type_last_updated", "type", "last_updated", "key"),
    Index("resource_version_last_updated", "last_updated", "key"),
)


def _index(name: str, *columns: Column[Any], by: tuple[str, ...]) -> Table:
    """An index table; `n` numbers the rows of one resource in this table.

    `by` is what a search looks up within one parameter. The resource's key is left
    out of that index: PostgreSQL then keeps a status that a million rows share once.
    """
    return Table(
        name,
        metadata,
        Column("key", BigInteger, primary_key=True, autoincrement=False),
        Column("parameter", Integer, primary_key=True, autoincrement=False),
        Column("n", Integer, primary_key=True, autoincrement=False),
        *columns,
        *(Index(f"{name}_{column}", "parameter", column) for column in by),
        sqlite_with_rowid=False,
    )


# `system` is `parameters.system_number` of the URI, 0 for none.
token = _index(
    "search_token",
    Column("code", Word, nullable=False),
    Column("system", BigInteger, nullable=False),
    by=("code",),
)

# `value` is the first characters of the folded text, `rest` the whole folded text
# when longer, `exact` the text as written when it differs from its folded form.
string = _index(
    "search_string",
    Column("value", Word, nullable=False),
    Column("rest", Word),
    Column("exact", Word),
    by=("value",),
)

# `target_type` is "" when `target_id` is a URL: a canonical, or a resource elsewhere.
reference = _index(
    "search_reference",
    Column("target_id", Word, nullable=False),
    Column("target_type", Word, nullable=False),
    Column("version", Word, nullable=False),
    by=("target_id",),
)

# Half-open [low, high) in microseconds UTC.
date = _index(
    "search_date",
    Column("low", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    by=("low", "high"),
)

# Numbers too: `code` and `unit` are then "". A plain quantity has low = high.
quantity = _index(
    "search_quantity",
    Column("low", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("system", BigInteger, nullable=False),
    Column("code", Word, nullable=False),
    Column("unit", Word, nullable=False),
    by=("low",),
)

uri = _index("search_uri", Column("value", Word, nullable=False), by=("value",))

# Two components of one element: the token it is entered by, and the columns that the
# other's own index has (`composites`).
composite = _index(
    "search_composite",
    Column("first_code", Word, nullable=False),
    Column("first_system", BigInteger, nullable=False),
    Column("code", Word),
    Column("system", BigInteger),
    Column("unit", Word),
    Column("low", Double),
    Column("high", Double),
    Column("value", Word),
    Column("rest", Word),
    Column("exact", Word),
    Column("target_id", Word),
    Column("target_type", Word),
    Column("version", Word),
    by=("first_code",),
)

INDEXES = (token, string, reference, date, quantity, uri, composite)

# Within one parameter some codes are in every third resource and some are unique:
# without this the planner takes them for equally rare (measured: 37 ms against 2 ms
# for `Task?status=requested` among 40,000 resources). Migrations run these too.
STATISTICS = tuple(
    f"CREATE STATISTICS {name}_statistics (mcv, dependencies)"
    f" ON parameter, {column} FROM {name}"
    for name, column in (("search_token", "code"), ("search_reference", "target_id"))
)
for _table, _statement in zip((token, reference), STATISTICS, strict=True):
    event.listen(
        _table,
        "after_create",
        DDL(_statement).execute_if(dialect="postgresql"),  # type: ignore[no-untyped-call]  # SQLAlchemy leaves DDL untyped
    )
