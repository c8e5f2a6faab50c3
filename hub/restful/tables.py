"""What was answered to a submission, so that sending it twice makes one referral."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from hub.database import metadata

submission = Table(
    "submission",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_hash", Text, nullable=False),
    Column("response", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)


def place(organisation: str, key: str) -> str:
    """What an answer that holds content is sealed for."""
    return f"submission/{organisation}/{key}"
