"""What each stretch of a membership has cost, and how often a sale's place was left unpaid

Nothing is filled in: a membership without such rows is credited by list price, at most by all that was paid.
"""

import sqlalchemy as sa
from alembic import op

import swiper.db.types
from swiper.db.online_ddl import add_column

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "paid_periods",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("starts_at", swiper.db.types.UtcDateTime(), nullable=False),
        sa.Column("ends_at", swiper.db.types.UtcDateTime(), nullable=False),
        sa.Column("paid_cents", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid", "id", name=op.f("pk_paid_periods")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )
    add_column("tickets", sa.Column("lapses", sa.SmallInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("tickets") as batch_op:
        batch_op.drop_column("lapses")
    op.drop_table("paid_periods")
