"""The secret that signed sessions before there were keys for that is of no use any more"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.text("DELETE FROM secret WHERE name = 'session-signing'"))


def downgrade() -> None:
    """The secret is not needed by what came before, which makes one where there is none."""
