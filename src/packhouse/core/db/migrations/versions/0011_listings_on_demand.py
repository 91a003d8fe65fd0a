"""Listings of single names that mirrors ask for on demand"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "mirror_page",
        sa.Column("mirror_id", INT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("file_count", INT, nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mirror_id"], ["mirror.id"]),
        sa.PrimaryKeyConstraint("mirror_id", "name"),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
