"""In whose place somebody owns a channel, so that an heir who is named later gets it, too"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("channel", sa.Column("heir_of", INT, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
