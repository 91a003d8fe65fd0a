"""A ruleset that is taken away from a channel and given back while it is prepared is prepared from the start"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("channel", sa.Column("assignment", INT, server_default="0", nullable=False))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
