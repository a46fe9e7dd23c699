"""The desk's second factor and its recovery codes; the name of whoever acted is kept with each line of the log"""

import sqlalchemy as sa
from alembic import op

import swiper.db.types
from swiper.db.online_ddl import add_column

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OPTIONS = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "second_factors",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sealed_secret", sa.String(255), nullable=False),
        sa.Column("confirmed_at", swiper.db.types.UtcDateTime(), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_second_factors")),
        **OPTIONS,
        if_not_exists=True,
    )
    op.create_table(
        "recovery_codes",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("uid", "digest", name=op.f("pk_recovery_codes")),
        **OPTIONS,
        if_not_exists=True,
    )
    add_column("operator_actions", sa.Column("actor", sa.String(32), nullable=True))


def downgrade() -> None:
    op.drop_column("operator_actions", "actor")
    op.drop_table("recovery_codes")
    op.drop_table("second_factors")
