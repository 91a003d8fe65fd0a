"""Who downloaded which file since when; both outlast the file and the account"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "downloaded",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("entry_id", INT, nullable=False),
        sa.Column("record_id", INT, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("record_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("channel_id", INT, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("entry_id", "record_id", "sha256", name=op.f("uq_downloaded_entry_id_record_id_sha256")),
    )
    op.create_index("ix_downloaded_content", "downloaded", ["sha256"])
    op.create_index("ix_downloaded_name", "downloaded", ["name", "version"])
    op.create_index("ix_downloaded_record", "downloaded", ["record_sha256"])
    op.create_table(
        "download_by",
        sa.Column("file_id", INT, nullable=False),
        sa.Column("day", INT, nullable=False),
        sa.Column("account_id", INT, nullable=False),
        sa.Column("count", INT, nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["downloaded.id"]),
        sa.PrimaryKeyConstraint("file_id", "day", "account_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_download_by_account", "download_by", ["account_id", "day"])
    op.create_table(
        "former_account",
        sa.Column("account_id", INT, autoincrement=False, nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
