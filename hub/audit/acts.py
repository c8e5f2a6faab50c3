"""What the log says about who saw a person's data: rows read as plain facts.

Writing is not seeing, and what was refused was not seen: neither is an act here.
"""

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

import orjson
from sqlalchemy import select

from hub.audit.tables import audit_event
from hub.database import Session, flush
from hub.fhir import dates

Way = Literal["sent", "perhaps-sent", "read", "search", "report", "account"]
_READS = ("read", "vread", "history-instance", "history-type", "history-system")
_SEARCHES = ("search-type", "search-system")
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Act:
    """One organisation saw something of one person.

    `targets` are (type, id) that were shown; of a search only the `types` asked for
    are known; `message` is what kind of message was sent. `report` is a report made
    from several resources; `account` an explanation, or an account like this one.
    """

    at: datetime
    organisation: str
    way: Way
    targets: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()
    message: str = ""


def acts(
    session: Session, patient: str, since: int | None, until: int | None
) -> Iterator[Act]:
    """The acts about a person (Patient id), oldest first, read a page at a time.

    `since` <= recorded < `until`, in microseconds UTC.
    """
    flush(session)
    columns = audit_event.c
    statement = (
        select(columns.recorded, columns.organisation, columns.body)
        .where(columns.patient == f"Patient/{patient}", columns.action.in_(("R", "E")))
        .order_by(columns.recorded, columns.id)
        .execution_options(yield_per=_AT_ONCE)
    )
    if since is not None:
        statement = statement.where(columns.recorded >= since)
    if until is not None:
        statement = statement.where(columns.recorded < until)
    for row in session.execute(statement):
        found = _act(row.recorded, row.organisation or "", orjson.loads(row.body))
        if found is not None:
            yield found


def _act(recorded: int, organisation: str, event: dict[str, Any]) -> Act | None:
    code = event["subtype"][0]["code"]
    at, entities = dates.from_micros(recorded), event.get("entity", [])
    targets = tuple(_targets(entities))
    if code == "disclose":
        return _sent(at, organisation, event, entities)
    if event["outcome"] != "0":
        return None
    if code in _SEARCHES:
        return Act(at, organisation, "search", types=_asked(event))
    if code in _READS:
        return Act(at, organisation, "read" if targets else "report", targets)
    is_account = code == "operation" and targets
    return Act(at, organisation, "account", targets) if is_account else None


def _sent(
    at: datetime,
    organisation: str,
    event: dict[str, Any],
    entities: list[dict[str, Any]],
) -> Act | None:
    """A delivery; one that failed after a try may have been read all the same."""
    details = {
        one["type"]: one["valueString"]
        for entity in entities
        for one in entity.get("detail", ())
    }
    if event["outcome"] != "0" and details.get("attempts", "0") == "0":
        return None
    way: Way = "sent" if event["outcome"] == "0" else "perhaps-sent"
    return Act(at, organisation, way, message=details.get("kind", ""))


def _targets(entities: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for entity in entities:
        reference = (entity.get("what") or {}).get("reference", "")
        is_person = (entity.get("role") or {}).get("code") == "1"
        kind, _, rest = reference.partition("/")
        if rest and not is_person:
            yield kind, rest.partition("/")[0]


def _asked(event: dict[str, Any]) -> tuple[str, ...]:
    """The types that a recorded search asked for: `Task?…`, `?_type=A,B`, `P/x/T?…`."""
    for entity in event.get("entity", ()):
        if "query" in entity:
            path, _, query = _decoded(entity["query"]).partition("?")
            last = unquote(path.rpartition("/")[2])
            named = ",".join(parse_qs(query).get("_type", ())).split(",")
            return (last,) if last else tuple(filter(None, named))
    return ()


def _decoded(text: str) -> str:
    return b64decode(text).decode("utf-8", "replace")
