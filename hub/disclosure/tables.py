"""Tables of cases, grants and drafts. Moments are microseconds UTC.

What names a resource has the store's collation: PostgreSQL enters no index with a text
of another one, and would read every case to answer for one row.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hub.database import metadata
from hub.store.tables import Word

case = Table(
    "case_",
    metadata,
    Column("id", Text, primary_key=True),  # EpisodeOfCare.id
    Column("programme", Text, nullable=False),
    Column("source", Text, nullable=False),  # Organization id
    Column("correlation", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("service_request", Text, nullable=False),
    Column("parent_task", Text, nullable=False),
    Column("consent", Text, nullable=False),
    Column("provided_at", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Index("case_source_provided", "source", "provided_at"),
    Index("case_patient", "patient"),
    Index("case_parent_task", "parent_task"),
    Index("case_correlation", "correlation"),
)

case_resource = Table(
    "case_resource",
    metadata,
    Column("type", Word, primary_key=True),
    Column("id", Word, primary_key=True),
    Column("case_id", Text, ForeignKey("case_.id"), primary_key=True),
    Column("data_class", Integer, nullable=False),
    Column("author", Text, nullable=False),  # Organization id that wrote it first
    # A search begins with a client's cases and reads what is in them from here.
    Index(
        "case_resource_case",
        "case_id",
        "type",
        postgresql_include=["id", "data_class"],
    ),
)

grant = Table(
    "grant_",
    metadata,
    Column("id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("case_.id"), nullable=False),
    Column("organisation", Text, nullable=False),
    Column("role", Text, nullable=False),  # source | recipient | former
    Column("basis", Text, nullable=False),  # code of the legal-basis system
    Column("consent", Text, nullable=False),  # Consent/<id>/_history/<version>
    Column("clause", Text, nullable=False),  # which clause of the form covers it
    Column("classes", Integer, nullable=False),  # bits of DataClass
    Column("starts", BigInteger, nullable=False),
    Column("ends", BigInteger),
    Column("closed_at", BigInteger),
    Column("closed_because", Text),
    Index("grant_case", "case_id", "organisation"),
    Index("grant_organisation", "organisation", "case_id"),
)

draft = Table(
    "draft",
    metadata,
    Column("type", Word, primary_key=True),
    Column("id", Word, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
)
