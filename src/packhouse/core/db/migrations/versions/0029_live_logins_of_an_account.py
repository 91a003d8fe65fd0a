"""The live logins of an account are found without reading those that are over"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    live = sa.text("ended_at IS NULL")
    op.create_index("ix_login_live", "login", ["account_id", "kind", "id"], sqlite_where=live, postgresql_where=live)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
