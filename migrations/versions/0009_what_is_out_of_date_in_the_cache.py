"""What is out of date in the cache, noted by the transaction that has changed it

The release before adds no rows: while its workers still run, what they change is known as it was in that release.
"""

import sqlalchemy as sa
from alembic import op

import swiper.db.types

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invalidations",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created_at", swiper.db.types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", "id", name=op.f("pk_invalidations")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )
    op.create_index(op.f("ix_invalidations_created_at"), "invalidations", ["created_at"], if_not_exists=True)


def downgrade() -> None:
    op.drop_table("invalidations")
