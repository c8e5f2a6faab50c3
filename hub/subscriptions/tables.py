"""What the hub keeps of a Subscription besides the resource, and its events.

Moments are microseconds UTC. The resource is what is shown, with masked headers; the
row here is what is delivered by.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from hub.database import metadata

subscription = Table(
    "subscription",
    metadata,
    Column("id", Text, primary_key=True),  # Subscription.id
    Column("organisation", Text, nullable=False),  # the owner
    Column("client_id", Text, nullable=False),  # who asked for it last
    Column("status", Text, nullable=False),  # requested | active | error | off
    Column("verified", Integer, nullable=False),  # 1: the endpoint took a handshake
    Column("handshake", Text),  # outbox id of the handshake that counts
    Column("base", Text, nullable=False),  # the hub's FHIR base as it was told
    Column("topic", Text, nullable=False),
    Column("filters", Text, nullable=False),  # JSON: [[parameter, [value, …]], …]
    Column("endpoint", Text, nullable=False),
    Column("payload", Text, nullable=False),  # media type
    Column("content", Text, nullable=False),  # empty | id-only
    Column("headers", LargeBinary),  # sealed (secrets.py)
    Column("heartbeat", Integer),  # seconds
    Column("timeout", Integer),  # seconds
    Column("max_count", Integer, nullable=False),  # events in one notification
    Column("ends", BigInteger),
    Column("events", BigInteger, nullable=False),  # generated so far
    Column("errors", Text, nullable=False),  # JSON: [[moment, reason], …], last five
    Column("heartbeat_at", BigInteger),  # when the next one is due
    Index("subscription_status", "status"),
    Index("subscription_organisation", "organisation"),
    Index("subscription_heartbeat", "heartbeat_at"),
    Index("subscription_ends", "ends"),
)

subscription_event = Table(
    "subscription_event",
    metadata,
    Column("subscription_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("focus", Text, nullable=False),  # reference; a test's is its Subscription
    Column("message", Text),  # outbox id; null: not queued yet
    Index("subscription_event_message", "subscription_id", "message"),
)
