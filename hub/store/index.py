"""Keep the search index in step with the resources."""

from typing import Any

from sqlalchemy import delete, select

from hub.database import Session, collect, flush
from hub.fhir.json import decode
from hub.store import extract, tables
from hub.store.stored import columns, from_row

_DEPTH = 1000  # what is stored was checked before
_BATCH = 500  # resources read at a time when rebuilding


def add(session: Session, key: int, rows: extract.Rows) -> None:
    """Collect the index rows of a new resource."""
    for table, some in rows.items():
        if some:
            collect(session, table, (_keyed(row, key) for row in some))


def change(
    session: Session, key: int, before: extract.Rows, after: extract.Rows
) -> None:
    """Replace the rows of the tables in which something differs.

    The rows before and after come from `extract.rows`; `before` may be empty.
    """
    for table in tables.INDEXES:
        if before.get(table, []) != after[table]:
            session.execute(delete(table).where(table.c.key == key))
            collect(session, table, (_keyed(row, key) for row in after[table]))


def clear(session: Session, key: int) -> None:
    """Remove every index row of a resource."""
    for table in tables.INDEXES:
        session.execute(delete(table).where(table.c.key == key))


def rebuild(session: Session, resource_type: str, base_url: str = "") -> int:
    """Index all resources of a type anew; returns how many.

    Needed after the definitions have changed. Runs in the caller's transaction.
    """
    flush(session)
    done, last = 0, -1
    while batch := _batch(session, resource_type, last):
        for key, body in batch:
            clear(session, key)
            add(session, key, extract.rows(decode(body, _DEPTH), base_url))
        flush(session)
        done, last = done + len(batch), batch[-1][0]
    return done


def _batch(session: Session, resource_type: str, last: int) -> list[tuple[int, bytes]]:
    r = tables.resource
    query = (
        select(*columns(r), r.c.key)
        .where(r.c.type == resource_type, r.c.key > last, ~r.c.deleted)
        .order_by(r.c.key)
        .limit(_BATCH)
    )
    return [(row.key, from_row(session, row).body) for row in session.execute(query)]


def _keyed(row: dict[str, Any], key: int) -> dict[str, Any]:
    row["key"] = key
    return row
