"""SQL of what is kept under the digest of a deleted account's phone number."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, select

from swiper.db.upsert import upsert
from swiper.extensions import db
from swiper.profiles.models import DeletedNumber
from swiper.vip.models import Quota, QuotaKind

# The most rows that one turn of the purge deletes.
BATCH = 1_000


def lock_deleted_number(digest: str) -> DeletedNumber | None:
    """The row as it is stored now, locked until the transaction ends."""
    return db.session.get(DeletedNumber, digest, with_for_update=True, populate_existing=True)


def upsert_deleted_number(row: dict[str, Any]) -> None:
    """Store a row with all its columns, in the place of an earlier one."""
    upsert(DeletedNumber, [row], ["digest"], lambda _, new: {name: new[name] for name in row if name != "digest"})


def delete_deleted_number(digest: str) -> None:
    """Delete the row with this key, if there is one."""
    db.session.execute(delete(DeletedNumber).where(DeletedNumber.digest == digest))


def delete_deleted_numbers(deleted_before: datetime) -> int:
    """Delete rows from before a moment, at most `BATCH`; returns how many."""
    query = select(DeletedNumber.digest).where(DeletedNumber.deleted_at < deleted_before).limit(BATCH)
    old = list(db.session.scalars(query.execution_options(everywhere="The purge looks for any number.")))
    if old:
        db.session.execute(delete(DeletedNumber).where(DeletedNumber.digest.in_(old)))
    return len(old)


def list_quotas(uid: int) -> Sequence[Quota]:
    """What a user has used of the daily quotas."""
    return db.session.scalars(select(Quota).where(Quota.uid == uid)).all()


def insert_quotas(uid: int, quotas: Iterable[tuple[QuotaKind, date, int]]) -> None:
    """Insert kind, day and use of a new account's quotas."""
    db.session.add_all(Quota(uid=uid, kind=kind, day=day, used=used) for kind, day, used in quotas)
