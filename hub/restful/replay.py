"""Idempotent submissions: the same content or Idempotency-Key twice, one referral.

Two keys lead to a stored answer: the sender's Idempotency-Key, with the hash of the
body it came with, and the submission identifier of the ServiceRequest, which the
hub's own mappings derive from source and content.
"""

import hashlib
from datetime import datetime

from sqlalchemy import bindparam, select

from hub.actor import Actor
from hub.database import Session
from hub.fhir import dates
from hub.fhir.canonical import SUBMISSION_ID
from hub.fhir.json import decode, encode
from hub.fhir.outcome import FhirError, issue
from hub.restful.bundle import Entry
from hub.restful.tables import submission

_GIVEN = select(submission.c.body_hash, submission.c.response).where(
    submission.c.organisation == bindparam("organisation"),
    submission.c.key == bindparam("key"),
)
_INSERT = submission.insert()


def find(
    session: Session, actor: Actor, key: str | None, entries: list[Entry], body: bytes
) -> bytes | None:
    """The answer given before, its entries now saying 200; None for a new one."""
    row = _row(session, actor, f"key:{key}") if key else None
    if row is not None:
        if row.body_hash != _hash(body):
            raise FhirError(issue("HUB-REST-022"))
        return bytes(row.response)
    for identifier in _identifiers(entries):
        row = _row(session, actor, identifier)
        if row is not None:
            return _as_known(bytes(row.response))
    return None


def keep(
    session: Session,
    actor: Actor,
    key: str | None,
    entries: list[Entry],
    body: bytes,
    response: bytes,
    at: datetime,
) -> None:
    """Remember the answer under every key of this submission."""
    keys = [*_identifiers(entries), *([f"key:{key}"] if key else [])]
    rows = [
        {
            "organisation": actor.organisation,
            "key": one,
            "body_hash": _hash(body),
            "response": response,
            "at": dates.micros(at),
        }
        for one in dict.fromkeys(keys)
    ]
    if rows:
        session.execute(_INSERT, rows)


def _row(session: Session, actor: Actor, key: str):  # type: ignore[no-untyped-def] # noqa: ANN202 - a Row of the table
    asked = {"organisation": actor.organisation, "key": key}
    return session.execute(_GIVEN, asked).first()


def _identifiers(entries: list[Entry]) -> list[str]:
    return [
        f"submission:{identifier.get('value', '')}"
        for entry in entries
        if entry.type == "ServiceRequest" and entry.method == "POST" and entry.resource
        for identifier in entry.resource.get("identifier", ())
        if identifier.get("system") == SUBMISSION_ID
    ]


def _as_known(response: bytes) -> bytes:
    bundle = decode(response)
    for entry in bundle.get("entry", ()):
        entry["response"]["status"] = "200 OK"
    return encode(bundle)


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
