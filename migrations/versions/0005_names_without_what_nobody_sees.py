"""Names without what nobody sees: they are compared without invisible characters and with one space for each run

Only names that held such characters change here, one row at a time and without any lock on the table. Of two people who
share a name now, the one with the older account gets it, and the other's row stays as it is: both keep what they are
called, and nobody new can take it. The release before reads and writes these rows as before. There is no way back, and
none is needed.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from swiper.profiles.nicknames import fold_nickname

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BATCH = 1000
NICKNAMES = sa.table("nicknames", sa.column("folded", sa.String), sa.column("uid", sa.BigInteger))


def upgrade() -> None:
    if op.get_context().as_sql:
        # How names are compared is more than SQL can say: a script of SQL leaves them as they are.
        return
    connection = op.get_bind()
    for uid, former, folded in sorted(_changed(connection)):
        owner = sa.select(NICKNAMES.c.uid).where(NICKNAMES.c.folded == folded)
        if connection.scalar(owner) is None:
            row = sa.update(NICKNAMES).where(NICKNAMES.c.folded == former, NICKNAMES.c.uid == uid)
            connection.execute(row.values(folded=folded))


def _changed(connection: sa.Connection) -> Iterator[tuple[int, str, str]]:
    """Owner, name as it was compared, and as it is compared now, where the two differ."""
    last = ""
    while True:
        page = sa.select(NICKNAMES.c.folded, NICKNAMES.c.uid).where(NICKNAMES.c.folded > last)
        rows = connection.execute(page.order_by(NICKNAMES.c.folded).limit(BATCH)).all()
        for former, uid in rows:
            folded = fold_nickname(former)
            if folded and folded != former:
                yield uid, former, folded
        if len(rows) < BATCH:
            return
        last = rows[-1].folded


def downgrade() -> None:
    pass
