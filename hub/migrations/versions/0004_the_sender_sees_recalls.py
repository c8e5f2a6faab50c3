"""A data class for recalls: every sender sees those of its own referrals

Revision ID: 0004
Revises: 0002
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_RECALL = 64  # DataClass.RECALL


def upgrade() -> None:
    op.execute(
        f"UPDATE grant_ SET classes = classes | {_RECALL} "  # noqa: S608 - a number
        "WHERE role = 'source'"
    )


def downgrade() -> None:
    op.execute(f"UPDATE grant_ SET classes = classes & {_RECALL - 1}")  # noqa: S608
