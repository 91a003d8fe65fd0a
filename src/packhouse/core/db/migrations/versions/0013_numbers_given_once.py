"""Numbers of feeds and reservations are given once: a list from before names none that came later"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return  # sequences of PostgreSQL give none twice
    for table in ("feed", "reservation"):
        with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": True}):
            pass


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
