"""The second encoding of a record is the format's own, be it msgpack or none"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE record_body RENAME COLUMN msgpack TO packed")


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
