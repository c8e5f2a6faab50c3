"""The outbox and what is known of each endpoint. Moments are microseconds UTC."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from hub.database import metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),  # the message id, the same on every retry
    Column("kind", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("subject", Text, nullable=False),  # reference, mostly a Task
    Column("patients", Text, nullable=False),  # references, a line each, for the audit
    Column("organisation", Text, nullable=False),  # the destination: id[#subscription]
    Column("grant_id", Text),  # null: needs no grant
    Column("correlation_id", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("body", LargeBinary),  # null once delivered, withdrawn or cancelled
    Column("body_hash", LargeBinary, nullable=False),
    Column("body_size", Integer, nullable=False),
    Column("status", Text, nullable=False),
    # queued | claimed | sending | delivered | dead | withdrawn | cancelled
    Column("order_key", Text, nullable=False),  # one case at one destination
    Column("position", BigInteger, nullable=False),  # within the order key
    Column("attempts", Integer, nullable=False),  # sends begun since the last replay
    Column("sends", Integer, nullable=False),  # sends begun in all
    Column("token", Integer, nullable=False),  # fencing: grows with each claim
    Column("worker", Text),
    Column("recalled", Integer, nullable=False),  # 1: withdrawn while being sent
    Column("created", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger),
    Column("settled", BigInteger),
    Column("error", Text),  # short code of the last failure
    UniqueConstraint("order_key", "position", name="outbox_order"),
    Index("outbox_due", "organisation", "status", "next_at"),
    Index("outbox_status", "status", "lease_until"),
    Index("outbox_case", "case_id"),
)

endpoint_state = Table(
    "endpoint_state",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("disabled", Integer, nullable=False),  # 1: stopped by a person or by 410
    Column("reason", Text),  # why it is stopped, or the last failure
    Column("failures", Integer, nullable=False),  # in a row
    Column("retry_at", BigInteger, nullable=False),  # nothing is tried before
    Column("alerted", Integer, nullable=False),  # 1: this outage was reported
)


def place(id: str) -> str:
    """What a message that holds content is sealed for."""
    return f"outbox/{id}"
