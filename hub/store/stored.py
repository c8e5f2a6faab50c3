"""One version of a resource, as it is kept and handed out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row

from hub import sealing
from hub.database import Session
from hub.fhir.dates import from_micros
from hub.fhir.json import Resource, decode
from hub.store.tables import resource

StoredRow = Row[*tuple[Any, ...]]

# Deeper than any body the reader lets in: what is stored was checked before.
_STORED_DEPTH = 1000
_AS_IT_IS = (b"{", b"")  # JSON, or deleted: anything else is sealed


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a resource as it is kept; `body` is empty when `deleted`."""

    type: str
    id: str
    version: int
    last_updated: datetime
    body: bytes
    deleted: bool = False

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'

    @property
    def method(self) -> str:
        """The interaction that made this version, for history."""
        if self.deleted:
            return "DELETE"
        return "POST" if self.version == 1 else "PUT"

    def resource(self) -> Resource:
        """The body as JSON, a new copy on each call."""
        return decode(self.body, _STORED_DEPTH)


def columns(rows: FromClause = resource) -> tuple[ColumnElement[Any], ...]:
    """What `from_row` needs of the table of resources or of versions."""
    c = rows.c
    return (c.type, c.id, c.version, c.last_updated, c.deleted, c.body)


def place(resource_type: str, id: str, version: int) -> str:
    """What the content of a version is sealed for."""
    return f"{resource_type}/{id}/_history/{version}"


def from_row(session: Session, row: StoredRow) -> Stored:
    """A Stored from a row that has `columns`; raises as `sealing.opened`."""
    body = row.body
    if body[:1] not in _AS_IT_IS:
        where = place(row.type, row.id, row.version)
        body = sealing.opened(session, where, bytes(body))
    return Stored(
        row.type,
        row.id,
        row.version,
        from_micros(row.last_updated),
        body,
        bool(row.deleted),
    )
