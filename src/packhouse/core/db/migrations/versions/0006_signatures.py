"""Signatures that were found true, and the keys an administrator trusts"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "record_signature",
        sa.Column("record_id", INT, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "signed_name",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", "family", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "trusted_key",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("name", name=op.f("uq_trusted_key_name")),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
