"""Names without what nobody sees: they are compared without invisible characters and with one space for each run

The rows whose key changes are brought to it while the release runs, by the backfill `profiles.fold_nicknames`: how
names are compared is more than SQL can say. This revision itself changes nothing.
"""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
