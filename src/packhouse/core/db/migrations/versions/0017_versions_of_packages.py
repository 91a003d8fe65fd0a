"""The versions of a package, and the files of one, are found without a look at all its records"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_record_version", "record", ["name", "version"])


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
