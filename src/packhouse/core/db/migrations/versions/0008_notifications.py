"""Who is told what is newly found, and what was sent to whom"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "news",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("vulnerability_id", INT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "news_round",
        sa.Column("upto", INT, autoincrement=False, nullable=False),
        sa.Column("digested", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("upto"),
    )
    op.create_table(
        "silent_channel",
        sa.Column("channel_id", INT, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"]),
        sa.PrimaryKeyConstraint("channel_id"),
    )
    op.create_table(
        "subscription",
        sa.Column("channel_id", INT, nullable=False),
        sa.Column("account_id", INT, nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"]),
        sa.PrimaryKeyConstraint("channel_id", "account_id"),
    )
    op.create_index("ix_subscription_account_id", "subscription", ["account_id"])
    op.create_table(
        "mail_address",
        sa.Column("account_id", INT, autoincrement=False, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_table(
        "webhook",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("channel_id", INT, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uuid", name=op.f("uq_webhook_uuid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_channel_id", "webhook", ["channel_id"])
    op.create_table(
        "digest",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("channel_id", INT, nullable=False),
        sa.Column("upto", INT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("channel_id", "upto", name=op.f("uq_digest_channel_id_upto")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_digest_at", "digest", ["at"])
    op.create_table(
        "delivery",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("digest_id", INT, nullable=False),
        sa.Column("channel_id", INT, nullable=False),
        sa.Column("account_id", INT, nullable=True),
        sa.Column("webhook_id", INT, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["digest_id"], ["digest.id"]),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uuid", name=op.f("uq_delivery_uuid")),
        sqlite_autoincrement=True,
    )
    for column in ("digest_id", "channel_id", "account_id", "webhook_id"):
        op.create_index(f"ix_delivery_{column}", "delivery", [column])
    pending = sa.text("state = 'pending'")
    op.create_index("ix_delivery_due", "delivery", ["next_at"], sqlite_where=pending, postgresql_where=pending)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
