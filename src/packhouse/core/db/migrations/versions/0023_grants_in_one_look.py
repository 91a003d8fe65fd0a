"""What somebody was granted is read from an index alone, which lists of channels do each time"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_OF = {"group_grant": "group_id", "channel_grant": "user_id"}


def upgrade() -> None:
    for table, holder in _OF.items():
        op.create_index(f"ix_{table}_of", table, [holder, "channel_id", "level"])
        op.drop_index(f"ix_{table}_{holder}", table)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
