"""The operator's desk: role, suspensions with an end, audit log, figures by day; nicknames found by their beginning"""

import sqlalchemy as sa
from alembic import op

import swiper.db.types
from swiper.db.online_ddl import create_index

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
        if_not_exists=True,
    )
    op.create_table(
        "suspensions",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("until", swiper.db.types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["uid"], ["users.id"], name=op.f("fk_suspensions_uid"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_suspensions")),
        **OPTIONS,
        if_not_exists=True,
    )
    op.create_index(op.f("ix_suspensions_until"), "suspensions", ["until"], if_not_exists=True)
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
        if_not_exists=True,
    )
    for column in ("uid", "action", "target"):
        op.create_index(op.f(f"ix_operator_actions_{column}_id"), "operator_actions", [column, "id"], if_not_exists=True)
    op.create_table(
        "daily_figures",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "name", name=op.f("pk_daily_figures")),
        **OPTIONS,
        if_not_exists=True,
    )
    create_index("ix_orders_paid_at", "orders", ["paid_at"])
    collate_nicknames()


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute('ALTER TABLE nicknames ALTER COLUMN folded TYPE VARCHAR(160) COLLATE "default"')
    op.drop_index(op.f("ix_orders_paid_at"), table_name="orders")
    for name in ("daily_figures", "operator_actions", "suspensions", "operators"):
        op.drop_table(name)


def collate_nicknames() -> None:
    """Order nicknames by code point, as the other databases do: a prefix is then a range of the primary key.

    The key's new index is built before; to change the column builds none, and takes a moment.
    """
    if op.get_context().dialect.name == "postgresql":
        create_index("ix_nicknames_by_code_point", "nicknames", [sa.text('folded COLLATE "C"')], unique=True)
        op.execute("ALTER TABLE nicknames DROP CONSTRAINT IF EXISTS pk_nicknames")
        # squawk cannot know that neither rows nor an index are made anew.
        op.execute(
            "-- squawk-ignore changing-column-type\n"
            'ALTER TABLE nicknames ALTER COLUMN folded TYPE VARCHAR(160) COLLATE "C"'
        )
        op.execute("ALTER TABLE nicknames ADD CONSTRAINT pk_nicknames PRIMARY KEY USING INDEX ix_nicknames_by_code_point")
