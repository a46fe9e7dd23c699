"""Changes of city, sex and birthday are counted; whom the deck shows may begin with an id"""

import sqlalchemy as sa
from alembic import op

import swiper.db.types
from swiper.db.online_ddl import add_column

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

OPTIONS = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    add_column("users", sa.Column("deck_from", sa.BigInteger(), nullable=True))
    op.create_table(
        "profile_changes",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "field",
            sa.Enum(
                "location", "sex", "birthday", name="field", native_enum=False, create_constraint=True, length=16
            ),
            nullable=False,
        ),
        sa.Column("changed_at", swiper.db.types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", "id", name=op.f("pk_profile_changes")),
        **OPTIONS,
        if_not_exists=True,
    )


def downgrade() -> None:
    op.drop_table("profile_changes")
    op.drop_column("users", "deck_from")
