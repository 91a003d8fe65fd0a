"""How far rulesets have come on their way into force"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "preparation",
        sa.Column("ruleset_id", INT, autoincrement=False, nullable=False),
        sa.Column("files", INT, nullable=False),
        sa.Column("done", INT, nullable=False),
        sa.PrimaryKeyConstraint("ruleset_id"),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
