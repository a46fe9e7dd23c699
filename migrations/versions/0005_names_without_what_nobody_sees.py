"""Names without what nobody sees: they are compared without invisible characters and with one space for each run

Only names that held such characters change here, in batches and without any lock on the table. Of two people who
share a name now, the one with the older account gets it, and the other's row stays as it is: both keep what they are
called, and nobody new can take it. The release before reads and writes these rows as before. There is no way back, and
none is needed.
"""

from collections.abc import Iterator
from contextlib import suppress

import sqlalchemy as sa
from alembic import op

from swiper.db.online_ddl import BATCH_ROWS, commit
from swiper.profiles.nicknames import fold_nickname

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Each takes several statements, and its row is locked until the commit.
BATCH_NAMES = 50
NICKNAMES = sa.table("nicknames", sa.column("folded", sa.String), sa.column("uid", sa.BigInteger))


def upgrade() -> None:
    if op.get_context().as_sql:
        # How names are compared is more than SQL can say: a script of SQL leaves them as they are.
        return
    changed = sorted(_changed())
    for place, (uid, former, folded) in enumerate(changed, start=1):
        _rename(uid, former, folded)
        if place % BATCH_NAMES == 0:
            commit()


def _rename(uid: int, former: str, folded: str) -> None:
    """Give a name to its owner as it is compared now, unless somebody has it."""
    connection = op.get_bind()
    if connection.scalar(sa.select(NICKNAMES.c.uid).where(NICKNAMES.c.folded == folded)) is not None:
        return
    row = sa.update(NICKNAMES).where(NICKNAMES.c.folded == former, NICKNAMES.c.uid == uid)
    # Somebody may take the name at this moment.
    with suppress(sa.exc.IntegrityError), connection.begin_nested():
        connection.execute(row.values(folded=folded))


def _changed() -> Iterator[tuple[int, str, str]]:
    """Owner, name as it was compared, and as it is compared now, where the two differ."""
    last = ""
    while True:
        page = sa.select(NICKNAMES.c.folded, NICKNAMES.c.uid).where(NICKNAMES.c.folded > last)
        rows = op.get_bind().execute(page.order_by(NICKNAMES.c.folded).limit(BATCH_ROWS)).all()
        commit()
        for former, uid in rows:
            folded = fold_nickname(former)
            if folded and folded != former:
                yield uid, former, folded
        if len(rows) < BATCH_ROWS:
            return
        last = rows[-1].folded


def downgrade() -> None:
    pass
