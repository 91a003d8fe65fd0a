"""By which engine files were judged last"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "engine",
        sa.Column("number", INT, autoincrement=False, nullable=False),
        sa.Column("following", INT, nullable=True),
        sa.Column("reached", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    # What was judged before nobody numbered engines is judged anew; where there is nothing, the first one judges.
    op.execute(
        "INSERT INTO engine (number, reached) SELECT CASE WHEN EXISTS (SELECT 1 FROM record) THEN 0 ELSE 1 END, ''"
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
