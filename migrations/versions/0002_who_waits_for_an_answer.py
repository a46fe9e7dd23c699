"""Who waits for an answer: swipes as bits of the pair, and likes that were answered

The workers of the release before write none of it: none of theirs, web or Celery, should run any more.
"""

import sqlalchemy as sa
from alembic import op

from swiper.db.online_ddl import add_column, create_index, drop_index, in_batches, set_not_null, widen_check

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PAIRS = sa.table("pairs", sa.column("uid1"), sa.column("uid2"), sa.column("mask"))
LIKES = sa.table("likes_in", sa.column("sid"), sa.column("uid"), sa.column("is_answered"))
SWIPED = "CASE WHEN EXISTS (SELECT 1 FROM swipes WHERE swipes.uid = {own} AND swipes.sid = {other}) THEN {bit} ELSE 0 END"


def upgrade() -> None:
    widen_check("pairs", "ck_pairs_mask_range", "mask >= 0 AND mask <= 31", "mask", sa.SmallInteger())
    first = SWIPED.format(own="pairs.uid1", other="pairs.uid2", bit=8)
    second = SWIPED.format(own="pairs.uid2", other="pairs.uid1", bit=16)
    mask = sa.literal_column(f"(mask & 7) + {first} + {second}")
    in_batches(sa.update(PAIRS).values(mask=mask), PAIRS.c.uid1, PAIRS.c.uid2)
    add_column("likes_in", sa.Column("is_answered", sa.SmallInteger(), nullable=True))
    answered = sa.literal_column(SWIPED.format(own="likes_in.sid", other="likes_in.uid", bit=1))
    in_batches(
        sa.update(LIKES).values(is_answered=answered).where(LIKES.c.is_answered.is_(None)), LIKES.c.sid, LIKES.c.uid
    )
    set_not_null("likes_in", "is_answered", sa.SmallInteger())
    create_index(
        "ix_likes_in_sid_is_answered_is_super_liked_at", "likes_in", ["sid", "is_answered", "is_super", "liked_at"]
    )
    drop_index("ix_likes_in_sid_is_super_liked_at", "likes_in")


def downgrade() -> None:
    with op.batch_alter_table("likes_in") as batch_op:
        batch_op.create_index(op.f("ix_likes_in_sid_is_super_liked_at"), ["sid", "is_super", "liked_at"])
        batch_op.drop_index(op.f("ix_likes_in_sid_is_answered_is_super_liked_at"))
        batch_op.drop_column("is_answered")
    op.execute("UPDATE pairs SET mask = mask % 8")
    if op.get_context().dialect.name == "mysql":
        # There the check is one of the column, or of the table where an earlier release has made it.
        op.execute("ALTER TABLE pairs MODIFY mask SMALLINT NOT NULL, DROP CONSTRAINT IF EXISTS ck_pairs_mask_range")
        op.execute("ALTER TABLE pairs ADD CONSTRAINT ck_pairs_mask_range CHECK (mask >= 0 AND mask <= 7)")
        return
    with op.batch_alter_table("pairs") as batch_op:
        batch_op.drop_constraint(op.f("ck_pairs_mask_range"), type_="check")
        batch_op.create_check_constraint(op.f("ck_pairs_mask_range"), "mask >= 0 AND mask <= 7")
