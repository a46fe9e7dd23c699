"""What the swipes on each person have counted, so that the ranking need not count all swipes

The tables stay empty until the first count of this release. The release before does not touch them.
"""

import sqlalchemy as sa
from alembic import op

import swiper.db.types

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

OPTIONS = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "scores",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_scores")),
        **OPTIONS,
        if_not_exists=True,
    )
    op.create_index(op.f("ix_scores_score"), "scores", ["score"], if_not_exists=True)
    op.create_table(
        "score_changes",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("swiped_at", swiper.db.types.UtcDateTime(), nullable=False),
        sa.Column("points", sa.SmallInteger(), nullable=False),
        sa.Column("is_removal", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid", "id", name=op.f("pk_score_changes")),
        **OPTIONS,
        if_not_exists=True,
    )
    op.create_table(
        "ranking_state",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("counted_until", swiper.db.types.UtcDateTime(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ranking_state")),
        **OPTIONS,
        if_not_exists=True,
    )


def downgrade() -> None:
    op.drop_table("ranking_state")
    op.drop_table("score_changes")
    op.drop_table("scores")
