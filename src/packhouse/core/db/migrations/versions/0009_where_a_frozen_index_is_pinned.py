"""To which revision the index of a frozen channel is pinned"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("channel", sa.Column("frozen_revision", INT, nullable=True))
    op.execute(
        "UPDATE channel SET frozen_revision = (SELECT revision FROM head WHERE head.channel_id = channel.id)"
        " WHERE frozen_at IS NOT NULL"
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
