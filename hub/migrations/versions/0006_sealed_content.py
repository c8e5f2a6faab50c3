"""Content sealed at rest, and clients bound to a certificate

Revision ID: 0006
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sealed_content",
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_index(
        "ix_sealed_content_key_id", "sealed_content", ["key_id"], unique=False
    )
    op.create_table(
        "content_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


    op.add_column("smart_client", sa.Column("certificate", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("smart_client", "certificate")
    op.drop_table("content_key")
    op.drop_table("sealed_content")
