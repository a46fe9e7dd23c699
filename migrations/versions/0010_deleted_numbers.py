"""What the number of a deleted account keeps for a while, by its keyed digest"""

import sqlalchemy as sa
from alembic import op

import swiper.db.types

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OPTIONS = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "deleted_numbers",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("deleted_at", swiper.db.types.UtcDateTime(), nullable=False),
        sa.Column("is_suspended", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("until", swiper.db.types.UtcDateTime(), nullable=True),
        sa.Column("kept", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_deleted_numbers")),
        **OPTIONS,
        if_not_exists=True,
    )
    op.create_index(op.f("ix_deleted_numbers_deleted_at"), "deleted_numbers", ["deleted_at"], if_not_exists=True)
    op.create_table(
        "ended_matches",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ended_at", swiper.db.types.UtcDateTime(), nullable=False),
        sa.Column("deleted_at", swiper.db.types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "uid", name=op.f("pk_ended_matches")),
        **OPTIONS,
        if_not_exists=True,
    )
    for column in ("uid", "deleted_at"):
        op.create_index(op.f(f"ix_ended_matches_{column}"), "ended_matches", [column], if_not_exists=True)


def downgrade() -> None:
    op.drop_table("ended_matches")
    op.drop_table("deleted_numbers")
