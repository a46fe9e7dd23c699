"""Second factors and recovery codes of operators."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, func, select, update

from swiper.admin.models import RecoveryCode, SecondFactor
from swiper.db.upsert import changed_a_row, insert_if_absent, upsert
from swiper.extensions import db


def find_factor(uid: int) -> SecondFactor | None:
    """The operator's second factor as it is now, confirmed or not; None when there is none."""
    return db.session.get(SecondFactor, uid, populate_existing=True)


def store_unconfirmed_factor(uid: int, sealed_secret: str) -> None:
    """Store a new secret that is not confirmed yet; it replaces an earlier secret."""
    row = {"uid": uid, "sealed_secret": sealed_secret, "confirmed_at": None, "last_step": 0}
    upsert(SecondFactor, [row], ["uid"], lambda _, new: {"sealed_secret": new.sealed_secret})


def confirm_factor(uid: int, confirmed_at: datetime) -> None:
    """Mark the operator's second factor as confirmed."""
    db.session.execute(update(SecondFactor).where(SecondFactor.uid == uid).values(confirmed_at=confirmed_at))


def advance_step(uid: int, step: int) -> bool:
    """Store `step` as the last time step whose code was used; False where that one or a later one is stored."""
    is_later = (SecondFactor.uid == uid) & (SecondFactor.last_step < step)
    return changed_a_row(update(SecondFactor).where(is_later).values(last_step=step))


def sealed_secrets_after(uid: int, limit: int) -> list[tuple[int, str]]:
    """The ids and encrypted secrets of the next `limit` operators with a higher id, in their order."""
    query = select(SecondFactor.uid, SecondFactor.sealed_secret).where(SecondFactor.uid > uid)
    query = query.order_by(SecondFactor.uid).limit(limit)
    found = db.session.execute(query.execution_options(everywhere="A new key concerns operators of any id."))
    return [(row.uid, row.sealed_secret) for row in found]


def replace_sealed_secret(uid: int, former: str, sealed_secret: str) -> bool:
    """Replace an encrypted secret; False where another than `former` is stored."""
    is_former = (SecondFactor.uid == uid) & (SecondFactor.sealed_secret == former)
    return changed_a_row(update(SecondFactor).where(is_former).values(sealed_secret=sealed_secret))


def count_recovery_codes() -> int:
    """The number of recovery codes of all operators."""
    query = select(func.count()).select_from(RecoveryCode)
    return db.session.scalar(query.execution_options(everywhere="The count is of operators of any id.")) or 0


def replace_recovery_codes(uid: int, digests: Collection[str]) -> None:
    """Delete the operator's recovery codes and store new ones."""
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.uid == uid))
    if digests:
        insert_if_absent(RecoveryCode, [{"uid": uid, "digest": digest} for digest in digests], ["uid", "digest"])


def use_recovery_code(uid: int, digest: str) -> bool:
    """Delete one recovery code; False where there is none with this digest."""
    return changed_a_row(delete(RecoveryCode).where(RecoveryCode.uid == uid, RecoveryCode.digest == digest))


def delete_factor(uid: int) -> bool:
    """Delete the operator's second factor; False where there was none."""
    return changed_a_row(delete(SecondFactor).where(SecondFactor.uid == uid))
