"""Since when the rules of a channel hold"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("channel", sa.Column("ruleset_since", sa.BigInteger()))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
