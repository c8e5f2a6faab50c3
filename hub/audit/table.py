"""AuditEvents as rows of a CSV file that a spreadsheet may open (AB21)."""

import csv
import io
from base64 import b64decode
from typing import Any

from hub.audit.columns import columns

HEADER = (
    "recorded",
    "action",
    "type",
    "subtype",
    "outcome",
    "outcome_description",
    "organisation",
    "client",
    "address",
    "patient",
    "entity",
    "query",
    "request_id",
    "correlation_id",
    "id",
)
# A cell that begins so is a formula, or hides one, in some program.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")


def line(cells: tuple[str, ...] | list[str]) -> str:
    """One line with its end, each cell quoted and none of them a formula."""
    made = io.StringIO()
    csv.writer(made, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(
        [safe(cell) for cell in cells]
    )
    return made.getvalue()


def safe(cell: str) -> str:
    """The cell as text, whatever it begins with: an apostrophe before a formula."""
    shown = cell.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return f"'{shown}" if shown.lstrip(" \u3000").startswith(_FORMULA) else shown


def row(event: dict[str, Any]) -> list[str]:
    """The cells of an event, in the order of `HEADER`."""
    known = columns(event)
    told = {
        **{name: value or "" for name, value in known.items()},
        "recorded": event["recorded"],
        "outcome_description": event.get("outcomeDesc", ""),
        "address": _address(event),
        "query": _query(event),
        "request_id": _identifier(event, "XrequestId"),
        "correlation_id": _identifier(event, "x-correlation-id"),
    }
    return [told[name] for name in HEADER]


def _address(event: dict[str, Any]) -> str:
    """Where the requestor called from."""
    for agent in event["agent"]:
        if agent["requestor"] and "address" in agent.get("network", {}):
            return str(agent["network"]["address"])
    return ""


def _query(event: dict[str, Any]) -> str:
    found = (e["query"] for e in event.get("entity", ()) if "query" in e)
    return b64decode(next(found, "")).decode("utf-8", "replace")


def _identifier(event: dict[str, Any], type_: str) -> str:
    for entity in event.get("entity", ()):
        if entity.get("type", {}).get("code") == type_:
            return str(entity["what"]["identifier"]["value"])
    return ""
