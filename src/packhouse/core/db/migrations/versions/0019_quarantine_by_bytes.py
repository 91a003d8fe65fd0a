"""What is in quarantine is found by its bytes alone: no query used the index by name"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_quarantine_name", table_name="quarantine")


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
