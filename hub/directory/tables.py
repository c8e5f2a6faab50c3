"""The directory's side tables: what routing and delivery ask, kept by `index`.

Days are ISO text (`2026-04-01`), which both databases compare correctly.
"""

from sqlalchemy import Column, Integer, Table, Text

from hub.database import metadata

organisations = Table(
    "directory_organisation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False, index=True),
    Column("municipality", Text),
    Column("programmes", Text, nullable=False),  # ids joined by one space
    Column("wording_version", Text),
    Column("telephone", Text),
    Column("active", Integer, nullable=False),
)

desks = Table(
    "directory_desk",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organisation", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("active", Integer, nullable=False),
)

jurisdictions = Table(
    "directory_jurisdiction",
    metadata,
    Column("desk", Text, primary_key=True),
    Column("number", Integer, primary_key=True),  # order within the desk
    Column("id", Text, nullable=False),
    Column("municipality", Text, nullable=False, index=True),
    Column("relation", Text, nullable=False),
    Column("confidence", Text, nullable=False),
    Column("valid_from", Text),
    Column("valid_to", Text),
    Column("neighbourhoods", Text, nullable=False),  # joined by one space
    Column("confirmed", Integer, nullable=False),
    Column("version", Text, nullable=False),
)

agreements = Table(
    "directory_agreement",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider", Text, nullable=False, index=True),
    Column("partner", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("area", Text, nullable=False, index=True),
    Column("desk", Text, nullable=False),
    Column("section", Text),
    Column("contact", Text),
    Column("telephone", Text),
    Column("signer_role", Text),
    Column("exception", Text),
    Column("active", Integer, nullable=False),
    Column("valid_from", Text),
    Column("valid_to", Text),
    Column("version", Text, nullable=False),
)

endpoints = Table(
    "directory_endpoint",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organisation", Text, nullable=False, index=True),
    Column("address", Text, nullable=False),
    Column("connection_type", Text, nullable=False),
    Column("active", Integer, nullable=False),
    Column("payload_types", Text, nullable=False),  # joined by one space
)
