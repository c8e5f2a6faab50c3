"""Which rows are sealed with which key, and which keys were ever used."""

from sqlalchemy import Column, LargeBinary, Table, Text

from hub.database import metadata

# `place` is what the seal is bound to: Type/id/_history/version, outbox/id, …
sealed_content = Table(
    "sealed_content",
    metadata,
    Column("place", Text, primary_key=True),
    Column("key_id", Text, nullable=False, index=True),
)

# `proof` is a known word sealed with the key: another key under its id is found out.
content_key = Table(
    "content_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("proof", LargeBinary, nullable=False),
)
