"""Where audit rows live: the events, their seals, and the head of the chain.

`audit_event` and `audit_seal` are append-only: the role the hub runs under needs
INSERT and SELECT, and UPDATE of `audit_event.seq` and `audit_head` alone (role.py).
The columns beside the body are for searching; `verify` holds them against the body.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from hub.database import metadata

audit_event = Table(
    "audit_event",
    metadata,
    Column("id", Text, primary_key=True),
    Column("recorded", BigInteger, nullable=False),  # microseconds UTC
    Column("patient", Text),  # Patient/<id>
    Column("organisation", Text),  # id part of the acting Organization
    Column("client", Text),  # OAuth client id, where the event names one
    Column("entity", Text),  # <type>/<id> of what was acted on, without a version
    Column("action", Text, nullable=False),
    Column("type", Text),  # code of AuditEvent.type
    Column("subtype", Text),  # code of AuditEvent.subtype
    Column("outcome", Text),
    Column("body", LargeBinary, nullable=False),  # the canonical bytes that are hashed
    Column("seq", BigInteger),  # set by the sealer, once
)
Index("audit_event_patient", audit_event.c.patient, audit_event.c.recorded)
Index("audit_event_organisation", audit_event.c.organisation, audit_event.c.recorded)
Index("audit_event_client", audit_event.c.client, audit_event.c.recorded)
Index("audit_event_entity", audit_event.c.entity, audit_event.c.recorded)
# What selects little (an outcome, an action) is read from here, without the bodies.
Index(
    "audit_event_recorded",
    audit_event.c.recorded,
    audit_event.c.id,
    audit_event.c.action,
    audit_event.c.outcome,
    audit_event.c.type,
    audit_event.c.subtype,
)
Index(
    "audit_event_unsealed",
    audit_event.c.recorded,
    audit_event.c.id,
    sqlite_where=audit_event.c.seq.is_(None),
    postgresql_where=audit_event.c.seq.is_(None),
)

audit_seal = Table(
    "audit_seal",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event", Text, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False),
)

# One row, id 1. Its lock is the sealer's lease: it ends with its transaction, also
# when the process dies.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)
