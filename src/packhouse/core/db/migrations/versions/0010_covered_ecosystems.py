"""Ecosystems of which advisories are known"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "covered",
        sa.Column("ecosystem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("ecosystem"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
