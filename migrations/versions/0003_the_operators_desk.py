"""The operator's desk: role, suspensions with an end, audit log, figures by day; nicknames found by their beginning"""

import sqlalchemy as sa
from alembic import op

import swiper.db.types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OPTIONS = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "operators",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("granted_at", swiper.db.types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_operators")),
        **OPTIONS,
    )
    op.create_table(
        "suspensions",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("until", swiper.db.types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["uid"], ["users.id"], name=op.f("fk_suspensions_uid"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_suspensions")),
        **OPTIONS,
    )
    op.create_index(op.f("ix_suspensions_until"), "suspensions", ["until"])
    op.create_table(
        "operator_actions",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", swiper.db.types.UtcDateTime(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_actions")),
        **OPTIONS,
    )
    for column in ("uid", "action", "target"):
        op.create_index(op.f(f"ix_operator_actions_{column}_id"), "operator_actions", [column, "id"])
    op.create_table(
        "daily_figures",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "name", name=op.f("pk_daily_figures")),
        **OPTIONS,
    )
    op.create_index(op.f("ix_orders_paid_at"), "orders", ["paid_at"])
    collate_nicknames('"C"')


def downgrade() -> None:
    collate_nicknames('"default"')
    op.drop_index(op.f("ix_orders_paid_at"), table_name="orders")
    for name in ("daily_figures", "operator_actions", "suspensions", "operators"):
        op.drop_table(name)


def collate_nicknames(collation: str) -> None:
    """Order nicknames by code point, as the other databases do: a prefix is then a range of the primary key."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE nicknames ALTER COLUMN folded TYPE VARCHAR(160) COLLATE {collation}")
