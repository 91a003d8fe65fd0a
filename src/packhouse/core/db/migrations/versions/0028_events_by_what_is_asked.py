"""Events are found by type, actor, object and time, and logins that are over, without reading all there are"""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_event_at", "event", ["at", "id"])
    for name in ("type", "actor", "object"):
        op.create_index(f"ix_event_{name}", "event", [name, "at", "id"])
    op.create_index("ix_login_expires_at", "login", ["expires_at"])
    op.create_index("ix_login_ended_at", "login", ["ended_at"])


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
