"""What rules ask of files; a channel's own reasons by ruleset, so that those to come lie beside those that hold"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("entry", sa.Column("uploaded", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(
        "UPDATE entry SET uploaded = TRUE WHERE mirror_id IS NULL AND event_id IN"
        " (SELECT id FROM event WHERE type = 'artifact_registered')"
    )
    op.create_index(
        "ix_entry_uploaded",
        "entry",
        ["channel_id", "name"],
        sqlite_where=sa.text("uploaded = 1"),
        postgresql_where=sa.text("uploaded"),
    )
    for column in ("install_code", "judged_by_builder"):
        op.add_column("content", sa.Column(column, sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("UPDATE content SET install_code = TRUE WHERE facts LIKE '%\"install_code\":[%'")
    op.execute("UPDATE content SET judged_by_builder = TRUE WHERE facts LIKE '%\"security\":{%'")
    op.drop_table("verdict")
    op.create_table(
        "verdict",
        sa.Column("record_id", INT, nullable=False),
        sa.Column("content_id", INT, nullable=False),
        sa.Column("ruleset_id", INT, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "content_id", "ruleset_id"),
        sqlite_with_rowid=False,
    )
    held = sa.text("content_id != 0")
    op.create_index("ix_verdict_content", "verdict", ["content_id"], sqlite_where=held, postgresql_where=held)
    op.drop_table("overlay")
    op.create_table(
        "overlay",
        sa.Column("channel_id", INT, nullable=False),
        sa.Column("ruleset_id", INT, nullable=False),
        sa.Column("record_id", INT, nullable=False),
        sa.Column("content_id", INT, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("record_id", "content_id", "channel_id", "ruleset_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_overlay_channel", "overlay", ["channel_id", "ruleset_id"])
    ends = sa.text("until IS NOT NULL")
    op.create_index("ix_overlay_until", "overlay", ["until"], sqlite_where=ends, postgresql_where=ends)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
