"""SQL of backfills."""

from collections.abc import Sequence

from sqlalchemy import select

from swiper.backfills.models import BackfillRun
from swiper.clock import now
from swiper.db.upsert import insert_if_absent
from swiper.extensions import db


def list_runs() -> Sequence[BackfillRun]:
    """All backfills that were seen so far, by name."""
    return db.session.scalars(select(BackfillRun).order_by(BackfillRun.name)).all()


def lock_run(name: str) -> BackfillRun | None:
    """The row of a backfill as it is stored now, locked until the transaction ends; None if there is none yet."""
    return db.session.get(BackfillRun, name, with_for_update=True, populate_existing=True)


def insert_run(name: str, rows_left: int) -> None:
    """Insert the row of a backfill that begins, unless another worker has done so."""
    row = {"name": name, "last_key": "", "rows_left": rows_left, "rows_changed": 0, "added_at": now()}
    insert_if_absent(BackfillRun, [row], ["name"])
