"""Single downloads: when what they have in common was needed last, and on PostgreSQL the table of their partitions"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for table in ("agent", "cve_set"):
        op.add_column(table, sa.Column("last_day", INT, server_default="0", nullable=False))
        op.create_index(f"ix_{table}_last_day", table, ["last_day"])
    if op.get_bind().dialect.name == "postgresql":
        # SQLite has a file for each month instead
        op.create_table(
            "download_item",
            sa.Column("day", sa.Integer(), nullable=False),
            sa.Column("at", sa.BigInteger(), nullable=False),
            sa.Column("file_id", sa.BigInteger(), nullable=False),
            sa.Column("channel_id", sa.BigInteger(), nullable=False),
            sa.Column("account_id", sa.BigInteger(), nullable=False),
            sa.Column("token", sa.Uuid(), nullable=True),
            sa.Column("address", sa.Text(), nullable=False),
            sa.Column("agent_id", sa.BigInteger(), nullable=False),
            sa.Column("cve_set_id", sa.BigInteger(), nullable=True),
            postgresql_partition_by="RANGE (day)",
        )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
