"""Resources and their versions: create, update, delete, read, vread, history.

The bytes that are stored are the bytes that are answered. Reads never parse them.
Content (`hub.sealing`) is sealed on the way in and opened on the way out.
"""

import threading
import time
from collections.abc import Iterable
from datetime import datetime
from secrets import randbits
from typing import Any
from uuid import uuid4

from sqlalchemy import Select, bindparam, select
from sqlalchemy import update as sql_update

from hub import sealing
from hub.database import Session, collect, flush, run
from hub.fhir.dates import from_micros, instant, micros
from hub.fhir.json import Resource, encode
from hub.fhir.outcome import FhirError, issue
from hub.store import extract, index
from hub.store.history import History, history
from hub.store.stored import Stored, StoredRow, columns, from_row, place
from hub.store.tables import resource as current
from hub.store.tables import resource_version as former
from hub.store.visibility import Visible, restricted

__all__ = [
    "CURRENT",
    "History",
    "Stored",
    "create",
    "delete",
    "history",
    "read",
    "read_many",
    "read_row",
    "update",
    "vread",
]

# Built once: making a statement costs as much as running it.
_OF = {
    table: select(*columns(table)).where(
        table.c.type == bindparam("type"), table.c.id == bindparam("id")
    )
    for table in (current, former)
}
_VERSION_OF = {
    table: query.where(table.c.version == bindparam("version"))
    for table, query in _OF.items()
}
CURRENT = _OF[current]
_MANY = 500  # keys of one statement: SQLite takes 32,766 parameters at most
_CURRENT = CURRENT.add_columns(current.c.key)


class _Keys:
    """Integer keys in the order of creation, without asking the database.

    Microseconds since 2020 and 12 random bits. Only writing transactions take keys,
    and the database lets one write at a time, so two processes do not meet either;
    the primary key would refuse it if clocks ever conspired.
    """

    _SINCE = 1_577_836_800_000_000

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        moment = time.time_ns() // 1000 - self._SINCE
        with self._lock:
            self._last = max(self._last + 1, moment << 12 | randbits(12))
            return self._last


_keys = _Keys()


def create(
    session: Session,
    resource: Resource,
    *,
    id: str | None,
    at: datetime,
    base_url: str = "",
) -> Stored:
    """Store a new resource as version 1; a random id unless `id` is given.

    `resource` is left as it is; in the stored copy `id`, `meta.versionId` and
    `meta.lastUpdated` are ours and everything else is untouched. `at` is the moment
    of the write, taken inside the transaction (polling relies on it); it is kept in
    whole milliseconds, as instants show. The rows are written at the next flush.
    An `id` in use is an IntegrityError there: look first.
    """
    new = _stamp(resource, id or str(uuid4()), 1, at)
    key = _keys.next()
    collect(session, current, [{"key": key, **_columns(session, new)}])
    index.add(session, key, extract.rows(resource, base_url))
    return new


def update(
    session: Session,
    resource: Resource,
    *,
    expected: int | None,
    at: datetime,
    base_url: str = "",
) -> Stored:
    """Store the next version of `resource["id"]`; a deleted one comes back.

    `expected` is the version the writer has seen, None when it does not say.
    Raises FhirError HUB-REST-008 (412) when another version is current, and
    HUB-REST-001 (404) when there is no such resource.
    """
    resource_type, id_ = resource["resourceType"], resource["id"]
    found = _require(session, resource_type, id_, expected)
    new = _stamp(resource, id_, found.version + 1, _after(found, at))
    _replace(session, found, new)
    before = (
        extract.rows(from_row(session, found).resource(), base_url)
        if found.body
        else {}
    )
    index.change(session, found.key, before, extract.rows(resource, base_url))
    return new


def delete(
    session: Session,
    resource_type: str,
    id: str,
    *,
    expected: int | None,
    at: datetime,
) -> Stored:
    """Mark as deleted, which is a version of its own; the former ones stay.

    Deleting what is deleted changes nothing and returns that version. Raises as
    `update`.
    """
    found = _require(session, resource_type, id, expected)
    if found.deleted:
        return from_row(session, found)
    moment = _after(found, at)
    new = Stored(resource_type, id, found.version + 1, moment, b"", deleted=True)
    _replace(session, found, new)
    index.clear(session, found.key)
    return new


def read(
    session: Session, resource_type: str, id: str, visible: Visible
) -> Stored | None:
    """The current version, deleted or not; None when absent or not `visible`."""
    row = read_row(session, CURRENT, (resource_type, id), visible)
    return from_row(session, row) if row else None


def read_row(
    session: Session, query: Select[Any], key: tuple[str, str], visible: Visible
) -> StoredRow | None:
    """`read` of a (type, id) as a row: of CURRENT, or CURRENT with more columns.

    The query is a constant of its module, so that it is built once.
    """
    flush(session)
    shown, values = restricted(query, current, visible)
    return run(session, shown, {"type": key[0], "id": key[1], **values}).one_or_none()


def read_many(
    session: Session, keys: Iterable[tuple[str, str]], visible: Visible
) -> list[Stored]:
    """The current versions of (type, id) keys, in their order; `visible` ones alone.

    One statement for every five hundred keys; unknown keys are left out.
    """
    flush(session)
    wanted = list(dict.fromkeys(keys))
    found: dict[tuple[str, str], Stored] = {}
    for start in range(0, len(wanted), _MANY):
        some = wanted[start : start + _MANY]
        query = select(*columns(current)).where(
            current.c.type.in_({type_ for type_, _id in some}),
            current.c.id.in_([id_ for _type, id_ in some]),
            visible(current),
        )
        found |= {
            (row.type, row.id): from_row(session, row) for row in session.execute(query)
        }
    return [found[key] for key in wanted if key in found]


def vread(
    session: Session, resource_type: str, id: str, version: int, visible: Visible
) -> Stored | None:
    """That version, deleted or not; None when absent or not `visible`."""
    flush(session)
    key = {"type": resource_type, "id": id, "version": version}
    for table, query in _VERSION_OF.items():
        shown, values = restricted(query, table, visible)
        row = run(session, shown, {**key, **values}).one_or_none()
        if row:
            return from_row(session, row)
    return None


def _require(
    session: Session, resource_type: str, id: str, expected: int | None
) -> StoredRow:
    flush(session)
    found = run(session, _CURRENT, {"type": resource_type, "id": id}).one_or_none()
    if found is None:
        raise FhirError(issue("HUB-REST-001"))
    if expected not in (None, found.version):
        raise FhirError(issue("HUB-REST-008"))
    return found


def _replace(session: Session, found: StoredRow, new: Stored) -> None:
    """Compare and set: the one UPDATE decides between two writers."""
    done = session.execute(
        sql_update(current).where(
            current.c.key == found.key, current.c.version == found.version
        ),
        _columns(session, new),
    )
    if done.rowcount != 1:
        raise FhirError(issue("HUB-REST-008"))
    # SQLAlchemy names columns by a kind of string that a JSON writer refuses.
    collect(session, former, [{str(k): v for k, v in found._asdict().items()}])


def _stamp(resource: Resource, id: str, version: int, at: datetime) -> Stored:
    moment = _whole(at)
    meta = dict(resource.get("meta", {}))
    meta |= {"versionId": str(version), "lastUpdated": instant(moment)}
    # The stamped elements come first, the rest in the order received.
    stamped = {"resourceType": resource["resourceType"], "id": id, "meta": meta}
    body = encode(stamped | {k: v for k, v in resource.items() if k not in stamped})
    return Stored(resource["resourceType"], id, version, moment, body)


def _after(found: StoredRow, at: datetime) -> datetime:
    # A clock set back must not turn the order of versions around.
    return max(_whole(at), from_micros(found.last_updated))


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _columns(session: Session, stored: Stored) -> dict[str, Any]:
    body = stored.body
    if sealing.carries_content(stored.type, body) and not stored.deleted:
        where = place(stored.type, stored.id, stored.version)
        body = sealing.sealed(session, where, body)
    return {
        "type": stored.type,
        "id": stored.id,
        "version": stored.version,
        "last_updated": micros(stored.last_updated),
        "deleted": stored.deleted,
        "body": body,
    }
