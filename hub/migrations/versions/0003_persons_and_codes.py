"""Persons who log in, authorization codes, and what clients may do with them

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column(
            "grant_types",
            sa.Text(),
            server_default="client_credentials",
            nullable=False,
        ),
        sa.Column("redirect_uris", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "high_assurance", sa.Boolean(), server_default=sa.false(), nullable=False
        ),
    ):
        op.add_column("smart_client", column)
    for name in ("person", "code"):
        op.add_column("smart_token", sa.Column(name, sa.Text(), nullable=True))
    op.create_index("ix_smart_token_code", "smart_token", ["code"])
    _create_person()
    _create_login()
    _create_code()


def downgrade() -> None:
    for table in ("smart_code", "smart_login", "smart_person"):
        op.drop_table(table)
    op.drop_index("ix_smart_token_code", "smart_token")
    for name in ("code", "person"):
        op.drop_column("smart_token", name)
    for name in ("high_assurance", "redirect_uris", "grant_types"):
        op.drop_column("smart_client", name)


def _create_person() -> None:
    op.create_table(
        "smart_person",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("practitioner", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "issuer", "subject", "organisation", name="smart_person_subject"
        ),
    )


def _create_login() -> None:
    op.create_table(
        "smart_login",
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("state"),
    )
    op.create_index("ix_smart_login_expires_at", "smart_login", ["expires_at"])


def _create_code() -> None:
    op.create_table(
        "smart_code",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["smart_client.client_id"]),
        sa.ForeignKeyConstraint(["person"], ["smart_person.id"]),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_smart_code_expires_at", "smart_code", ["expires_at"])
