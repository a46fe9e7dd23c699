"""How far each backfill is: rows that a release fills while it runs"""

import sqlalchemy as sa
from alembic import op

import swiper.db.types

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backfills",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("last_key", sa.Text(), nullable=False),
        sa.Column("rows_left", sa.BigInteger(), nullable=False),
        sa.Column("rows_changed", sa.BigInteger(), nullable=False),
        sa.Column("added_at", swiper.db.types.UtcDateTime(), nullable=False),
        sa.Column("finished_at", swiper.db.types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_backfills")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def downgrade() -> None:
    op.drop_table("backfills")
