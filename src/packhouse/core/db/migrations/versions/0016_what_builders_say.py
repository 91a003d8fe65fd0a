"""Which files have statements of their builder is found without a look at all contents"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_content_built",
        "content",
        ["id"],
        sqlite_where=sa.text("judged_by_builder = 1"),
        postgresql_where=sa.text("judged_by_builder"),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
