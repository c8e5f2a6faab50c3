"""What the authorization server keeps: clients, access tokens, used assertions.

Moments are microseconds since 1970 UTC (`hub.fhir.dates.micros`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
)

from hub.database import metadata

client = Table(
    "smart_client",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("organisation", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("roles", Text, nullable=False),  # words separated by one space
    Column("scopes", Text, nullable=False),  # SMART v2 words
    Column("default_scope", Text),
    Column("algorithms", Text, nullable=False),  # words: RS384, ES384
    Column("jwks", Text),  # JSON; exactly one of jwks and jwks_url is set
    Column("jwks_url", Text),
    Column("introspects", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

token = Table(
    "smart_token",
    metadata,
    # SHA-256 in hexadecimal: who reads the database cannot use what is in it.
    Column("digest", Text, primary_key=True),
    Column("client_id", ForeignKey("smart_client.client_id"), nullable=False),
    Column("scope", Text, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Index("smart_token_expires_at", "expires_at"),
)

used_assertion = Table(
    "smart_used_assertion",
    metadata,
    # The primary key is what refuses a replay, also one in parallel.
    Column("client_id", ForeignKey("smart_client.client_id"), primary_key=True),
    Column("jti", Text, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Index("smart_used_assertion_expires_at", "expires_at"),
)
