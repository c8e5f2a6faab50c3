"""Record what was done, in the transaction in which it was done (security.md §4)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from hub.actor import Actor
from hub.audit.event import KINDS, Facts, Observer, Peer, build
from hub.audit.tables import audit_event
from hub.database import Database, Session, collect
from hub.fhir.dates import micros
from hub.fhir.outcome import Issue

_OPTION = "audit_observer"
_DEFAULT = Observer()
_SERVER_ERROR = 500


def observe(database: Database, organisation: str, base_url: str) -> None:
    """Say once, at start-up, how the hub names itself in its log.

    `organisation` is its Organization's id. Kept with the database, so that two hubs
    in one process do not mix.
    """
    observer = Observer(organisation, base_url)
    database.carry(**{_OPTION: observer})


def record(
    session: Session,
    actor: Actor | None,
    interaction: str,
    *,
    at: datetime,
    outcome: str = "0",
    targets: Sequence[str] = (),
    patients: Sequence[str] = (),
    query: str | bytes | None = None,
    description: str = "",
    basis: str = "",
    address: str = "",
    recipient: str = "",
    details: Mapping[str, str] | None = None,
) -> list[str]:
    """Add the rows of one event to the session's transaction; their ids.

    One row per patient (a search: per patient disclosed), one row when there is none.
    `interaction` is a FHIR interaction (`read`, `search-type`, `history-instance`, ...)
    or `consent-permit`, `consent-deny`, `disclose`, `receive`, `login`. `targets` and
    `patients` are references (`Task/1/_history/2`, `Patient/1`); `outcome` is 0, 4, 8
    or 12; `description` is a sentence or issue ids of ours without personal data;
    `basis` a legal-basis code; `address` where the client called from, or for a
    delivery the endpoint; `recipient` an organisation id, for `disclose` only.
    `actor` None means that nobody was authenticated.
    """
    facts = Facts(
        interaction=interaction,
        at=at,
        outcome=outcome,
        targets=targets,
        query=query,
        description=description,
        basis=basis,
        request_id=actor.request_id if actor else "",
        correlation_id=actor.correlation_id if actor else "",
        details=details or {},
    )
    peer = _peer(actor, address, recipient)
    rows = _rows(_observer(session), peer, facts, patients or (None,))
    collect(session, audit_event, rows)
    return [row["id"] for row in rows]


def refuse(
    database: Database,
    actor: Actor | None,
    interaction: str,
    issues: Sequence[Issue],
    *,
    at: datetime,
    targets: Sequence[str] = (),
    patients: Sequence[str] = (),
    query: str | bytes | None = None,
    address: str = "",
) -> list[str]:
    """Record a refusal in its own transaction: the act's own was rolled back (A12).

    Of the issues only the ids are kept: they say which rule, and hold no input.
    """
    with database.transaction(write=False) as session:
        return record(
            session,
            actor,
            interaction,
            at=at,
            outcome=_failure(interaction, issues),
            targets=targets,
            patients=patients,
            query=query,
            description=", ".join(dict.fromkeys(i.id for i in issues)),
            address=address,
        )


def _failure(interaction: str, issues: Sequence[Issue]) -> str:
    """4 when the caller can mend it, 8 for a denied consent or our own fault."""
    if interaction == "consent-deny":
        return "8"
    return "8" if any(i.kind.status >= _SERVER_ERROR for i in issues) else "4"


def _observer(session: Session) -> Observer:
    found: Observer = session.get_execution_options().get(_OPTION, _DEFAULT)
    return found


def _peer(actor: Actor | None, address: str, recipient: str) -> Peer:
    if actor is None:
        return Peer("", recipient, address)
    return Peer(actor.client_id, recipient or actor.organisation, address, actor.person)


def _rows(
    observer: Observer, peer: Peer, facts: Facts, patients: Sequence[str | None]
) -> list[dict[str, Any]]:
    recorded = micros(facts.at)
    action = KINDS[facts.interaction].action
    rows = []
    for patient in patients:
        id_ = str(uuid4())
        row = {
            "id": id_,
            "recorded": recorded,
            "patient": patient,
            "organisation": peer.organisation or None,
            "action": action,
            "body": build(id_, observer, peer, facts, patient),
        }
        rows.append(row)
    return rows
