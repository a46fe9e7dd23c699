"""Who waits for an answer: swipes as bits of the pair, and likes that were answered"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SWIPED = "EXISTS (SELECT 1 FROM swipes WHERE swipes.uid = pairs.{own} AND swipes.sid = pairs.{other})"
ANSWERED = "EXISTS (SELECT 1 FROM swipes WHERE swipes.uid = likes_in.sid AND swipes.sid = likes_in.uid)"


def upgrade() -> None:
    with op.batch_alter_table("pairs") as batch_op:
        batch_op.drop_constraint(op.f("ck_pairs_mask_range"), type_="check")
        batch_op.create_check_constraint(op.f("ck_pairs_mask_range"), "mask >= 0 AND mask <= 31")
    op.execute(f"UPDATE pairs SET mask = mask + 8 WHERE {SWIPED.format(own='uid1', other='uid2')}")
    op.execute(f"UPDATE pairs SET mask = mask + 16 WHERE {SWIPED.format(own='uid2', other='uid1')}")
    with op.batch_alter_table("likes_in") as batch_op:
        batch_op.add_column(sa.Column("is_answered", sa.SmallInteger(), nullable=False, server_default="0"))
    op.execute(f"UPDATE likes_in SET is_answered = 1 WHERE {ANSWERED}")
    with op.batch_alter_table("likes_in") as batch_op:
        batch_op.alter_column("is_answered", existing_type=sa.SmallInteger(), existing_nullable=False, server_default=None)
        batch_op.create_index(
            op.f("ix_likes_in_sid_is_answered_is_super_liked_at"), ["sid", "is_answered", "is_super", "liked_at"]
        )
        batch_op.drop_index(op.f("ix_likes_in_sid_is_super_liked_at"))


def downgrade() -> None:
    with op.batch_alter_table("likes_in") as batch_op:
        batch_op.create_index(op.f("ix_likes_in_sid_is_super_liked_at"), ["sid", "is_super", "liked_at"])
        batch_op.drop_index(op.f("ix_likes_in_sid_is_answered_is_super_liked_at"))
        batch_op.drop_column("is_answered")
    op.execute("UPDATE pairs SET mask = mask % 8")
    with op.batch_alter_table("pairs") as batch_op:
        batch_op.drop_constraint(op.f("ck_pairs_mask_range"), type_="check")
        batch_op.create_check_constraint(op.f("ck_pairs_mask_range"), "mask >= 0 AND mask <= 7")
