"""A login says whom its provider vouched for: an account may be several of one provider's"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

#: of several, whom the provider spoke of last: the others are most likely gone there
_SUBJECTS = """UPDATE login SET subject = (
 SELECT identity.subject FROM identity
 WHERE identity.account_id = login.account_id AND identity.provider_id = login.provider_id
 ORDER BY identity.seen_at DESC LIMIT 1)
 WHERE ended_at IS NULL AND upstream IS NOT NULL"""


def upgrade() -> None:
    op.add_column("login", sa.Column("subject", sa.Text(), nullable=True))
    op.execute(sa.text(_SUBJECTS))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
