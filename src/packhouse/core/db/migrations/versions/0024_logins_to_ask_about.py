"""Which logins a provider has to be asked about is read from an index of those that are live, each second"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_LIVE = sa.text("ended_at IS NULL AND upstream IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_login_federated", "login", ["provider_id", "checked_at"], sqlite_where=_LIVE, postgresql_where=_LIVE
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
