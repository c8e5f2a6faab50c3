"""Record what was done, in the transaction in which it was done (security.md §4)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from hub.actor import Actor
from hub.audit.caller import caller
from hub.audit.columns import unversioned
from hub.audit.event import Facts, Observer, Peer, build
from hub.audit.kinds import KINDS, Kind
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

    One row per patient (a search: per patient disclosed), one row when there is none;
    of several targets each has its own (BALP: one data entity), but the Consents of a
    decision stand together. `interaction` is a FHIR interaction (`read`,
    `search-type`, ...) or another of `KINDS` (`consent-permit`, `disclose`, `login`,
    ...). `targets` and `patients` are references (`Task/1/_history/2`, `Patient/1`;
    of `account-…` as `client|id`); `outcome` is 0, 4, 8 or 12;
    `description` is a sentence or issue ids of ours without personal data; `basis` a
    legal-basis code; `address` the endpoint of a delivery (a request's is known:
    caller.py); `recipient` an organisation id, for `disclose` and `consent-permit`.
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
        request_id=actor.request_id if actor else caller().request_id,
        correlation_id=actor.correlation_id if actor else "",
        details=details or {},
    )
    peer = _peer(actor, address or caller().address, recipient)
    rows = [
        _row(_observer(session), peer, one, patient)
        for one in _apart(facts)
        for patient in patients or (None,)
    ]
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


def _apart(facts: Facts) -> list[Facts]:
    is_whole = len(facts.targets) < 2 or KINDS[facts.interaction].shape == "consent"  # noqa: PLR2004 - one target needs no parting
    return [facts] if is_whole else [replace(facts, targets=[t]) for t in facts.targets]


def _row(
    observer: Observer, peer: Peer, facts: Facts, patient: str | None
) -> dict[str, Any]:
    kind = KINDS[facts.interaction]
    id_ = str(uuid4())
    return {
        "id": id_,
        "recorded": micros(facts.at),
        "patient": patient,
        "organisation": peer.organisation or None,
        "client": _client(kind, peer),
        "entity": _entity(kind, facts),
        "action": kind.action,
        "type": kind.type["code"],
        "subtype": kind.subtype["code"],
        "outcome": facts.outcome,
        "body": build(id_, observer, peer, facts, patient),
    }


def _client(kind: Kind, peer: Peer) -> str | None:
    # A disclosure has two organisations and no client.
    return None if kind.shape == "disclosure" else peer.client_id or None


def _entity(kind: Kind, facts: Facts) -> str | None:
    if kind.shape == "account" or not facts.targets:
        return None
    return unversioned(facts.targets[0])
